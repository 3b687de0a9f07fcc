"""What a promotion or a retraining would do, before anything is started."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from modelcar.build import Build
from modelcar.delivery.inference_service import is_placeholder
from modelcar.page import blocks, render_plan
from modelcar.page.chain import SHORT
from modelcar.page.markup import Html, element, join
from modelcar.page.report import State
from modelcar.promotion import describe_hold, plan_promotion
from modelcar.quantities import format_bytes
from modelcar.report import describe_plan
from modelcar.retraining import RetrainingPlan, plan_retraining
from modelcar.snapshot import ModelSnapshot
from modelcar.spec import PromotionSpec
from modelcar.steps.surroundings import make_access

_NOTHING_SERVES = "nothing yet"


@dataclass(frozen=True)
class PromotionPlan:
    """What a promotion would read, send and reuse.

    Attributes:
        spec: What would be promoted, and to where.
        build: The image that would be built.
        serving: The storageUri that the manifest has now.
    """

    spec: PromotionSpec
    build: Build
    serving: str

    @property
    def moved_bytes(self) -> int:
        """What would be sent."""
        return self.build.plan.size_bytes - self.build.plan.reused_bytes

    @property
    def reused_bytes(self) -> int:
        """What is there already."""
        return self.build.plan.reused_bytes

    def __repr__(self) -> str:
        from rich.console import Console

        from modelcar.drawing import draw_plan

        out = io.StringIO()
        draw_plan(self.build, console=Console(file=out, width=120, force_jupyter=False))
        rest = [f"{name}: {value}" for name, value in _facts(self.spec, self.serving).items() if value]
        return "\n".join([out.getvalue().rstrip(), *rest])

    def _repr_html_(self) -> str:
        title = f"Plan: {self.spec.inference_service.name}"
        return render_plan(describe_plan(self.build), _drawn(_facts(self.spec, self.serving)), title)


@dataclass(frozen=True)
class TrainingPlan:
    """What a retraining would do.

    Attributes:
        spec: With its training.
        plan: Whether it would train, promote what was trained before, or end at once.
    """

    spec: PromotionSpec
    plan: RetrainingPlan

    @property
    def action(self) -> str:
        """`train`, `deliver` or `skip`."""
        return self.plan.action

    @property
    def sentence(self) -> str:
        """What would be done, and why."""
        would = {
            "train": "It would train, and promote what comes of it",
            "deliver": "It would promote without training",
            "skip": "It would end at once",
        }
        return f"{would[self.plan.action]}: {self.plan.reason}."

    def __repr__(self) -> str:
        facts = [f"{name}: {value}" for name, value in self._facts().items() if value]
        return "\n".join([self._title, self.sentence, *facts])

    def _repr_html_(self) -> str:
        floors = self.spec.training.floors if self.spec.training is not None else {}
        rows = [(element("bdi", name), str(floor)) for name, floor in floors.items()]
        state: State | None = "SKIPPED" if self.plan.action == "skip" else None
        return blocks.frame(
            blocks.headline(self._title, state, self.sentence),
            blocks.section("Training", blocks.facts(_drawn(self._facts()))),
            blocks.section("Metrics must hold", blocks.table(("Metric", "Floor"), rows)) if rows else None,
        )

    @property
    def _title(self) -> str:
        return f"Plan: retrain {self.spec.inference_service.name}"

    def _facts(self) -> dict[str, str | None]:
        training, plan = self.spec.training, self.plan
        trainer = (training.entry_point or " ".join(training.command)) if training is not None else None
        return {
            "Base model": _published(plan.base),
            "Data": _published(plan.data),
            "Trainer": trainer,
            "Recipe key": plan.recipe_key,
            "Goes to": self.spec.image.repository.name,
            **_facts(self.spec, plan.serving),
        }


def make_plan(spec: PromotionSpec) -> PromotionPlan | TrainingPlan:
    """Ask everybody who would be asked, from here; nothing is moved or changed anywhere.

    Args:
        spec: Of a retraining when it has a training.

    Raises:
        PromotionError: What would stop the run early: no such manifest, model, data or image, no access.
    """
    if spec.training is not None:
        return TrainingPlan(spec, plan_retraining(spec, tell=_silent))
    planned = plan_promotion(spec, access=make_access(), tell=_silent)
    return PromotionPlan(spec, planned.build, planned.manifest.storage_uri)


def _silent(line: str) -> None:
    """What is asked on the way is not shown: the plan is what comes of it."""


def _facts(spec: PromotionSpec, serving: str) -> dict[str, str | None]:
    """Where it would go, and what is there now."""
    where, registry = spec.inference_service, spec.model_registry
    return {
        "Registers": f"{registry.registered_model} / {registry.version or 'a version named by the image digest'}",
        "Commits to": f"{where.path} on {where.branch}",
        "Serves now": _NOTHING_SERVES if is_placeholder(serving) else serving,
        "On hold": describe_hold(spec) if spec.hold is not None else None,
    }


_CODES = frozenset({"Base model", "Data", "Trainer", "Recipe key", "Goes to", "Commits to", "Serves now"})


def _drawn(facts: dict[str, str | None]) -> dict[str, Any]:
    def draw(name: str, value: str) -> Html:
        is_code = name in _CODES and value != _NOTHING_SERVES
        return blocks.code(value) if is_code else join(element("bdi", value))

    return {name: draw(name, value) for name, value in facts.items() if value}


def _published(snapshot: ModelSnapshot) -> str:
    commit = f"@{snapshot.commit_hash[:SHORT]}" if snapshot.commit_hash is not None else ""
    return f"{snapshot.uri}{commit}: {len(snapshot.files)} files, {format_bytes(snapshot.size_bytes)}"
