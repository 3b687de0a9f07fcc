from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import InvalidSpec
from modelcar.reference import ImageReference
from modelcar.spec import PromotionSpec, parse_spec
from modelcar.spec.fields import BY_KEY
from modelcar.spec.values import is_secret_name

REQUIRED = {
    "apiVersion": "modelcar.dev/v1alpha1",
    "kind": "PromotionSpec",
    "model.source": "hf://acme/tiny-llama",
    "image.repository": "quay.io/acme/tiny-llama",
    "modelRegistry.url": "https://registry.example.com",
    "modelRegistry.registeredModel": "tiny-llama",
    "inferenceService.repository": "https://git.example.com/acme/serving.git",
    "inferenceService.path": "models/tiny-llama.yaml",
    "inferenceService.name": "tiny-llama",
}


def parse(values: dict[str, object]) -> PromotionSpec:
    """The shortest spec with other values, by dotted key."""
    root: dict[str, object] = {}
    for key, value in {**REQUIRED, **values}.items():
        *sections, name = key.split(".")
        place = root
        for section in sections:
            place = place.setdefault(section, {})  # type: ignore[assignment]
        place[name] = value
    return parse_spec(json.dumps(root), name="p.yaml", env={})


def fault(values: dict[str, object]) -> str:
    """The only fault, without file and line."""
    with pytest.raises(InvalidSpec) as caught:
        parse(values)
    (line,) = str(caught.value).splitlines()
    return line.removeprefix("p.yaml:1: ")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("apiVersion", "v1", "is 'v1', not 'modelcar.dev/v1alpha1'. This version reads no other."),
        ("kind", "Pod", "is 'Pod', not 'PromotionSpec'. This version reads no other."),
        (
            "model.source",
            "gs://bucket/model",
            "'gs://bucket/model' is not a model source. "
            "Write hf://org/name for a Hub, s3://bucket/prefix for a bucket, file:///dir for a directory, "
            "or oci://registry/repository:tag for an image.",
        ),
        (
            "model.source",
            "hf://",
            "'hf://' names no model. Write hf://org/name, s3://bucket/prefix, file:///dir or oci://registry/repository:tag.",
        ),
        ("model.source", "hf://a/b\x07", "'hf://a/b\\x07' holds a character that cannot be seen"),
        ("model.revision", "a b", "'a b' is not a revision. Write a branch, a tag or a commit hash."),
        ("model.revision", "", "is blank. Leave the key out instead."),
        ("model.allow", {}, "is a mapping, where a list belongs: [first, second]"),
        ("model.allow", "*", "is a string, where a list belongs: [first, second]"),
        (
            "image.repository",
            "acme/tiny",
            "image reference 'acme/tiny' does not name its registry. "
            "Write registry/repository:tag, for instance quay.io/team/model:latest.",
        ),
        (
            "image.repository",
            f"quay.io/acme/tiny@sha256:{'0' * 64}",
            f"'quay.io/acme/tiny@sha256:{'0' * 64}' has a digest. "
            "The push tells the digest; the tag has a key of its own, image.tag.",
        ),
        (
            "image.tag",
            "-x",
            "'-x' is not a tag. A tag has up to 128 letters, digits, _ . - and does not begin with . or -.",
        ),
        ("image.tag", ["x"], "is a list, where a string belongs"),
        ("image.platform", "linux/x86_64", "'linux/x86_64' is not a platform. Write linux/amd64."),
        ("image.platforms", "linux/amd64", "is a string, where a list belongs: [first, second]"),
        ("modelRegistry.url", "registry:8080", "is not a URL. Write https://host or http://host:port."),
        ("modelRegistry.url", "https://", "names no host. Write https://host."),
        ("modelRegistry.url", "https://host:port", "is not a URL. Its host or port cannot be read."),
        ("modelRegistry.url", "https://ho st", "is not a URL. There is a blank in it."),
        ("modelRegistry.url", "https://host?x=y", "has a part behind ? or #. Write the address alone."),
        ("modelRegistry.registeredModel", " x", "' x' begins or ends with a blank"),
        ("modelRegistry.registeredModel", "a\u200bb", "'a\\u200bb' holds a character that cannot be seen"),
        ("modelRegistry.registeredModel", "\t", "is blank. Leave the key out instead."),
        ("modelRegistry.registeredModel", "x" * 256, "has 256 characters; the Model Registry takes 255"),
        ("modelRegistry.version", "x" * 245, "has 245 characters; the Model Registry takes 244"),
        ("modelRegistry.owner", "x" * 256, "has 256 characters; the Model Registry takes 255"),
        (
            "modelRegistry.version",
            "a\\b",
            "'a\\\\b' holds a backslash. The Model Registry cannot look such a name up.",
        ),
        ("modelRegistry.version", 1.1, 'YAML takes 1.1 for a number; put it in quotes: "1.1"'),
        ("modelRegistry.version", True, 'YAML takes true for a boolean; put it in quotes: "true"'),
        ("modelRegistry.properties", [], "is a list, where a mapping belongs: {name: value}"),
        ("modelRegistry.modelFormat", "vLLM", "is a string, where keys belong"),
        ("inferenceService.branch", "a..b", "'a..b' is not the name of a branch. Write it as git branch shows it."),
        (
            "inferenceService.path",
            "/etc/passwd",
            "'/etc/passwd' is not a path inside the repository. Write it relative to the repository's root, with /.",
        ),
        (
            "inferenceService.path",
            "a/.git/config",
            "'a/.git/config' is not the path of a file. Write it as git ls-files shows it.",
        ),
        (
            "inferenceService.namespace",
            "a.b",
            "'a.b' is not a namespace. "
            "Lower-case letters, digits and -, at most 63, beginning and ending with a letter or digit.",
        ),
        (
            "inferenceService.name",
            "Tiny",
            "'Tiny' is not the name of a Kubernetes object. "
            "Lower-case letters, digits, - and ., at most 253, beginning and ending with a letter or digit.",
        ),
        ("hold", "yes", "'yes' is not a reason. Say why nothing may move, or leave the key out."),
        ("hold", True, "'true' is not a reason. Say why nothing may move, or leave the key out."),
        ("hold", "\ud800", "is a string with half a surrogate pair, where a string belongs"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_wrong_and_what_to_write(key: str, value: object, message: str) -> None:
    assert fault({key: value}) == f"{key}: {message}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.source", "https://user:hunter2@huggingface.co/acme/tiny"),
        ("image.repository", "https://user:hunter2@quay.io/acme/tiny"),
        ("image.baseImage", "docker://user:hunter2@quay.io/acme/tiny"),
        ("modelRegistry.url", "https://user:hunter2@registry.example.com"),
        ("modelRegistry.url", "https://hunter2@registry.example.com"),
        ("modelRegistry.url", "https://user:hunter2@registry.example.com:port"),
        ("modelRegistry.url", "ftp://user:hunter2@registry.example.com"),
        ("inferenceService.repository", "https://hunter2@git.example.com/x.git"),
        ("inferenceService.repository", "https://git.example.com/x.git?token=hunter2"),
        ("inferenceService.repository", "ssh://git:hunter2@git.example.com/x.git"),
        ("inferenceService.repository", "user:hunter2@git.example.com/x.git"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(key: str, value: str) -> None:
    assert "hunter2" not in fault({key: value})


@pytest.mark.parametrize("key", ["token", "model.hf_token", "image.registryPassword", "inferenceService.apiKey"])
def test_a_key_for_a_secret_is_refused_with_the_way_out_and_without_the_secret(key: str) -> None:
    assert fault({key: "hunter2"}) == (
        f"{key}: secrets do not belong in a spec, which lives in git: "
        "take it out and give it by environment variable or file"
    )


def test_a_property_for_a_secret_is_refused() -> None:
    assert fault({"modelRegistry.properties": {"api_token": "hunter2"}}).startswith(
        "modelRegistry.properties.api_token: secrets do not belong in a spec"
    )


@pytest.mark.parametrize("name", ["tokenizer", "max_tokens", "eos_token", "token_count", "secretary", "author"])
def test_a_name_that_only_sounds_like_a_secret_is_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["2nd", "a-b", "modelcar.dev/key", "a b", "", "é", "x" * 256])
def test_a_property_that_cannot_be_searched_for_is_refused(name: str) -> None:
    assert fault({"modelRegistry.properties": {name: "x"}}) == (
        f"modelRegistry.properties.{name}: is not a plain name (letters, digits and _, at most 255)"
    )


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("image.baseimage", "baseImage"),
        ("image.base_image", "baseImage"),
        ("modelregistry", "modelRegistry"),
        ("modelRegistry.registredModel", "registeredModel"),
        ("modelRegistry.namespace", "inferenceService.namespace"),
        ("image.branch", "inferenceService.branch"),
        ("branch", "inferenceService.branch"),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_may_be_meant(key: str, meant: str) -> None:
    assert fault({key: "x"}) == f"{key}: unknown key; did you mean {meant}?"


