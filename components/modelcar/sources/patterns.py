"""Which files of a source go into the image.

Patterns work as those of huggingface_hub do: `*` also matches `/`, case counts, a pattern that ends in `/` means
everything below. First `allow`, then `ignore`. Without `allow` the defaults below leave out what no server reads:

- `DEFAULT_IGNORE`: traces of git and of download tools (`CLUTTER`), copies of the weights for other programs,
  training state.
- `OTHER_FORMATS`, only when safetensors are there: the same weights once more, for other frameworks.

A data set is taken whole, but for `CLUTTER`: a file that is no part of a model may be a part of the data.

With `allow`, what it names is taken and both lists are left alone. Pickles have their own rule in both cases: beside
safetensors in the same directory they are left out; elsewhere they are refused; `allow_pickle` names those to take.
Only the same directory counts, because a pickle in another one may be a part of the model that safetensors lack.

Source: https://huggingface.co/docs/huggingface_hub/guides/download#filter-files-to-download.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import dirname

from modelcar.errors import SourceNotFound, UnsafeContent
from modelcar.snapshot import LeftOut, ModelFile
from modelcar.sources.names import check_names
from modelcar.sources.signatures import PICKLE_HINT, is_pickle_name

log = logging.getLogger(__name__)

_TRAINING_STATE = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state*.pth")

CLUTTER: tuple[str, ...] = (
    ".git/",
    ".gitattributes",
    ".gitignore",
    ".cache/",
    ".ipynb_checkpoints/",
    ".DS_Store",
    "*.lock",
    "*.incomplete",
)

DEFAULT_IGNORE: tuple[str, ...] = (
    *CLUTTER,
    "original/",  # Llama's checkpoints as Meta's own code reads them
    "metal/",  # gpt-oss for Apple's GPUs
    *_TRAINING_STATE,
    *(f"*/{name}" for name in _TRAINING_STATE),
)

OTHER_FORMATS: tuple[str, ...] = (
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "*.onnx_data",
    "*.onnx.data",
    "*.gguf",
    "*.ot",
    "*.tflite",
    "*.mlmodel",
    "coreml/",
    "openvino/",
    "openvino_*",
    "*.bin.index.json",
    "*.h5.index.json",
    "*.msgpack.index.json",
)

SAFETENSORS = ".safetensors"
_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True)
class Patterns:
    """A choice of files.

    Attributes:
        allow: Only these; everything when empty.
        ignore: Of those, not these.
        allow_pickle: Pickle files that are wanted all the same; names none that the others leave out.
        is_model: Whether the defaults are those for a model; else those for a data set.
    """

    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()
    is_model: bool = True

    def reason_against(self, path: str) -> str | None:
        """Why a file of this path is left out whatever else is there; None when it is not."""
        if self.allow and find_match(path, self.allow) is None:
            return "not in allow"
        return self.reason_to_ignore(path)

    def reason_to_ignore(self, *names: str) -> str | None:
        """Which pattern to ignore or default leaves out one of the names; None when none does."""
        for name in names:
            if pattern := find_match(name, self.ignore):
                return f"ignore pattern {pattern}"
            if not self.allow and (pattern := find_match(name, DEFAULT_IGNORE if self.is_model else CLUTTER)):
                return f"default pattern {pattern}"
        return None

    def select(self, files: Sequence[ModelFile], where: str) -> tuple[tuple[ModelFile, ...], tuple[LeftOut, ...]]:
        """Choose the files of an image and check their names.

        A pattern that matches nothing is a warning in the log, because it is nearly always a misspelling.

        Args:
            files: All that the source has.
            where: The source, for messages.

        Returns:
            The chosen files and the others, both sorted by the UTF-8 bytes of their paths.

        Raises:
            SourceNotFound: The source has no files, or none is left.
            UnsafeContent: A pickle that nobody asked for, or a name that no image can hold.
        """
        if not files:
            raise SourceNotFound(f"{where} has no files", hint="Name the directory or repository that holds the model.")
        reasons = {file.path: reason for file in files if (reason := self.reason_against(file.path))}
        if self.is_model and not self.allow:
            reasons |= _other_formats(_without(files, reasons))
        pickles = [f.path for f in _without(files, reasons) if self._is_unwanted_pickle(f.path)]
        beside = {dirname(f.path) for f in _without(files, reasons) if f.path.endswith(SAFETENSORS)}
        reasons |= {path: "a pickle, and safetensors are there" for path in pickles if dirname(path) in beside}
        if refused := sorted(path for path in pickles if path not in reasons):
            raise _refusal(refused, where, has_safetensors=bool(beside))
        self._warn_of_idle(files, where)
        kept = _without(files, reasons)
        if not kept:
            raise SourceNotFound(
                f"no file of {where} is left{self._blame()}",
                hint="Look at --allow and --ignore, or allow and ignore of the spec.",
            )
        check_names(file.path for file in kept)
        left_out = (LeftOut(f.path, f.size_bytes, reasons[f.path]) for f in files if f.path in reasons)
        return tuple(sorted(kept, key=utf8_order)), tuple(sorted(left_out, key=utf8_order))

    def _is_unwanted_pickle(self, path: str) -> bool:
        return self.is_model and is_pickle_name(path) and find_match(path, self.allow_pickle) is None

    def _blame(self) -> str:
        """The patterns, as the end of a sentence."""
        given = [f"{name} {' '.join(p)}" for name, p in (("allow", self.allow), ("ignore", self.ignore)) if p]
        return f" after {' and '.join(given)}" if given else " after the default patterns"

    def _warn_of_idle(self, files: Sequence[ModelFile], where: str) -> None:
        named = (("allow", self.allow), ("ignore", self.ignore), ("allowPickle", self.allow_pickle))
        for name, patterns in named:
            for pattern in patterns:
                if not any(find_match(file.path, (pattern,)) for file in files):
                    log.warning("the pattern %r in %s matches no file of %s", pattern, name, where)


def find_match(path: str, patterns: Iterable[str]) -> str | None:
    """The first pattern that matches a path, or None."""
    for pattern in patterns:
        if fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern):
            return pattern
    return None


def _without(files: Iterable[ModelFile], reasons: dict[str, str]) -> list[ModelFile]:
    return [file for file in files if file.path not in reasons]


def _other_formats(files: Sequence[ModelFile]) -> dict[str, str]:
    """What safetensors make superfluous, with the reason for each."""
    if not any(file.path.endswith(SAFETENSORS) for file in files):
        return {}
    found = ((file.path, find_match(file.path, OTHER_FORMATS)) for file in files)
    return {path: f"default pattern {pattern}, and safetensors are there" for path, pattern in found if pattern}


def _refusal(paths: Sequence[str], where: str, *, has_safetensors: bool) -> UnsafeContent:
    names = ", ".join(paths[:_SHOWN_NAMES])
    if len(paths) > _SHOWN_NAMES:
        names += f" and {len(paths) - _SHOWN_NAMES} more"
    missing = "" if has_safetensors else ", and no safetensors"
    return UnsafeContent(
        f"{where} has pickle files, which can run any code when loaded{missing}: {names}", hint=PICKLE_HINT
    )


def utf8_order(file: ModelFile | LeftOut) -> bytes:
    """Key to sort by the UTF-8 bytes of paths; what is left out need not be UTF-8."""
    return file.path.encode("utf-8", "surrogateescape")
