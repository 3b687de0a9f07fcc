"""Check 24: which images run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gitops_tree.checks.references import IMAGE_REGISTRY
from gitops_tree.checks.registry import check
from gitops_tree.objects import annotations_of, describe, name_of
from gitops_tree.pods import pods
from gitops_tree.tree import Tree

REGISTRIES: Final = ("registry.redhat.io/", "quay.io/", f"{IMAGE_REGISTRY}/")
BY_TAG: Final = {
    "registry.redhat.io/rhel9/mysql-84:1-1777466422": "its digest is told to nobody without a login; the tag, which "
    "public deployments name, is of one build",
    "registry.redhat.io/rhaiis/vllm-cuda-rhel9:3.2.0": "no public source states its digest; the tag is of one release",
    "quay.io/minio/minio:RELEASE.2025-07-23T15-54-02Z": "no public source states its digest; the tag is of one release",
    "quay.io/modelcar-pipelines/modelcar-python:0.1.0": "our own; the tag is of this release",
    f"{IMAGE_REGISTRY}/private-ai-demo/modelcar-python:0.1.0": "our own; built in the cluster, from this commit",
    f"{IMAGE_REGISTRY}/private-ai-demo/modelcar-workbench:0.1.0": "our own; built in the cluster, from this commit",
}
"""Images that are not pinned by a digest, and why; a digest that nobody published would be made up."""
NEVER_BUILT: Final = "0" * 64
_PINNED: Final = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_STORAGE: Final = re.compile(r"oci://([^@:\s]+:\d+/|)([^@:\s]+)@sha256:([0-9a-f]{64})")


@check(24, "Every image is by digest, or is listed with the reason; no tag is latest; models are by digest only")
def images(tree: Tree) -> Iterator[str]:
    """The list overrides "pinned without exception": no digest is invented, and a listed tag is of a version."""
    seen = set()
    for pod in pods(tree):
        for container in pod.own_containers:
            image = container.get("image", "")
            if pod.kind != "BuildConfig":
                seen.add(image)
                yield from (f"{pod.owner}, container {container['name']}: {problem}" for problem in _unpinned(image))
    yield from (f"{image} is listed as an image without a digest, and nothing runs it" for image in set(BY_TAG) - seen)
    yield from _models(tree)


def _unpinned(image: str) -> Iterator[str]:
    if not image.startswith(REGISTRIES):
        yield f"{image or 'no image'} is of no registry that is allowed"
    if not _PINNED.fullmatch(image) and image not in BY_TAG:
        yield f"{image} has no digest, and no reason for that is listed"


def _models(tree: Tree) -> Iterator[str]:
    pushed = {one["inferenceService"]["name"]: one["image"]["repository"] for one in tree.specs.values()}
    for one in tree.of_kind("InferenceService"):
        uri = one["spec"]["predictor"]["model"].get("storageUri", "")
        found = _STORAGE.fullmatch(uri)
        if found is None:
            yield f"{describe(one)}: {uri} is no oci:// reference by digest"
        elif not uri.startswith(f"oci://{pushed.get(name_of(one))}@"):
            yield f"{describe(one)}: {uri} is not where its promotions push"
        elif found[3] == NEVER_BUILT and annotations_of(one).get("serving.kserve.io/stop") != "true":
            yield f"{describe(one)} runs, and its image was never built"
