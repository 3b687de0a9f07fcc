"""Every key that a PromotionSpec has: the one table that reads, checks, documents and completes it.

`FIELDS` drives `modelcar.spec.reading`, `modelcar.spec.schema` (completion in editors) and the tests that hold
docs/reference/promotion-spec.md to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from modelcar.quantities import parse_bytes
from modelcar.reference import Platform, parse_tag
from modelcar.spec import values

API_VERSION = "modelcar.dev/v1alpha1"
KIND = "PromotionSpec"


@dataclass(frozen=True, slots=True)
class Field:
    """One key.

    Attributes:
        key: Keys from the root, joined by dots.
        about: One line for people, without a full stop at the end.
        read: From a string of the file to the value, or InvalidInput; for lists and mappings, of each item.
        shape: "string", a "list" of strings, or a "mapping" of strings by names.
        required: Whether it must stand in the file (or in `variable`); in an optional section, once that is there.
        default: What counts when nothing is written, as it would be written; None for "nothing".
        variable: Environment variable that counts before `default`, or None.
        only: The one value that it may have, or None.
        check_name: Refuses what cannot be a name in a mapping.
    """

    key: str
    about: str
    read: Callable[[str], object] = values.read_line
    shape: Literal["string", "list", "mapping"] = "string"
    required: bool = False
    default: str | None = None
    variable: str | None = None
    only: str | None = None
    check_name: Callable[[str], None] = values.check_property_name

    @property
    def section(self) -> str:
        """Key of the mapping that it stands in; empty for the root."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


FIELDS = (
    Field("apiVersion", "The format of this file", required=True, only=API_VERSION),
    Field("kind", "What this file is", required=True, only=KIND),
    Field("model.source", "Where the model is: hf://, s3://, file:// or oci://", values.read_source, required=True),
    Field("model.revision", "Branch, tag or commit on the Hub; without it, the default branch", values.read_revision),
    Field("model.allow", "Patterns of the files that go into the image", shape="list"),
    Field("model.ignore", "Patterns of the files that stay out", shape="list"),
    Field("model.allowPickle", "Pickle files that may go into the image, each by name", shape="list"),
    Field(
        "image.repository",
        "Where the image goes: registry/repository, without tag or digest",
        values.read_image_repository,
        required=True,
    ),
    Field("image.tag", "The friendly tag; it moves with every promotion", parse_tag, default="latest"),
    Field(
        "image.baseImage",
        "What the model is put on: an image with a tag or digest, scratch, or same for an oci:// source's own",
        values.read_base_image,
        default="registry.access.redhat.com/ubi9/ubi-micro:latest",
        variable="MODELCAR_BASE_IMAGE",
    ),
    Field("image.platform", "Stated in the image, whatever machine builds it", Platform.parse, default="linux/amd64"),
    Field(
        "image.platforms",
        "Several platforms, in place of platform: one set of model layers, under an index",
        Platform.parse,
        shape="list",
    ),
    Field(
        "image.maxLayerSize",
        "What the registry takes as one layer, such as 10GiB; layers of several files are closed before",
        parse_bytes,
    ),
    Field(
        "image.reuseFrom",
        "Images in other repositories of the same registry to take layers from, each with a tag or digest",
        values.read_image,
        shape="list",
    ),
    Field(
        "modelRegistry.url",
        "Where the Kubeflow Model Registry listens",
        values.read_http_url,
        required=True,
        variable="MODEL_REGISTRY_URL",
    ),
    Field(
        "modelRegistry.registeredModel",
        "Name of the registered model; it can never be renamed or deleted",
        values.read_model_name,
        required=True,
    ),
    Field(
        "modelRegistry.version",
        "Name of the model version; without it, the first 12 hex digits of the image digest",
        values.read_version_name,
    ),
    Field("modelRegistry.owner", "Who owns the registered model", values.read_short_line),
    Field("modelRegistry.author", "Who made the model version", values.read_short_line),
    Field("modelRegistry.description", "What the model version is, in free text", values.read_text),
    Field(
        "modelRegistry.modelFormat.name",
        "Format of the model artifact; without modelFormat, vLLM",
        values.read_short_line,
        required=True,
    ),
    Field("modelRegistry.modelFormat.version", "Version of that format; without it, 1", values.read_short_line),
    Field("modelRegistry.properties", "Properties of the model version", str, shape="mapping"),
    Field(
        "inferenceService.repository",
        "The git repository that Argo CD watches",
        values.read_git_remote,
        required=True,
        variable="MODELCAR_GIT_URL",
    ),
    Field("inferenceService.branch", "The branch that Argo CD watches", values.read_branch, default="main"),
    Field("inferenceService.path", "The manifest's file in that repository", values.read_path, required=True),
    Field("inferenceService.name", "metadata.name of the InferenceService", values.read_object_name, required=True),
    Field(
        "inferenceService.namespace",
        "Its metadata.namespace, where one file holds several of the same name",
        values.read_namespace,
    ),
    Field(
        "training.data",
        "Where the training data comes from: file:// or hf://datasets/",
        values.read_data_source,
        required=True,
    ),
    Field(
        "training.dataRevision",
        "Branch, tag or commit of the data on the Hub; without it, the default branch",
        values.read_revision,
    ),
    Field(
        "training.image",
        "The image that trains, by digest or tag, with Python and this package; without it, that of the other steps",
        values.read_image,
    ),
    Field(
        "training.entryPoint",
        "Function in that image that trains, package.module:function; this or command",
        values.read_entry_point,
    ),
    Field(
        "training.command",
        "Program in that image that trains, with its arguments; this or entryPoint",
        values.read_argument,
        shape="list",
    ),
    Field(
        "training.parameters",
        "The recipe: what the trainer is told, by name",
        values.read_argument,
        shape="mapping",
        check_name=values.check_plain_name,
    ),
    Field(
        "training.floors",
        "What metrics must hold, by name: at least 0.8, or at most 2.5",
        values.read_floor,
        shape="mapping",
        check_name=values.check_plain_name,
    ),
    Field("hold", "Why nothing may be promoted now; promote stops before anything moves", values.read_reason),
)

OPTIONAL_SECTIONS = frozenset({"modelRegistry.modelFormat", "training"})
SECTIONS = frozenset(field.section for field in FIELDS) - {""}
BY_KEY = {field.key: field for field in FIELDS}
