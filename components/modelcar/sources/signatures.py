r"""Files that are not what they should be, told by their name and by their first bytes.

Loading a pickle can run any code, and a name proves nothing, so both are looked at. By name, every `.bin` is taken for
a pickle: PyTorch's are, and the few that are not (GGML weights, old tokenizers) are allowed by name. By content, a
pickle of protocol 2 to 5 is known by its header, and PyTorch's zip by the `.pkl` entry in it. Protocols 0 and 1 have
no header, and joblib compresses: those are known by name only. NumPy's files pass: reading a pickle from one has to be
asked for.

Source: https://docs.python.org/3/library/pickle.html#data-stream-format (`\x80` and the protocol),
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md (pointer files).
"""

from __future__ import annotations

import pickletools
from pathlib import PurePosixPath

from modelcar.errors import UnsafeContent

PICKLE_SUFFIXES = frozenset(
    (".bin", ".pt", ".pth", ".pt2", ".ckpt", ".pkl", ".pickle", ".dill", ".joblib", ".nemo", ".mar")
)
PICKLE_HINT = (
    "Convert the weights to safetensors, leave the files out (ignore), "
    "or name them with --allow-pickle (allowPickle in a spec) if you trust who made them."
)

_PROTOCOLS = range(2, 6)
_OPCODES = frozenset(opcode.code for opcode in pickletools.opcodes)
_ZIP = b"PK\x03\x04"
_ZIPPED_PICKLE = b".pkl"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def is_pickle_name(path: str) -> bool:
    """Whether a file of this name holds a pickle, as far as a name can tell."""
    return PurePosixPath(path).suffix.lower() in PICKLE_SUFFIXES


class SignatureCheck:
    """Looks at one file's first bytes; in a zip, also for pickles further on.

    Attributes:
        is_pickle: Whether the content is a pickle, as far as it was seen; one that is allowed, or it would have raised.
    """

    def __init__(self, path: str, *, allow_pickle: bool) -> None:
        self._path = path
        self._allow_pickle = allow_pickle
        self._head = b""
        self._tail = b""
        self._is_zip = False
        self.is_pickle = False

    def update(self, block: bytes) -> None:
        """Take the next block.

        Raises:
            UnsafeContent: It is a pickle and must not be one, or a Git LFS pointer in place of the file.
        """
        if len(self._head) < len(_LFS_POINTER):
            self._head += block[: len(_LFS_POINTER) - len(self._head)]
            self._judge_head()
        if self._is_zip and not self.is_pickle:
            if _ZIPPED_PICKLE in self._tail + block[: len(_ZIPPED_PICKLE)] or _ZIPPED_PICKLE in block:
                self._found("a zip with a pickle in it")
            self._tail = (self._tail + block[-len(_ZIPPED_PICKLE) :])[1 - len(_ZIPPED_PICKLE) :]

    def finish(self) -> None:
        """Nothing is left to check at the end."""

    def _judge_head(self) -> None:
        if self._head == _LFS_POINTER:
            raise UnsafeContent(
                f"{self._path} is a Git LFS pointer, not the file itself",
                hint="Run `git lfs pull` in the clone first, or promote from hf://.",
            )
        self._is_zip = self._head.startswith(_ZIP)
        if not self.is_pickle and _is_pickle(self._head):
            self._found("a pickle")

    def _found(self, what: str) -> None:
        self.is_pickle = True
        if not self._allow_pickle:
            raise describe_pickle(self._path, what)


def describe_pickle(path: str, what: str = "a pickle") -> UnsafeContent:
    """A pickle that nobody has allowed, as an error to raise."""
    return UnsafeContent(f"{path} is {what}, whatever its name says; loading it can run any code", hint=PICKLE_HINT)


def _is_pickle(head: bytes) -> bool:
    """Whether the bytes begin as a pickle does: the mark, a protocol, and something that can follow."""
    return len(head) > 2 and head[0] == 0x80 and head[1] in _PROTOCOLS and chr(head[2]) in _OPCODES
