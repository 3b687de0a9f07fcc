"""The numbered checks: each is a function from the tree to what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gitops_tree.tree import Tree

Find = Callable[[Tree], Iterator[str]]
_LONGEST_ID: Final = 70


@dataclass(frozen=True)
class Check:
    """One of them.

    Attributes:
        number: It keeps it for ever.
        sentence: What holds when nothing is found.
        find: The problems; each names an object and says what is wrong with it.
    """

    number: int
    sentence: str
    find: Find

    @property
    def id(self) -> str:
        """`07-no-custom-resource-…`: the number and the beginning of the sentence."""
        words = re.sub(r"[^a-z0-9]+", "-", self.sentence.lower()).strip("-")
        whole = f"{self.number:02}-{words}"
        return whole if len(whole) <= _LONGEST_ID else whole[: _LONGEST_ID + 1].rpartition("-")[0]


CHECKS: Final[dict[int, Check]] = {}


def check(number: int, sentence: str) -> Callable[[Find], Find]:
    """Register a check."""

    def register(find: Find) -> Find:
        assert number not in CHECKS, f"there are two checks {number}"
        CHECKS[number] = Check(number, sentence, find)
        return find

    return register