def test_an_unknown_key_that_is_like_no_other_is_just_unknown() -> None:
    assert fault({"image.zzz": "x"}) == "image.zzz: unknown key"


def test_a_key_with_a_line_end_stays_on_one_line() -> None:
    assert fault({"a\nb": "x"}) == r"'a\nb': unknown key"


def test_a_directory_has_no_revision() -> None:
    assert fault({"model.source": "file:///models/a@b", "model.revision": "main"}) == (
        "model.revision: a directory has no revisions; leave the key out"
    )


def test_a_bucket_has_no_revision() -> None:
    assert fault({"model.source": "s3://models/tiny@v1", "model.revision": "main"}) == (
        "model.revision: a bucket has no revisions; leave the key out"
    )


def test_a_revision_stands_in_one_place() -> None:
    assert fault({"model.source": "hf://acme/tiny@v1", "model.revision": "main"}) == (
        "model.revision: model.source names a revision too, behind @; keep one of them"
    )


def test_a_source_may_end_in_its_revision() -> None:
    assert parse({"model.source": "hf://acme/tiny@v1"}).model.source == "hf://acme/tiny@v1"


def test_a_property_of_our_own_is_refused() -> None:
    assert fault({"modelRegistry.properties": {"modelcar_content_key": "x"}}) == (
        "modelRegistry.properties.modelcar_content_key: is not free; modelcar_… is set by registering"
    )


def test_names_may_have_as_many_characters_as_the_model_registry_holds() -> None:
    spec = parse({"modelRegistry.registeredModel": "é" * 255, "modelRegistry.version": "x" * 244})
    assert spec.model_registry.registered_model == "é" * 255
    assert spec.model_registry.version == "x" * 244


def test_properties_are_sorted_by_name() -> None:
    spec = parse({"modelRegistry.properties": {"b": "1", "a": ""}})
    assert list(spec.model_registry.properties.items()) == [("a", ""), ("b", "1")]


def test_a_repository_may_be_on_a_port_of_this_machine() -> None:
    spec = parse({"image.repository": "localhost:5000/tiny"})
    assert spec.image.repository == ImageReference("localhost:5000", "tiny")


@settings(deadline=None)
@given(st.sampled_from(sorted(BY_KEY)), st.text())
def test_any_text_is_read_or_refused_and_nothing_else_happens(key: str, text: str) -> None:
    field = BY_KEY[key]
    value: object = {"string": text, "list": [text], "mapping": {text: text}}[field.shape]
    with contextlib.suppress(InvalidSpec):
        parse({key: value})
