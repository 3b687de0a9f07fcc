"""How large runs may be: the volume, and what a training gets of a node; as Kubernetes writes quantities.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelcar.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """What the step that trains gets instead of what it has by default; None keeps the default.

    Attributes:
        memory: Request and limit, `64Gi`.
        cpu: Request and limit, `8` or `500m`.
        gpus: Whole NVIDIA GPUs.

    Raises:
        InvalidInput: One of them is no such quantity; the message names the option.
    """

    memory: str | None = None
    cpu: str | None = None
    gpus: int | None = None

    def __post_init__(self) -> None:
        # Without a unit it would be bytes, which nobody means.
        if self.memory is not None and not re.fullmatch(r"[1-9][0-9]*(Mi|Gi|Ti|M|G|T)", self.memory):
            raise InvalidInput(
                f"--train-memory {self.memory!r} is not an amount of memory", hint="Write 64Gi, for instance."
            )
        if self.cpu is not None and not re.fullmatch(r"[1-9][0-9]*m?", self.cpu):
            raise InvalidInput(
                f"--train-cpu {self.cpu!r} is not a number of cores", hint="Write 8, or 500m for half a core."
            )
        if self.gpus is not None and self.gpus < 0:
            raise InvalidInput(f"--train-gpus {self.gpus} is not a number of GPUs", hint="Write 1, or 0 for none.")

    @property
    def options(self) -> list[str]:
        """The options that are set, as people write them."""
        values = {"--train-memory": self.memory, "--train-cpu": self.cpu, "--train-gpus": self.gpus}
        return [option for option, value in values.items() if value is not None]


def check_volume_size(size: str) -> str:
    """Let through what a volume claim can ask for.

    Raises:
        InvalidInput: It is no such size.
    """
    if not re.fullmatch(r"[1-9][0-9]*(Gi|Ti|G|T)", size):
        raise InvalidInput(f"{size!r} is not the size of a volume", hint="Write 300Gi, for instance.")
    return size
