"""The promotion: resolve, plan, push, register, patch. Read `promote` from top to bottom.

Cheap checks come first, hours of bytes after. Every step looks up what is there before it makes anything, so that a
promotion can be killed at any point and run again, and ends in the same state: one image digest, one model version, one
commit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from modelcar.build import Build, BuildRequest, execute, prepare
from modelcar.delivery.inference_service import Edit
from modelcar.delivery.repository import Delivered, Manifest, Repository, Target, deliver, open_repository
from modelcar.distribution.client import Access
from modelcar.errors import Held, ImageNotFound, InvalidReference
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import RegisteredVersion, Registration, check, register
from modelcar.progress import Progress, Silence
from modelcar.push import CONCURRENCY, PushedImage
from modelcar.reference import Digest, ImageReference
from modelcar.spec import InferenceServiceSpec, PromotionSpec

FIELD = "spec.predictor.model.storageUri"
MODEL_LABEL = "modelregistry.opendatahub.io/registered-model-id"
VERSION_LABEL = "modelregistry.opendatahub.io/model-version-id"
"""Labels that tie an InferenceService to the Model Registry; the dashboard and its reconciler read them.
Source: https://github.com/opendatahub-io/odh-model-controller, reconciler of the model registry."""

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


@contextmanager
def _silent(total_bytes: int) -> Iterator[Progress]:  # noqa: ARG001 - nobody is told
    yield Silence()


def promote(
    spec: PromotionSpec,
    *,
    access: Access | None = None,
    concurrency: int = CONCURRENCY,
    tell: Callable[[str], None] = lambda line: None,  # noqa: ARG005 - nobody is told
    show_progress: ShowProgress = _silent,
) -> Promotion:
    """Bring the model of a spec to where it serves.

    Credentials come from files and the environment: registry auth files, `HF_TOKEN`, `MODEL_REGISTRY_TOKEN…`,
    `MODELCAR_GIT_…`.

    Args:
        spec: What, and to where.
        access: How registries are reached.
        concurrency: Layers that move at once.
        tell: Given a line for each step.
        show_progress: Given the image's size in bytes; while it is entered, its value is told what moves.

    Raises:
        Held: The spec holds promotions, or somebody took this one back in git.
        Superseded: The manifest was changed by somebody else meanwhile.
        VersionConflict: The named version exists with another image.
        PromotionError: A step failed; run again, it goes on where it was.
    """
    access = access or Access(connections=concurrency + 4)
    if spec.hold is not None:
        raise Held(
            f"promotions of {spec.inference_service.name} are on hold: {spec.hold}", hint="Take hold out of the spec."
        )
    registry = Connection.from_environment(spec.model_registry.url)
    with open_repository(target_of(spec.inference_service)) as repository:
        tell(f"checking {spec.inference_service.repository}, {spec.model_registry.url} and {spec.image.repository}")
        manifest = repository.read()
        repository.check_write_access()
        check(registry, spec.model_registry.registered_model, spec.model_registry.version)
        tell(f"resolving {spec.model.source}")
        build = prepare(build_request(spec, manifest), access)
        tell(f"pushing {len(build.plan.snapshot.files)} files to {build.destination.name}")
        with show_progress(build.plan.size_bytes) as progress:
            image = execute(build, concurrency=concurrency, progress=progress)
        tell(f"registering {spec.model_registry.registered_model}")
        registered = register(registry, registration_of(spec, image), confirm=lambda: confirm(image, build))
        tell(f"patching {spec.inference_service.path}")
        key = compute_promotion_key(spec, image, registered)
        patched = patch(repository, manifest, spec, image, registered, key)
    return Promotion(spec, image, registered, patched, key)


def target_of(where: InferenceServiceSpec) -> Target:
    """The manifest in git that a spec names."""
    return Target(
        url=where.repository, branch=where.branch, path=where.path, name=where.name, namespace=where.namespace
    )


def build_request(spec: PromotionSpec, manifest: Manifest | None = None) -> BuildRequest:
    """What is to be built for a spec.

    Args:
        spec: What was asked for.
        manifest: What serves now: layers of its image are taken over when it is in the same repository.
    """
    return BuildRequest(
        source=spec.model.source,
        revision=spec.model.revision,
        allow=spec.model.allow,
        ignore=spec.model.ignore,
        allow_pickle=spec.model.allow_pickle,
        destination=spec.image.repository.tagged(spec.image.tag),
        base_image=spec.image.base_image,
        platform=spec.image.platform,
        previous=_serving_digest(spec.image.repository, manifest) if manifest is not None else (),
    )


def registration_of(spec: PromotionSpec, image: PushedImage) -> Registration:
    """What the Model Registry is told of an image."""
    wanted = spec.model_registry
    return Registration(
        registered_model=wanted.registered_model,
        version=wanted.version or image.digest.short,
        image=ImageReference.parse(image.image),
        content_key=image.content_key,
        source_uri=image.snapshot.uri,
        revision=image.snapshot.revision,
        commit_hash=image.snapshot.commit_hash,
        size_bytes=image.size_bytes,
        model_format=wanted.model_format.name if wanted.model_format is not None else None,
        model_format_version=wanted.model_format.version if wanted.model_format is not None else None,
        owner=wanted.owner,
        author=wanted.author,
        description=wanted.description,
        properties=wanted.properties,
    )


def confirm(image: PushedImage, build: Build) -> None:
    """Read the image's digest back from where it was pushed, before anything says that it is live.

    Raises:
        ImageNotFound: It is not there any more.
    """
    if build.destination.find_manifest(str(image.digest)) is None:
        raise ImageNotFound(f"{image.image} is not there any more", hint="Something deletes images; run it again.")


def compute_promotion_key(spec: PromotionSpec, image: PushedImage, registered: RegisteredVersion) -> str:
    """Which promotion this is: content, source, version and the place in git, as 64 hex digits."""
    where = spec.inference_service
    parts = {
        "content_key": image.content_key,
        "source": [image.snapshot.uri, image.snapshot.commit_hash],
        "version": [registered.registered_model, registered.version],
        "git": [where.repository, where.branch, where.path],
        "object": [where.namespace, where.name],
        "field": FIELD,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def patch(
    repository: Repository,
    manifest: Manifest,
    spec: PromotionSpec,
    image: PushedImage,
    registered: RegisteredVersion,
    promotion_key: str,
) -> Delivered:
    """Write the image into the manifest, as one commit.

    Raises:
        Superseded: The manifest says something else by now.
        Held: This promotion was taken back by somebody.
        GitError: The push failed.
    """
    where = spec.inference_service
    edit = Edit(
        name=where.name,
        namespace=where.namespace,
        storage_uri=registered.uri,
        labels={MODEL_LABEL: registered.registered_model_id, VERSION_LABEL: registered.model_version_id},
        expect=manifest.storage_uri,
    )
    trailers = {
        "Model-Version-Id": registered.model_version_id,
        "Image-Digest": str(image.digest),
        "Model-Source": image.snapshot.uri,
    }
    if image.snapshot.commit_hash is not None:
        trailers["Model-Commit"] = image.snapshot.commit_hash
    subject = f"Promote {where.name} to {registered.registered_model} {registered.version}"
    return deliver(repository, edit, promotion_key=promotion_key, trailers=trailers, subject=subject)


def _serving_digest(repository: ImageReference, manifest: Manifest) -> tuple[Digest, ...]:
    try:
        serving = ImageReference.parse(manifest.storage_uri.removeprefix("oci://"))
    except InvalidReference:
        return ()
    return (serving.digest,) if serving.name == repository.name and serving.digest is not None else ()
