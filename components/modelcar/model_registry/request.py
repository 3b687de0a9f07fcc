"""What is to be registered, and how it is told to a Model Registry."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from modelcar.errors import InvalidInput, InvalidReference
from modelcar.model_registry.names import check_model_name, check_properties, check_version_name
from modelcar.reference import ImageReference

MODEL_FORMAT: Final = "vLLM"
"""What KServe's vLLM runtimes call what they serve, and people who register by hand write."""
MODEL_FORMAT_VERSION: Final = "1"
URI_PROPERTY: Final = "modelcar_image_uri"
RECIPE_PROPERTY: Final = "modelcar_recipe_key"
METRICS_PROPERTY: Final = "modelcar_metrics"
_CREDENTIALS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@")


@dataclass(frozen=True, slots=True)
class Registration:
    """What a Model Registry is told of an image.

    Attributes:
        registered_model: Name, 1 to 255 characters; made if it is not there.
        version: Name within the model, 1 to 244 characters.
        image: With a digest; a tag is not kept.
        content_key: What the image is; None for an image that this package did not make.
        source_uri: Where the model comes from, `hf://org/name` and the like, without credentials.
        revision: Branch, tag or commit that was asked for.
        commit_hash: What it resolved to.
        model_format: By default `vLLM`.
        model_format_version: By default `1`.
        owner: Of the registered model, if it is made.
        author: Of the version.
        description: Of the version.
        properties: Custom properties of the version beside those that are set here, by plain identifiers.
        size_bytes: Of the image's layers.
        recipe_key: Which training the model came of, 64 hex digits; None when it was not trained here.
        metrics: What that training measured; None when nobody knows.
        training_data: What it trained on, with the commit where there is one; None when nobody knows.
    """

    registered_model: str
    version: str
    image: ImageReference
    content_key: str | None = None
    source_uri: str | None = None
    revision: str | None = None
    commit_hash: str | None = None
    model_format: str | None = None
    model_format_version: str | None = None
    owner: str | None = None
    author: str | None = None
    description: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    recipe_key: str | None = None
    metrics: Mapping[str, float] | None = None
    training_data: str | None = None

    def check(self) -> None:
        """Refuse what the server would refuse, or keep for ever; asks nobody.

        Raises:
            InvalidInput: A name, a property's name or the source's URI.
            InvalidReference: The image has no digest.
        """
        check_model_name(self.registered_model)
        check_version_name(self.version)
        check_properties(self.properties)
        if self.image.digest is None:
            raise InvalidReference(
                f"image {self.image} has no digest", hint="Register repository@sha256:…; a tag can move."
            )
        for what, uri in (("source", self.source_uri), ("data", self.training_data)):
            if uri is not None and _CREDENTIALS.match(uri):
                raise InvalidInput(
                    f"the {what}'s URI holds credentials", hint="Leave them out: everyone could read them."
                )

    @property
    def uri(self) -> str:
        """`oci://registry/repository@sha256:…`."""
        assert self.image.digest is not None  # noqa: S101 - check() comes first
        return f"oci://{self.image.at(self.image.digest)}"

    @property
    def identity(self) -> str:
        """64 hex digits: which model, which version, which bytes; the same for everyone who registers it."""
        parts = (self.registered_model, self.version, str(self.image.digest))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def describe_version(self) -> dict[str, str]:
        """Custom properties of the version."""
        own: dict[str, str | None] = {
            RECIPE_PROPERTY: self.recipe_key,
            METRICS_PROPERTY: None if self.metrics is None else json.dumps(self.metrics, sort_keys=True),
            "modelcar_training_data": self.training_data,
            "modelcar_content_key": self.content_key,
            "modelcar_image_digest": str(self.image.digest),
            URI_PROPERTY: self.uri,
            "modelcar_source_uri": self.source_uri,
            "modelcar_revision": self.revision,
            "modelcar_commit_hash": self.commit_hash,
            # As text: the Model Registry's own client cannot read whole numbers of more than nine digits.
            "modelcar_size_bytes": None if self.size_bytes is None else str(self.size_bytes),
        }
        return {**self.properties, **{key: value for key, value in own.items() if value is not None}}

    def describe_artifact(self) -> dict[str, str]:
        """Custom properties of the artifact: what is enough to know the image."""
        wanted = ("modelcar_content_key", "modelcar_image_digest", "modelcar_size_bytes")
        return {key: value for key, value in self.describe_version().items() if key in wanted}

    def describe_source(self) -> dict[str, str]:
        """The API's own fields for where a model comes from, as far as the URI says it.

        Source: https://github.com/kubeflow/model-registry/blob/main/api/openapi/model-registry.yaml (modelSourceKind).
        """
        kind, scheme, path = (self.source_uri or "").partition("://")
        if not scheme:
            return {}
        fields = {
            "model_source_kind": kind,
            "model_source_group": path.partition("/")[0],
            "model_source_id": self.commit_hash,
            # An image's address has its digest, beside which the tag that it was found by says nothing.
            "model_source_name": f"{path}:{self.revision}" if self.revision and kind != "oci" else path,
        }
        return {key: value for key, value in fields.items() if value}
