"""The tree as a directory, and how a model is added to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ruamel.yaml.nodes import ScalarNode

from modelcar.delivery.documents import find, parse
from modelcar.errors import InvalidInput
from modelcar_gitops.served_model import ServedModel

APPLICATION: Final = Path("gitops/stage01-model-serving/application")
SERVED, IMAGES = APPLICATION / "vllm", APPLICATION / "images"
PROMOTIONS: Final = Path("gitops/stage01-model-serving/promotions")
_KUSTOMIZATION: Final = "kustomization.yaml"


@dataclass(frozen=True, slots=True)
class GitOpsTree:
    """A work tree.

    Attributes:
        root: Of the repository.
    """

    root: Path

    def check(self) -> None:
        """Let through a directory that has the tree.

        Raises:
            InvalidInput: It has not.
        """
        for directory in (SERVED, IMAGES):
            if not (self.root / directory / _KUSTOMIZATION).is_file():
                raise InvalidInput(
                    f"{self.root} has no {directory / _KUSTOMIZATION}",
                    hint="Run this in the repository that Argo CD applies, or name its directory with --tree.",
                )

    def add(self, model: ServedModel) -> list[Path]:
        """Add a model; nothing is written when any of it cannot be.

        Returns:
            Files that were written or changed, below `root`.

        Raises:
            InvalidInput: There is no tree, a file or an object of that name is there, or a kustomization has no list to
                add to.
        """
        self.check()
        file = f"{model.name}.yaml"
        made = {
            SERVED / file: model.inference_service(),
            **({} if model.repository else {IMAGES / file: model.image_stream()}),
            PROMOTIONS / file: model.promotion((SERVED / file).as_posix()),
        }
        for path in made:
            if (self.root / path).exists():
                raise InvalidInput(f"{path} is there already", hint="Choose another name, or edit that file.")
        taken = self._objects() & set(model.objects)
        if taken:
            kind, name = min(taken)
            raise InvalidInput(f"the tree has {kind} {name} already", hint="Choose another name.")
        listed = {
            directory / _KUSTOMIZATION: add_resource(_read(self.root / directory / _KUSTOMIZATION), file)
            for directory in (SERVED, IMAGES)
            if directory / file in made
        }
        for path, text in {**made, **listed}.items():  # lists last: until then nothing refers to what is half-written
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8", newline="")
        return [*made, *listed]

    def _objects(self) -> set[tuple[str, str]]:
        """Kind and name of all that files of the application hold."""
        found = set()
        for path in sorted((self.root / APPLICATION).rglob("*.yaml")):
            for root in parse(_read(path)):
                kind, name = find(root, ("kind",)), find(root, ("metadata", "name"))
                if isinstance(kind, ScalarNode) and isinstance(name, ScalarNode):
                    found.add((kind.value, name.value))
        return found


def add_resource(kustomization: str, resource: str) -> str:
    """The text of a kustomization with one more resource, at the end of its list; everything else as it was.

    Raises:
        InvalidInput: It has no `resources` with an item on a line of its own.
    """
    found = re.search(
        r"^resources:[^\S\n]*(?:#.*)?\r?\n(?:[^\S\n]*(?:-.*|#.*)?\r?\n)*?([^\S\n]*-[^\S\n]+)[^\n]*\r?\n(?![^\S\n]*-)",
        kustomization,
        re.M,
    )
    if found is None:
        raise InvalidInput(
            f"the kustomization has no list of resources to add {resource} to",
            hint="Write its resources one on a line: - NAME.yaml.",
        )
    ending = "\r\n" if kustomization[: found.end()].endswith("\r\n") else "\n"
    return f"{kustomization[: found.end()]}{found[1]}{resource}{ending}{kustomization[found.end() :]}"


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()
