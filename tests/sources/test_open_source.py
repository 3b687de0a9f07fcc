from __future__ import annotations

import pytest

from modelcar.errors import InvalidReference
from modelcar.sources.hub import HubSource
from modelcar.sources.open import open_source

SCHEMES = "Write hf://org/name for a model on a Hub, s3://bucket/prefix for a bucket, or file:///dir for a directory."


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        (
            "oci://quay.io/a/b",
            "An image is a source of push, plan and promote; its files cannot be downloaded or trained from.",
        ),
        ("gs://bucket/model", SCHEMES),
        ("", SCHEMES),
        ("s3a://bucket/model", "Write s3://bucket/model."),
        ("https://bucket.s3.eu-west-1.amazonaws.com/models/llama", "Write s3://bucket/models/llama."),
        ("/data/model", "Write file:///data/model for a directory."),
        ("org/name", "Write hf://org/name for a model on a Hub, or file:// and an absolute path for a directory."),
        ("https://huggingface.co/org/name/tree/main", "Write hf://org/name."),
    ],
)
def test_what_is_no_source_is_answered_with_what_was_meant(uri: str, hint: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        open_source(uri)
    assert str(caught.value) == f"{uri!r} is not the address of a model"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "uri",
    ["hf://", "hf://a/b/c", "hf://org/", "hf:///name", "hf://-a/b", "hf://a..b", "hf://org/name:main", "hf://o r/n"],
)
def test_a_name_that_no_model_has_is_refused(uri: str) -> None:
    with pytest.raises(InvalidReference, match="is not the name of a model"):
        open_source(uri)


@pytest.mark.parametrize("uri", ["hf://org/name@", "hf:org/name", "hf:/org/name"])
def test_half_a_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidReference, match="does not name a model"):
        open_source(uri)


@pytest.mark.parametrize("kind", ["datasets", "spaces"])
def test_what_is_not_a_model_cannot_be_served(kind: str) -> None:
    with pytest.raises(InvalidReference, match=f"names one of the Hub's {kind}"):
        open_source(f"hf://{kind}/org/name")


def test_a_model_has_no_kind_in_front() -> None:
    with pytest.raises(InvalidReference) as caught:
        open_source("hf://models/org/name")
    assert caught.value.hint == "Write hf://org/name."


def test_a_name_without_an_organisation_is_a_model_too() -> None:
    assert isinstance(open_source("hf://gpt2"), HubSource)


def test_a_signed_address_is_not_repeated() -> None:
    with pytest.raises(InvalidReference) as caught:
        open_source("https://bucket.s3.amazonaws.com/model?X-Amz-Signature=secret")
    assert str(caught.value) == "'https://bucket.s3.amazonaws.com/model' is not the address of a model"
    assert caught.value.hint == "Write s3://bucket/model."


def test_a_bucket_has_no_revision() -> None:
    with pytest.raises(InvalidReference) as caught:
        open_source("s3://bucket/model", revision="main")
    assert str(caught.value) == "a bucket has no revisions"
    assert caught.value.hint == "Leave 'main' out."


def test_a_directory_has_no_revision() -> None:
    with pytest.raises(InvalidReference, match="is a directory and has no revisions"):
        open_source("file:///data", revision="main")
