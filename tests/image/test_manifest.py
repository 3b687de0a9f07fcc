from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_files import Files, no_check
from modelcar.errors import DistributionError
from modelcar.image.content import FileContent
from modelcar.image.layer import LayerStream
from modelcar.image.manifest import (
    BASE_DIGEST_ANNOTATION,
    LAYER_TYPE,
    MANIFEST_TYPE,
    BaseImage,
    ImageDocuments,
    build_documents,
    compute_content_key,
    layer_descriptor,
    parse_base,
    parse_config_digest,
    parse_layers,
)
from modelcar.image.packing import plan_layers
from modelcar.reference import Digest, Platform

AMD64 = Platform("linux", "amd64")
DIGEST = Digest.of(b"layer")


def build(source: Files, base: BaseImage | None = None, platform: Platform = AMD64) -> ImageDocuments:
    layers = plan_layers(source.files, base_layers=0)
    descriptors = []
    for layer in layers:
        stream = LayerStream(layer, source.open, no_check)
        descriptors.append(layer_descriptor(stream.drain(), len(stream), stream.contents))
    return build_documents(descriptors, [layer.title for layer in layers], platform=platform, base=base)


def base_documents(**changes: Any) -> tuple[bytes, bytes]:
    """Manifest and config of a base image with two layers, as docker makes them."""
    layers = [gzip.compress(b"one", mtime=0), gzip.compress(b"two", mtime=0)]
    docker = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"one")), str(Digest.of(b"two"))]},
        "history": [
            {"created": "2024-05-01T00:00:00Z", "created_by": "ADD one"},
            {"created": "2024-05-01T00:00:00Z", "created_by": "ENV PATH", "empty_layer": True},
            {"created": "2024-05-01T00:00:00Z", "created_by": "ADD two"},
        ],
    }
    config |= changes.pop("config", {})
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "layers": [{"mediaType": docker, "digest": str(Digest.of(x)), "size": len(x)} for x in layers],
    }
    return json.dumps(manifest | changes).encode(), json.dumps(config).encode()


MODEL = {
    "config.json": b'{"model_type":"llama"}',
    "model.safetensors": bytes(4 << 20),
    "tokenizer/vocab.txt": "ä\n".encode(),
}


def test_the_documents_of_layer_format_1_never_change() -> None:
    documents = build(Files(MODEL))
    layers = [str(layer.digest) for layer in parse_layers(documents.manifest)]
    assert layers == [
        "sha256:500d94b0417d1fdd5fc513012c16a3b36ddcef75132fa3cf11764207a4cfc472",
        "sha256:ec44875b5f7324f110309032ef076b8f106faac035d50fdcf7547d15414a3c24",
        "sha256:0ed751e3cc2ef9ef092582ce07f116a4a39a9de392c064f6c6af99c4ab71ea41",
    ]
    assert str(Digest.of(documents.config)) == "sha256:3a1d2168916e20c5a6a775ef6cbb83406a6c7a89bf97d255ae4f92e6bdc3a7a6"
    assert str(documents.digest) == "sha256:60138931b77103a008a339533123995b2378f70ccf067735c9437640f6150947"


def test_the_config_says_platform_layers_and_history_and_nothing_else() -> None:
    config = json.loads(build(Files({"a.json": b"{}"})).config)
    layers = [str(layer.digest) for layer in parse_layers(build(Files({"a.json": b"{}"})).manifest)]
    assert config == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": layers},
        "history": [{"created_by": "modelcar: directories"}, {"created_by": "modelcar: a.json"}],
    }


def test_a_variant_of_the_platform_is_stated() -> None:
    config = json.loads(build(Files({"a": b""}), platform=Platform("linux", "arm64", "v8")).config)
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")


def test_the_manifest_names_its_config_and_its_type() -> None:
    documents = build(Files({"a": b""}))
    manifest = json.loads(documents.manifest)
    assert manifest["mediaType"] == MANIFEST_TYPE
    assert manifest["config"]["size"] == len(documents.config)
    assert parse_config_digest(documents.manifest) == Digest.of(documents.config)


@pytest.mark.parametrize("with_base", [False, True])
def test_there_is_no_clock_anywhere(with_base: bool) -> None:
    base = parse_base("base", *base_documents()) if with_base else None
    documents = build(Files(MODEL), base)
    assert b"created" not in documents.config.replace(b'"created_by"', b"")
    assert b"created" not in documents.manifest
    assert b"2024" not in documents.config + documents.manifest


