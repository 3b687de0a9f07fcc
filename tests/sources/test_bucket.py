"""What a URI and the environment say of a bucket; `test_object_source` has a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput, InvalidReference
from modelcar.sources.bucket import Location, Server, find_server, open_store, parse_location

AWS = Server("https://s3.us-east-1.amazonaws.com", "us-east-1", None)


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://models/llama", Location("models", "llama")),
        ("s3://models/llama/", Location("models", "llama")),
        ("s3://models/a b/%41/é+?#", Location("models", "a b/%41/é+?#")),
        ("s3://models", Location("models", "")),
        ("s3://models/", Location("models", "")),
        ("s3://Old_Bucket.1/x", Location("Old_Bucket.1", "x")),
    ],
)
def test_a_uri_is_a_bucket_and_the_beginning_of_keys_as_they_are_written(uri: str, location: Location) -> None:
    assert parse_location(uri, {}) == location


def test_without_a_bucket_that_of_the_data_connection_is_meant() -> None:
    assert parse_location("s3:///llama/8b", {"AWS_S3_BUCKET": "models"}) == Location("models", "llama/8b")
    assert parse_location("s3://other/llama", {"AWS_S3_BUCKET": "models"}) == Location("other", "llama")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3:///llama", "'s3:///llama' names no bucket, and AWS_S3_BUCKET is not set"),
        ("s3:llama", "'s3:llama' does not name a bucket"),
        ("s3://a/llama", "'s3://a/llama' names no bucket: 'a' cannot be one"),
        ("s3://-models/llama", "'s3://-models/llama' names no bucket: '-models' cannot be one"),
        ("s3://models//llama", "'s3://models//llama' has an empty name, . or .. between slashes"),
        ("s3://models/a//", "'s3://models/a//' has an empty name, . or .. between slashes"),
        ("s3://models/../llama", "'s3://models/../llama' has an empty name, . or .. between slashes"),
        ("s3://models/a/./b", "'s3://models/a/./b' has an empty name, . or .. between slashes"),
        ("s3://models/a\nb", r"'s3://models/a\nb' has characters that cannot be printed"),
        ("s3://models/\udcff", r"'s3://models/\udcff' has characters that cannot be printed"),
    ],
)
def test_a_uri_that_names_no_directory_of_a_bucket_is_refused(uri: str, message: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_location(uri, {})
    assert str(caught.value) == message


@pytest.mark.parametrize("uri", ["s3://AKIA:planted@models/llama", "s3://planted@models", "s3://models:planted/x"])
def test_a_login_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_location(uri, {})
    assert "planted" not in f"{caught.value} {caught.value.hint}"


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1, max_size=4), max_size=3))
def test_what_is_read_from_a_uri_is_written_as_the_same_uri(parts: list[str]) -> None:
    uri = "/".join(["s3://models", *parts])
    try:
        location = parse_location(uri, {})
    except InvalidReference:
        assert not uri.isprintable() or {".", ".."} & set(parts)
    else:
        assert str(location) == uri
        assert parse_location(str(location), {}) == location


@pytest.mark.parametrize(
    ("environment", "server"),
    [
        ({}, AWS),
        ({"AWS_S3_ENDPOINT": "", "AWS_DEFAULT_REGION": " "}, AWS),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, Server("https://s3.eu-west-1.amazonaws.com", "eu-west-1", None)),
        (
            {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "cn-north-1"},
            Server("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1", None),
        ),
        (
            {"AWS_S3_ENDPOINT": "https://s3.amazonaws.com/", "AWS_DEFAULT_REGION": "us-east-2"},
            Server("https://s3.us-east-2.amazonaws.com", "us-east-2", None),
        ),
        (
            {"AWS_S3_ENDPOINT": "http://minio.data.svc:9000/"},
            Server("http://minio.data.svc:9000", "us-east-1", "AWS_S3_ENDPOINT"),
        ),
        ({"AWS_S3_ENDPOINT": "s3.data.svc"}, Server("https://s3.data.svc", "us-east-1", "AWS_S3_ENDPOINT")),
        (
            {"AWS_ENDPOINT_URL": "https://a", "AWS_S3_ENDPOINT": "https://b", "AWS_ENDPOINT_URL_S3": "https://c"},
            Server("https://c", "us-east-1", "AWS_ENDPOINT_URL_S3"),
        ),
        (
            {"AWS_ENDPOINT_URL": "https://a", "AWS_S3_ENDPOINT": "https://b"},
            Server("https://b", "us-east-1", "AWS_S3_ENDPOINT"),
        ),
        (
            {"AWS_S3_ENDPOINT": "https://s3.data.svc:8443", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            Server("https://models.s3.data.svc:8443", "us-east-1", "AWS_S3_ENDPOINT"),
        ),
    ],
)
def test_the_environment_says_where_a_bucket_is(environment: dict[str, str], server: Server) -> None:
    assert find_server("models", environment) == server


@pytest.mark.parametrize(
    "address",
    ["ftp://host", "https://", "https://user:planted@host", "https://host/planted", "https://[x", "https://host:0"],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        find_server("models", {"AWS_S3_ENDPOINT": address})
    assert str(caught.value) == "AWS_S3_ENDPOINT is not the address of a server"
    assert "planted" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "planted"}, "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_SECRET_ACCESS_KEY": "planted"}, "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"),
        (
            {"AWS_ACCESS_KEY_ID": "planted", "AWS_SECRET_ACCESS_KEY": "plant\ned"},
            "the S3 keys have characters that no key has",
        ),
        ({"AWS_SKIP_SIGNATURE": "perhaps"}, "AWS_SKIP_SIGNATURE is 'perhaps'"),
        (
            {"AWS_CA_BUNDLE": "/nowhere"},
            "the certificates to trust, '/nowhere', cannot be read: No such file or directory",
        ),
        (
            {"AWS_CA_BUNDLE": __file__},
            "an AWS_… variable has a value that cannot be, or the certificates to trust are none",
        ),
    ],
)
def test_an_environment_that_cannot_be_right_is_told_before_a_server_is_asked(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_store("models", AWS, environment)
    assert str(caught.value) == message
    assert "planted" not in (caught.value.hint or "")


def test_a_region_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'eu west' is not a region"):
        find_server("models", {"AWS_REGION": "eu west"})


def test_the_first_bundle_of_certificates_that_is_named_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'/first'"):
        open_store("models", AWS, {"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "/first", "SSL_CERT_FILE": "/second"})
