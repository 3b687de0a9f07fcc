"""What ties an image to its source, its model version and its commit, whichever way it was made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from modelcar.delivery.credentials import name_repository
from modelcar.delivery.inference_service import Edit
from modelcar.delivery.repository import Delivered, Repository, deliver
from modelcar.errors import InvalidReference
from modelcar.model_registry.registration import RegisteredVersion, Registration
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference
from modelcar.spec import InferenceServiceSpec, ModelRegistrySpec

FIELD = "spec.predictor.model.storageUri"
MODEL_LABEL = "modelregistry.opendatahub.io/registered-model-id"
VERSION_LABEL = "modelregistry.opendatahub.io/model-version-id"
"""Labels that tie an InferenceService to the Model Registry; the dashboard and its reconciler read them.
Source: https://github.com/opendatahub-io/odh-model-controller, reconciler of the model registry."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an image is and where its model comes from: what the Model Registry and the commit say of it.

    Attributes:
        image: With its digest.
        content_key: What the image is, as 64 hex digits; None for an image that this package did not make.
        source_uri: Without revision, `hf://org/name`.
        revision: What was asked for; None where the source has no revisions.
        commit_hash: What it resolved to.
        size_bytes: Of the image's layers.
    """

    image: ImageReference
    content_key: str | None
    source_uri: str
    revision: str | None
    commit_hash: str | None
    size_bytes: int

    @classmethod
    def of(cls, image: PushedImage) -> Self:
        """Of an image that was pushed straight from its source."""
        snapshot = image.snapshot
        return cls(
            ImageReference.parse(image.image),
            image.content_key,
            snapshot.uri,
            snapshot.revision,
            snapshot.commit_hash,
            image.size_bytes,
        )


def registration_of(
    wanted: ModelRegistrySpec,
    provenance: Provenance,
    recipe_key: str | None = None,
    metrics: Mapping[str, float] | None = None,
    training_data: str | None = None,
) -> Registration:
    """What the Model Registry is told of an image.

    Args:
        wanted: What the spec says of it.
        provenance: The image.
        recipe_key: Which training it came of; its version's default name has the beginning of it too, for two
            trainings may come to one image, and each must be found by its key.
        metrics: What that training measured.
        training_data: What it trained on.

    Raises:
        InvalidReference: The image has no digest.
    """
    if provenance.image.digest is None:
        raise InvalidReference(f"{provenance.image} names no digest", hint="Name registry/repository@sha256:….")
    return Registration(
        registered_model=wanted.registered_model,
        version=wanted.version or "-".join(filter(None, (provenance.image.digest.short, (recipe_key or "")[:8]))),
        image=provenance.image,
        content_key=provenance.content_key,
        source_uri=provenance.source_uri,
        revision=provenance.revision,
        commit_hash=provenance.commit_hash,
        recipe_key=recipe_key,
        metrics=metrics,
        training_data=training_data,
        size_bytes=provenance.size_bytes,
        model_format=wanted.model_format.name if wanted.model_format is not None else None,
        model_format_version=wanted.model_format.version if wanted.model_format is not None else None,
        owner=wanted.owner,
        author=wanted.author,
        description=wanted.description,
        properties=wanted.properties,
    )


def compute_promotion_key(
    where: InferenceServiceSpec, namespace: str | None, provenance: Provenance, registered: RegisteredVersion
) -> str:
    """Which promotion this is: content, source, version and the place in git, as 64 hex digits.

    The same however the spec spells the place, for a rerun that is not known to be one would undo what came after it.

    Args:
        where: The place.
        namespace: That the manifest states.
        provenance: The image.
        registered: The version that it is.
    """
    parts = {
        "content_key": provenance.content_key,
        "source": [provenance.source_uri, provenance.commit_hash],
        "version": [registered.registered_model, registered.version],
        "git": [name_repository(where.repository), where.branch, where.path],
        "object": [namespace, where.name],
        "field": FIELD,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def patch(
    repository: Repository,
    where: InferenceServiceSpec,
    seen: str,
    provenance: Provenance,
    registered: RegisteredVersion,
    promotion_key: str,
) -> Delivered:
    """Write the image into the manifest, as one commit.

    Args:
        repository: Opened for that manifest.
        where: The manifest.
        seen: The storageUri that it had when the promotion was planned.
        provenance: The image and where its model comes from.
        registered: The version that it is.
        promotion_key: Which promotion this is.

    Raises:
        Superseded: The manifest says something else by now.
        Held: This promotion was taken back by somebody, or followed by another.
        GitError: The push failed.
    """
    edit = Edit(
        name=where.name,
        namespace=where.namespace,
        storage_uri=registered.uri,
        labels={MODEL_LABEL: registered.registered_model_id, VERSION_LABEL: registered.model_version_id},
        expect=seen,
    )
    trailers = {
        "Model-Version-Id": registered.model_version_id,
        "Image-Digest": str(provenance.image.digest),
        "Model-Source": provenance.source_uri,
    }
    if provenance.commit_hash is not None:
        trailers["Model-Commit"] = provenance.commit_hash
    subject = f"Promote {where.name} to {registered.registered_model} {registered.version}"
    return deliver(repository, edit, promotion_key=promotion_key, trailers=trailers, subject=subject)


def serving_digest(repository: ImageReference, storage_uri: str) -> tuple[Digest, ...]:
    """The digest of the image that serves, when it is in this repository: layers can be taken over from it."""
    serving = image_at(storage_uri)
    if serving is None or serving.name != repository.name or serving.digest is None:
        return ()
    return (serving.digest,)


def image_at(uri: str) -> ImageReference | None:
    """The image that a storageUri names; None for one that names something else."""
    try:
        return ImageReference.parse(uri.removeprefix("oci://"))
    except InvalidReference:
        return None
