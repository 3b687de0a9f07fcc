"""The promotion: resolve, plan, push, register, patch. Read `promote` from top to bottom.

Cheap checks come first, hours of bytes after. Every step looks up what is there before it makes anything, so that a
promotion can be killed at any point and run again, and ends in the same state: one image digest, one model version, one
commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from modelcar.build import Build, BuildRequest, execute, prepare
from modelcar.delivery.repository import Delivered, Manifest, Repository, Target, open_repository
from modelcar.distribution.client import Access
from modelcar.errors import Held, ImageNotFound, InvalidInput, VersionConflict
from modelcar.lineage import (
    Provenance,
    compute_promotion_key,
    image_at,
    patch,
    registration_of,
    serving_digest,
)
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Existing, RegisteredVersion, check, register
from modelcar.plan import make_plan
from modelcar.progress import Progress, Silence
from modelcar.push import CONCURRENCY, PushedImage
from modelcar.spec import ImageSpec, InferenceServiceSpec, ModelSpec, PromotionSpec

Tell = Callable[[str], None]
ShowProgress = Callable[[int], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class Promotion:
    """The record that ties a promotion together.

    Attributes:
        spec: What was asked for.
        push: The image.
        register: What the Model Registry has of it.
        patch: What became of the manifest in git.
        promotion_key: Which promotion this is, 64 hex digits; it stands in the commit's trailers.
    """

    spec: PromotionSpec
    push: PushedImage
    register: RegisteredVersion
    patch: Delivered
    promotion_key: str


@dataclass(frozen=True, slots=True)
class PlannedPromotion:
    """What a promotion would begin with.

    Attributes:
        manifest: As it is in git now.
        beside: The other YAML files of its directory.
        build: The image that would be pushed.
    """

    manifest: Manifest
    beside: tuple[str, ...]
    build: Build


@contextmanager
def _silent(total_bytes: int) -> Iterator[Progress]:  # noqa: ARG001 - nobody is told
    yield Silence()


def promote(
    spec: PromotionSpec,
    *,
    access: Access | None = None,
    concurrency: int = CONCURRENCY,
    reuse: bool = True,
    tell: Tell = lambda line: None,  # noqa: ARG005 - nobody is told
    show_progress: ShowProgress = _silent,
) -> Promotion:
    """Bring the model of a spec to where it serves.

    Credentials come from files and the environment: registry auth files, `HF_TOKEN`, `MODEL_REGISTRY_TOKEN…`,
    `MODELCAR_GIT_…`.

    Args:
        spec: What, and to where.
        access: How registries are reached.
        concurrency: Layers that move at once.
        reuse: Whether layers are taken from earlier images.
        tell: Given a line for each step.
        show_progress: Given the image's size in bytes; while it is entered, its value is told what moves.

    Raises:
        InvalidInput: The spec has a training, which only a pipeline does.
        Held: The spec holds promotions, or in git this one was taken back, or followed by another.
        Superseded: The manifest was changed by somebody else meanwhile.
        VersionConflict: The named version exists with another image.
        PromotionError: A step failed. Run again, it looks up what is there: steps that were done are not done twice,
            but layers that no image has yet are sent again.
    """
    access = access or Access(connections=concurrency + 4)
    refuse_training(spec)
    if spec.hold is not None:
        raise Held(describe_hold(spec), hint="Take hold out of the spec.")
    registry = Connection.from_environment(spec.model_registry.url)
    with open_repository(target_of(spec.inference_service)) as repository:
        manifest, build = survey(spec, repository, registry, access, reuse=reuse, tell=tell, will_push=True)
        tell(f"pushing {len(build.plan.snapshot.files)} files to {build.destination.name}")
        with show_progress(build.plan.size_bytes) as progress:
            image = execute(build, concurrency=concurrency, progress=progress)
        tell(f"registering {spec.model_registry.registered_model}")
        provenance = Provenance.of(image)
        registration = registration_of(spec.model_registry, provenance)
        registered = register(registry, registration, confirm=lambda: confirm(image, build))
        tell(f"patching {spec.inference_service.path}")
        key = compute_promotion_key(spec.inference_service, manifest.namespace, provenance, registered)
        patched = patch(repository, spec.inference_service, manifest.storage_uri, provenance, registered, key)
    return Promotion(spec, image, registered, patched, key)


def plan_promotion(spec: PromotionSpec, *, access: Access, tell: Tell) -> PlannedPromotion:
    """Do what `promote` does before the first byte of the model moves; nothing is moved or changed anywhere.

    Whether the registry takes a push is not asked: the question would begin one.

    Args:
        spec: What would be promoted, and to where; a hold in it is told.
        access: How registries are reached.
        tell: Given a line for each step.

    Returns:
        The manifest as it is now, and the build that `promote` would execute; its plan says what would be reused.

    Raises:
        VersionConflict: The named version exists with another image.
        PromotionError: What would stop `promote` early: no such manifest, model or image, no access.
    """
    refuse_training(spec)
    registry = Connection.from_environment(spec.model_registry.url)
    if spec.hold is not None:
        tell(describe_hold(spec))
    with open_repository(target_of(spec.inference_service)) as repository:
        manifest, build = survey(spec, repository, registry, access, reuse=True, tell=tell)
        return PlannedPromotion(manifest, repository.read_beside(manifest), build)


def survey(
    spec: PromotionSpec,
    repository: Repository,
    registry: Connection,
    access: Access,
    *,
    reuse: bool,
    tell: Tell,
    will_push: bool = False,
) -> tuple[Manifest, Build]:
    """Check what is cheap to check, resolve the model and plan its image.

    Args:
        spec: What would be promoted; its hold is the caller's business.
        repository: Opened for the spec's manifest.
        registry: The Model Registry.
        access: How registries are reached.
        reuse: Whether layers are taken from earlier images.
        tell: Given a line for each step.
        will_push: See `modelcar.build.prepare`.

    Returns:
        The manifest as it is now, and the build that is ready to move bytes.

    Raises:
        VersionConflict: The named version exists with another image.
        PromotionError: No such manifest, model or image, no access.
    """
    tell(f"checking {spec.inference_service.repository}, {spec.model_registry.url} and {spec.image.repository}")
    manifest = repository.read()
    repository.check_write_access()
    existing = check(registry, spec.model_registry.registered_model, spec.model_registry.version)
    tell(f"resolving {spec.model.source}")
    request = build_request(spec.model, spec.image, serving=manifest.storage_uri, reuse=reuse)
    build = prepare(request, access, will_push=will_push)
    refuse_other_image(spec, existing, build)
    return manifest, build


def refuse_training(spec: PromotionSpec) -> None:
    """Find out that what a spec names as its model is only what it is trained from.

    Raises:
        InvalidInput: The spec has a training.
    """
    if spec.training is not None:
        raise InvalidInput(
            f"the spec of {spec.inference_service.name} has a training, and promoting alone trains nothing",
            hint="Run the pipeline retrain-and-promote, or take training out of the spec to promote the base model.",
        )


def describe_hold(spec: PromotionSpec) -> str:
    """One sentence for a spec that holds promotions."""
    return f"promotions of {spec.inference_service.name} are on hold: {spec.hold}"


def target_of(where: InferenceServiceSpec) -> Target:
    """The manifest in git that a spec names."""
    return Target(
        url=where.repository, branch=where.branch, path=where.path, name=where.name, namespace=where.namespace
    )


def build_request(model: ModelSpec, image: ImageSpec, *, serving: str, reuse: bool = True) -> BuildRequest:
    """What is to be built for a spec.

    Args:
        model: Which model.
        image: Which image.
        serving: The storageUri that serves now: layers of its image are taken over when it is in the same repository.
        reuse: Whether layers are taken over at all.
    """
    return BuildRequest(
        source=model.source,
        revision=model.revision,
        allow=model.allow,
        ignore=model.ignore,
        allow_pickle=model.allow_pickle,
        destination=image.repository.tagged(image.tag),
        base_image=image.base_image,
        platforms=image.platforms,
        max_layer_bytes=image.max_layer_bytes,
        siblings=image.reuse_from,
        previous=serving_digest(image.repository, serving),
        reuse=reuse,
    )


def refuse_other_image(spec: PromotionSpec, existing: Existing, build: Build) -> None:
    """Find out before bytes move that the version's name is taken by an image that this model cannot become.

    What only the bytes can tell, such as the content of a directory's files, is found out when they were pushed.

    Raises:
        VersionConflict: The version exists with an image in another repository, or with other files.
    """
    if existing.uri is None:
        return
    taken = image_at(existing.uri)
    if taken is not None and taken.name == spec.image.repository.name and taken.digest is not None:
        plan = build.plan
        same = make_plan(
            plan.snapshot,
            build.destination,
            platforms=plan.platforms,
            previous=[str(taken.digest)],
            max_layer_bytes=build.request.max_layer_bytes,
        )
        gone = build.destination.find_manifest(str(taken.digest)) is None
        if gone or all(planned.candidate is not None for planned in same.layers if planned.layer.files):
            return
    raise VersionConflict(
        f"version {spec.model_registry.version} of {spec.model_registry.registered_model} exists in the Model Registry "
        f"with {existing.uri}, and {build.plan.snapshot.uri} is another model or goes elsewhere",
        hint="Choose another version name; a version never changes its image.",
    )


def confirm(image: PushedImage, build: Build) -> None:
    """Read the image's digest back from where it was pushed, before anything says that it is live.

    Raises:
        ImageNotFound: It is not there any more.
    """
    if build.destination.find_manifest(str(image.digest)) is None:
        raise ImageNotFound(f"{image.image} is not there any more", hint="Something deletes images; run it again.")
