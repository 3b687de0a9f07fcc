"""Reads a page as a browser's first pass does, and refuses what a lenient browser would mend."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br"}


@dataclass
class Element:
    """One element with what is in it."""

    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, name: str | None = None, class_: str | None = None) -> list[Element]:
        """Elements below this one, in the order of the page."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if name in (None, child.name) and (class_ is None or class_ in child.classes):
                    found.append(child)
                found += child.all(name, class_)
        return found

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        """Its text, with single spaces; styles are none."""
        parts = (child if isinstance(child, str) else f" {child.text} " for child in self.children)
        return "" if self.name == "style" else " ".join("".join(parts).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.stack = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.stack[-1].children.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read(markup: str) -> Element:
    """The tree of a page or of a piece of one; every element is closed where it must be."""
    reader = _Reader()
    reader.feed(re.sub(r"^<!DOCTYPE html>\n", "", markup))
    reader.close()
    assert reader.stack == [reader.root]
    return reader.root
