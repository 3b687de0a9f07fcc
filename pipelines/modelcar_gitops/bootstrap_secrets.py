"""Secrets that git does not hold: which there are, what is in them, and who makes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from modelcar_gitops import NAMESPACE

REGISTRY_NAMESPACE: Final = "rhoai-model-registries"
"""Where OpenShift AI has its Model Registries."""
BY_HAND: Final = "you"


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret that something in the tree, or a pipeline, reads.

    Attributes:
        namespace: Where it is.
        name: `metadata.name`.
        keys: That are read from it, all of them.
        purpose: What it is for, as the end of a sentence.
        optional: Whether everything that reads it does without, less well: whether it may be left out.
        made_by: `Job NAME`, of the tree and in the same namespace, or `BY_HAND`.
    """

    namespace: str
    name: str
    keys: tuple[str, ...]
    purpose: str
    optional: bool
    made_by: str


SECRETS: Final = (
    Secret(
        REGISTRY_NAMESPACE,
        "mysql-credentials",
        ("password", "root-password"),
        "the Model Registry's login to its database",
        optional=False,
        made_by="Job mysql-credentials",
    ),
    Secret(
        NAMESPACE,
        "dspa-object-store",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        "the pipeline server's login to its object store",
        optional=False,
        made_by="Job object-store-credentials",
    ),
    Secret(
        NAMESPACE,
        "modelcar-git",
        ("username", "password"),
        "pushing promotions to the git repository that Argo CD applies",
        optional=False,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-hub",
        ("token",),
        "reading models of the Hub that are private or gated",
        optional=True,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-s3",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_ENDPOINT", "AWS_DEFAULT_REGION", "AWS_S3_BUCKET"),
        "reading models of a bucket; a data connection of that name is one",
        optional=True,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-registry",
        (".dockerconfigjson",),
        "pushing images to a registry that is not the cluster's own, and pulling the base image",
        optional=True,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-model-registry",
        ("token",),
        "a Model Registry that does not let the pipeline's account in",
        optional=True,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-pull",
        (".dockerconfigjson",),
        "pulling the step image from a registry that is not the cluster's own",
        optional=True,
        made_by=BY_HAND,
    ),
    Secret(
        NAMESPACE,
        "modelcar-webhook",
        ("secret",),
        "telling the Hub's webhooks from anybody else's, where compiled/tekton/trigger is applied",
        optional=True,
        made_by=BY_HAND,
    ),
)
"""The contract: nothing in the tree or in a compiled pipeline reads any other."""
