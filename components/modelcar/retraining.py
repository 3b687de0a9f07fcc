"""What a retraining would do: whether base model, data or recipe are new, found out before hours of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelcar.delivery.inference_service import digest_of, is_same_image
from modelcar.delivery.repository import Repository, open_repository
from modelcar.delivery.trailers import IMAGE_DIGEST
from modelcar.errors import InvalidInput, VersionConflict
from modelcar.metrics import decide
from modelcar.model_registry.client import Connection
from modelcar.model_registry.recipes import TrainedVersion, find_by_recipe
from modelcar.model_registry.registration import Existing, check
from modelcar.promotion import Tell, target_of
from modelcar.recipe import Recipe, compute_recipe_key, identify
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.snapshot import ModelSnapshot, Source
from modelcar.sources.open import open_data, open_source
from modelcar.spec import ModelSpec, PromotionSpec, TrainingSpec

Action = Literal["train", "deliver", "skip"]
TRAIN: Action = "train"
DELIVER: Action = "deliver"
SKIP: Action = "skip"


@dataclass(frozen=True, slots=True)
class RetrainingPlan:
    """What a retraining would do now.

    Attributes:
        action: `train`; `deliver` when a trained image is registered already and git does not have it yet; `skip`.
        reason: For that, a few words.
        base: The model to begin with.
        data: To train on.
        recipe_key: Which training this is, 64 hex digits.
        earlier: The version that an earlier training of this key became; None without one.
        serving: The storageUri that the manifest has.
    """

    action: Action
    reason: str
    base: ModelSnapshot
    data: ModelSnapshot
    recipe_key: str
    earlier: TrainedVersion | None
    serving: str


def plan_retraining(spec: PromotionSpec, *, tell: Tell) -> RetrainingPlan:
    """Find out whether anything is new, and check what can be checked early; nothing is moved or changed anywhere.

    Args:
        spec: With a training; its hold is the caller's business.
        tell: Given a line for each step.

    Raises:
        InvalidInput: The spec has no training.
        VersionConflict: It would train, and the version that the spec names has an image already.
        BelowFloor: An earlier training's version would be promoted, and what it measured does not hold the floors.
        PromotionError: No such manifest, base model or data; no access to one of them.
    """
    training = require_training(spec.training)
    tell(f"checking {spec.inference_service.repository} and {spec.model_registry.url}")
    registry = Connection.from_environment(spec.model_registry.url)
    existing = check(registry, spec.model_registry.registered_model, spec.model_registry.version)
    with open_repository(target_of(spec.inference_service)) as repository:
        serving = repository.read().storage_uri
        repository.check_write_access()
        tell(f"looking at {spec.model.source} and {training.data}")
        base, base_source = look(model_source(spec.model))
        data, their_source = look(data_source(training))
        identities = identify(base, base_source), identify(data, their_source)
        key = compute_recipe_key(*identities, Recipe.of(training))
        earlier = find_by_recipe(registry, spec.model_registry.registered_model, key)
        action, reason = _decide(earlier, repository, serving, training)
    if action == TRAIN:
        _refuse_taken_name(spec, existing)
    tell(f"recipe key {key}: {reason}")
    return RetrainingPlan(action, reason, base, data, key, earlier, serving)


def model_source(model: ModelSpec) -> Source:
    """Where the base model comes from."""
    return open_source(
        model.source,
        revision=model.revision,
        allow=model.allow,
        ignore=model.ignore,
        allow_pickle=model.allow_pickle,
    )


def data_source(training: TrainingSpec, commit: str = "") -> Source:
    """Where the data comes from.

    Args:
        training: Names it.
        commit: Instead of the revision that is asked for; empty for that.
    """
    data = training.data.partition("@")[0] if commit else training.data
    return open_data(data, revision=commit or training.data_revision)


def look(source: Source) -> tuple[ModelSnapshot, Source]:
    """What a source has; it is asked again while it fails in a way that may pass."""
    return retry(source.snapshot, attempts=CONTACT_ATTEMPTS), source


def require_training(training: TrainingSpec | None) -> TrainingSpec:
    """Let through a training.

    Raises:
        InvalidInput: There is none.
    """
    if training is None:
        raise InvalidInput(
            "the spec says nothing of a training", hint="Write its section training, or run promote-model instead."
        )
    return training


def _refuse_taken_name(spec: PromotionSpec, existing: Existing) -> None:
    """Find out before hours of training that its version's name is taken, as it is from the second training on."""
    if existing.uri is not None:
        raise VersionConflict(
            f"version {spec.model_registry.version} of {spec.model_registry.registered_model} exists with "
            f"{existing.uri}, and what is trained now would be another image",
            hint="Leave modelRegistry.version out of the spec: each training is a version of its own then.",
        )


def _decide(
    earlier: TrainedVersion | None, repository: Repository, serving: str, training: TrainingSpec
) -> tuple[Action, str]:
    """What is to be done, and why."""
    if earlier is None:
        return TRAIN, "nothing was trained with it yet"
    if is_same_image(serving, earlier.uri):
        return SKIP, f"nothing is new: version {earlier.version} came of it, and serves"
    promoted = [commit for commit, digests in repository.history(IMAGE_DIGEST) if digest_of(earlier.uri) in digests]
    if promoted:
        # People win: what was put back, or followed by something else, is not put there again every night.
        return SKIP, f"version {earlier.version} came of it, was promoted by {promoted[0][:12]}, and changed since"
    if training.floors and earlier.metrics is None:
        return TRAIN, f"version {earlier.version} came of it, but nobody knows whether it holds the floors"
    decide(earlier.metrics or {}, training.floors)
    return DELIVER, f"version {earlier.version} came of it, and is not in git yet"
