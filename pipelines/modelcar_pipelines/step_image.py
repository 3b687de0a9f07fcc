"""The image that steps run in, as pipelines name it: a tag of OpenShift's own registry by its digest.

Behind such a tag is an ImageStream, which a build moves at any time; a pipeline that names the digest runs what it was
compiled for, and its version on the server is another one when the image is.

Source: https://docs.openshift.com/container-platform/latest/rest_api/image_apis/imagestream-image-openshift-io-v1.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from modelcar.errors import InvalidInput, PipelineServerError, PromotionError
from modelcar.reference import Digest, ImageReference
from modelcar_pipelines.cluster import find_cluster

STEP_IMAGE: Final = "MODELCAR_STEP_IMAGE"
"""The variable that names a team's own; a workbench image has it, so that a notebook uploads no other."""
GROUP: Final = "image.openshift.io"
CLUSTER_REGISTRY: Final = "image-registry.openshift-image-registry.svc"
"""The registry's name inside its cluster, which is how pods pull from it."""


def choose_image(image: str | None, env: Mapping[str, str] = os.environ) -> str | None:
    """The step image of what is uploaded: the one that is named, else the team's, else None for the release's."""
    return image or env.get(STEP_IMAGE) or None


def resolve_image(image: str, env: Mapping[str, str] = os.environ) -> str:
    """The reference that pods are to pull.

    Args:
        image: As somebody wrote it; a tag of the cluster's own registry is looked up, all else stays.
        env: Where the cluster is; see `find_cluster`.

    Raises:
        InvalidReference: It is no image reference.
        InvalidInput: It names neither tag nor digest; or there is no such ImageStream, or nothing behind the tag.
        PromotionError: The cluster, which alone knows the digest, cannot be asked.
    """
    reference = ImageReference.parse(image)
    if reference.tag is None and reference.digest is None:
        raise InvalidInput(f"{image} names neither tag nor digest", hint=f"Write {image}:0.1.0, or better a digest.")
    if reference.digest is not None or reference.registry.partition(":")[0] != CLUSTER_REGISTRY:
        return str(reference)
    namespace, slash, name = reference.repository.partition("/")
    if not slash or "/" in name:
        raise InvalidInput(
            f"{image} is in the cluster's own registry, where images are called NAMESPACE/NAME",
            hint=f"Write {CLUSTER_REGISTRY}:5000/NAMESPACE/NAME:TAG.",
        )
    try:
        cluster = find_cluster(env)
        streams = cluster.list_objects(GROUP, "v1", namespace, "imagestreams")
    except PipelineServerError as error:
        found = PromotionError if error.exit_code == 1 else InvalidInput
        raise found(
            f"the digest of {image} is known to its cluster only, which cannot be asked: {error}",
            hint="Name the image by its digest, or log in to the cluster with oc login.",
        ) from error
    if streams is None:
        raise InvalidInput(
            f"the cluster at {cluster.url} is not that of {image}: it has no ImageStreams",
            hint="Check which cluster the kubeconfig names, or name the image by its digest.",
        )
    digest = _find_digest(streams, name, reference.tag or "", image)
    return str(replace(reference, tag=None, digest=digest))


def _find_digest(streams: list[dict[str, Any]], name: str, tag: str, image: str) -> Digest:
    stream = next((one for one in streams if one["metadata"]["name"] == name), None)
    if stream is None:
        names = ", ".join(sorted(str(one["metadata"]["name"]) for one in streams))
        raise InvalidInput(
            f"the cluster has no ImageStream for {image}",
            hint=f"That namespace has {names}." if names else "That namespace has none; push the image there first.",
        )
    # What a tag points to now comes first; one that was never pushed or imported has no items.
    tags = {one["tag"]: one["items"][0]["image"] for one in _tags(stream) if one.get("items")}
    if tag not in tags:
        raise InvalidInput(
            f"there is no image behind {image}",
            hint=f"Its ImageStream has images for {', '.join(sorted(tags))}."
            if tags
            else "Push the image there first.",
        )
    return Digest.parse(tags[tag])


def _tags(stream: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((stream.get("status") or {}).get("tags") or ())