def test_on_a_base_image_its_layers_settings_and_history_come_first() -> None:
    base = parse_base("base", *base_documents())
    documents = build(Files({"a.json": b"{}"}), base)
    config, manifest = json.loads(documents.config), json.loads(documents.manifest)
    assert config["config"] == {"Env": ["PATH=/bin"], "Cmd": ["sh"]}
    assert config["rootfs"]["diff_ids"][:2] == [str(Digest.of(b"one")), str(Digest.of(b"two"))]
    assert [entry["created_by"] for entry in config["history"]] == [
        "ADD one",
        "ENV PATH",
        "ADD two",
        "modelcar: directories",
        "modelcar: a.json",
    ]
    assert manifest["annotations"] == {BASE_DIGEST_ANNOTATION: str(Digest.of(base_documents()[0]))}


def test_dockers_media_types_of_a_base_become_ocis() -> None:
    manifest = json.loads(build(Files({"a": b""}), parse_base("base", *base_documents())).manifest)
    assert [layer["mediaType"] for layer in manifest["layers"]] == [
        f"{LAYER_TYPE}+gzip",
        f"{LAYER_TYPE}+gzip",
        LAYER_TYPE,
        LAYER_TYPE,
    ]


HISTORIES = [
    None,
    [],
    "nonsense",
    ["nonsense"],
    [{"created_by": "one for two layers"}],
    [{"created_by": "a"}, {"created_by": "b"}, {"created_by": "three for two layers"}],
    [{"empty_layer": True}, {"created_by": "a"}, {"created_by": "b"}],
]


@pytest.mark.parametrize("history", HISTORIES)
def test_whatever_history_a_base_has_one_entry_stands_for_each_layer(history: Any) -> None:
    base = parse_base("base", *base_documents(config={"history": history}))
    config = json.loads(build(Files(MODEL), base).config)
    filled = [entry for entry in config["history"] if not entry.get("empty_layer")]
    assert len(filled) == len(config["rootfs"]["diff_ids"]) == 2 + 3


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/json",
    ],
)
def test_a_base_with_layers_that_not_everybody_unpacks_is_refused(media_type: str) -> None:
    layers = [{"mediaType": media_type, "digest": str(DIGEST), "size": 5}]
    documents = base_documents(layers=layers, config={"rootfs": {"diff_ids": [str(DIGEST)]}})
    with pytest.raises(DistributionError) as caught:
        parse_base("base", *documents)
    assert str(caught.value) == (
        f"base image base has a layer of type {media_type}, which not every consumer of a ModelCar unpacks"
    )


def test_a_base_whose_config_is_of_another_image_is_refused() -> None:
    documents = base_documents(config={"rootfs": {"diff_ids": [str(DIGEST)]}})
    with pytest.raises(DistributionError, match="base has 2 layers, but 1 diff IDs"):
        parse_base("base", *documents)


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(str(DIGEST)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["layers", "rootfs", "diff_ids", "digest", "size", "mediaType", "annotations", "config"]),
            inner,
            max_size=4,
        )
    ),
)


@settings(deadline=None)
@given(NONSENSE, NONSENSE)
def test_a_base_that_makes_no_sense_is_told_as_such(manifest: Any, config: Any) -> None:
    try:
        parse_base("base", json.dumps(manifest).encode(), json.dumps(config).encode())
    except DistributionError as error:
        assert str(error).startswith("base image base ")  # noqa: PT017 - most are refused, an empty image is not


@settings(deadline=None)
@given(NONSENSE)
def test_a_manifest_that_makes_no_sense_has_no_layers(document: Any) -> None:
    assert isinstance(parse_layers(json.dumps(document).encode()), tuple)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"config":{}}', b'{"config":{"digest":7}}'])
def test_a_manifest_without_a_config_is_told_as_such(content: bytes) -> None:
    with pytest.raises(DistributionError, match="not an image's: it names no config"):
        parse_config_digest(content)


CONTENT = FileContent("a", 1, DIGEST, "0" * 40)


@pytest.mark.parametrize(
    "other",
    [
        {"contents": [FileContent("b", 1, DIGEST, "0" * 40)]},
        {"contents": [FileContent("a", 1, Digest.of(b"other"), "0" * 40)]},
        {"platform": Platform("linux", "arm64")},
        {"base_digest": DIGEST},
    ],
)
def test_a_content_key_names_files_base_and_platform(other: dict[str, Any]) -> None:
    given_: dict[str, Any] = {"contents": [CONTENT], "platform": AMD64, "base_digest": None}
    assert compute_content_key(**given_) == compute_content_key(**given_)
    assert compute_content_key(**given_) != compute_content_key(**given_ | other)


def test_a_content_key_does_not_depend_on_the_order_of_files() -> None:
    other = FileContent("b", 1, DIGEST, None)
    assert compute_content_key([CONTENT, other], platform=AMD64, base_digest=None) == compute_content_key(
        [other, CONTENT], platform=AMD64, base_digest=None
    )
