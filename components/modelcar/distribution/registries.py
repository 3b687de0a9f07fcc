"""What is known of registries that differ from the specification, or that limit what they take.

One row each, with its sources. A row whose sources are other people's reports says so: none of these services was
asked here. What a row does not know is found out while pushing (`modelcar.distribution.ladder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

MIB, GIB = 1 << 20, 1 << 30

Way = Literal["patch", "patch without length", "chunks", "put"]
"""How a blob travels: one `PATCH` that states its length; one that does not (chunked transfer coding); several that
follow each other; one `PUT` with the digest, for which a stream is read twice."""


@dataclass(frozen=True, slots=True)
class RegistryProfile:
    """One kind of registry.

    Attributes:
        name: As people call it.
        hosts: Patterns of its hosts, as `fnmatch` reads them: with a port only where the pattern has one.
        sources: Where each fact is from.
        stream: The way in which a blob is sent first whose digest is not known; a large one of known digest, too, where
            `resumes` holds.
        takes_chunks: Whether one blob may come in several `PATCH` requests.
        max_layer_bytes: The largest layer that it stores; None where no limit is known.
        max_patch_bytes: The longest body that one `PATCH` may state; None where no limit is known.
        resumes: Whether an upload that broke off goes on where the registry says that it stands.
        takes_pod_token: Whether the token of a pod's service account is a password here.
        verified: Whether the sources are its makers' own documents or code; else they are reports.
    """

    name: str
    hosts: tuple[str, ...]
    sources: tuple[str, ...]
    stream: Way = "patch"
    takes_chunks: bool = True
    max_layer_bytes: int | None = None
    max_patch_bytes: int | None = None
    resumes: bool = True
    takes_pod_token: bool = False
    verified: bool = False


def find_registry(host: str) -> RegistryProfile:
    """The row of a registry.

    Args:
        host: As images are called by, with optional port.

    Returns:
        `DEFAULT` for a host that no row names.
    """
    name = host.lower()
    bare = name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name
    for profile in REGISTRIES:
        for pattern in profile.hosts:
            if fnmatchcase(name if ":" in pattern else bare, pattern):
                return profile
    return DEFAULT


DEFAULT = RegistryProfile(
    "OCI registry",
    (),
    ("https://github.com/opencontainers/distribution-spec/blob/main/spec.md",),
    verified=True,
)
"""Docker's registry, zot, and whatever answers as the specification says."""

REGISTRIES: tuple[RegistryProfile, ...] = (
    RegistryProfile(
        "GitHub Container Registry",
        ("ghcr.io", "containers.*.ghe.com"),
        (
            # HTTP 416 for a PATCH that states more than 4 MiB; the same bytes in chunked transfer coding pass.
            "https://github.com/ocx-sh/ocx/pull/237",
            "https://github.com/kitops-ml/kitops/blob/main/pkg/lib/repo/remote/upload-format.go",
            # 10 GB a layer, ten minutes an upload.
            "https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry",
        ),
        stream="patch without length",
        max_layer_bytes=10 * GIB,
        max_patch_bytes=4 * MIB,
    ),
    RegistryProfile(
        "Google Artifact Registry",
        ("*.pkg.dev", "gcr.io", "*.gcr.io"),
        (
            # No chunked uploads.
            "https://cloud.google.com/artifact-registry/docs/reference/docker-api",
            # One PATCH of everything passes.
            "https://github.com/containers/skopeo/issues/1101",
        ),
        takes_chunks=False,
        resumes=False,
    ),
    RegistryProfile(
        "Amazon ECR Public",
        ("public.ecr.aws",),
        (
            "https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html",
            "https://github.com/aws/containers-roadmap/issues/2831",
        ),
        max_layer_bytes=10_000 * MIB,
        resumes=False,
        verified=True,
    ),
    RegistryProfile(
        "Amazon ECR",
        ("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn", "*.dkr-ecr.*.on.aws"),
        (
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html",
            # 201 for a PATCH in the middle, and a Range that stays where the first one ended.
            "https://github.com/aws/containers-roadmap/issues/2831",
        ),
        max_layer_bytes=52_000 * MIB,
        resumes=False,
        verified=True,
    ),
    RegistryProfile(
        "Azure Container Registry",
        ("*.azurecr.io", "*.azurecr.cn", "*.azurecr.us"),
        ("https://learn.microsoft.com/en-us/azure/container-registry/container-registry-skus",),
        max_layer_bytes=200 * GIB,
        verified=True,
    ),
    RegistryProfile(
        "Quay",
        ("quay.io",),
        # MAXIMUM_LAYER_SIZE, 20G where nobody set it; a Quay of one's own may say otherwise, so no pattern names those.
        ("https://github.com/quay/quay/blob/master/config.py", "https://access.redhat.com/solutions/7088073"),
        max_layer_bytes=20 * GIB,
    ),
    RegistryProfile(
        "Harbor",
        ("harbor.*", "*.goharbor.io"),
        # nginx' body size and timeouts decide; its framework ends at 128 GiB.
        ("https://github.com/goharbor/harbor/issues/18888",),
        max_layer_bytes=128 * GIB,
    ),
    RegistryProfile(
        "JFrog Artifactory",
        ("*.jfrog.io", "artifactory.*"),
        # PATCHes of one upload that reach several nodes fail behind a balancer that does not keep them together.
        ("https://github.com/containerd/containerd/issues/3533",),
        takes_chunks=False,
        resumes=False,
    ),
    RegistryProfile(
        "Docker Hub",
        ("docker.io", "index.docker.io", "registry-1.docker.io"),
        ("https://github.com/google/go-containerregistry/issues/1741",),
    ),
    RegistryProfile(
        "OpenShift's registry",
        (
            "image-registry.openshift-image-registry.svc:5000",
            "image-registry.openshift-image-registry.svc.cluster.local:5000",
        ),
        # A token as password, whatever the user is called. A route to it is not named: anybody can have a host that
        # begins as routes do, and would be given the pod's token.
        (
            "https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/registry/accessing-the-registry",
        ),
        takes_pod_token=True,
        verified=True,
    ),
)
