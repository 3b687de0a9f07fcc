from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from modelcar.errors import InvalidSpec
from modelcar.metrics import Floor
from modelcar.reference import Digest, ImageReference, Platform
from modelcar.spec import (
    ImageSpec,
    InferenceServiceSpec,
    ModelFormat,
    ModelRegistrySpec,
    ModelSpec,
    PromotionSpec,
    TrainingSpec,
    load_spec,
    parse_spec,
)

SHORTEST = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model:
  source: hf://acme/tiny-llama
image:
  repository: quay.io/acme/tiny-llama
modelRegistry:
  url: https://registry.example.com
  registeredModel: tiny-llama
inferenceService:
  repository: https://git.example.com/acme/serving.git
  path: models/tiny-llama.yaml
  name: tiny-llama
"""


def parse(text: str, **env: str) -> PromotionSpec:
    return parse_spec(text, name="p.yaml", env=env)


def faults(text: str, **env: str) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        parse(text, **env)
    return str(caught.value).splitlines()


def changed(key: str, value: str) -> str:
    """The shortest spec with `section.key: value` written first in its section, instead of what stood there."""
    section, _, name = key.rpartition(".")
    head, body, tail = re.split(rf"(?<=^{section}:\n)((?:  .*\n)+)", SHORTEST, flags=re.MULTILINE)
    kept = [line for line in body.splitlines(keepends=True) if line.strip().partition(":")[0] != name]
    return "".join([head, f"  {name}: {value}\n", *kept, tail])


def test_the_shortest_spec_has_every_default() -> None:
    assert parse(SHORTEST) == PromotionSpec(
        model=ModelSpec("hf://acme/tiny-llama", None, (), (), ()),
        image=ImageSpec(
            repository=ImageReference("quay.io", "acme/tiny-llama"),
            tag="latest",
            base_image=ImageReference("registry.access.redhat.com", "ubi9/ubi-micro", "latest"),
            platforms=(Platform("linux", "amd64"),),
        ),
        model_registry=ModelRegistrySpec(
            url="https://registry.example.com",
            registered_model="tiny-llama",
            version=None,
            owner=None,
            author=None,
            description=None,
            model_format=None,
            properties={},
        ),
        inference_service=InferenceServiceSpec(
            "https://git.example.com/acme/serving.git", "main", "models/tiny-llama.yaml", "tiny-llama", None
        ),
        training=None,
        hold=None,
    )


def test_every_key_arrives_where_it_belongs() -> None:
    text = (Path(__file__).parents[1] / "docs/reference/promotion-spec.md").read_text().split("```yaml\n")[2]
    spec = parse(text.partition("```")[0])
    assert spec.model == ModelSpec(
        "hf://acme/tiny-llama",
        "v1.0",
        ("*.safetensors", "*.json", "*.model", "heads/"),
        ("original/",),
        ("heads/draft.pt",),
    )
    assert spec.image.tag == "stable"
    assert spec.model_registry == ModelRegistrySpec(
        url="https://registry.example.com",
        registered_model="tiny-llama",
        version="1.0",
        owner="Team Acme",
        author="Ada",
        description="The first one that answers in whole sentences.\n",
        model_format=ModelFormat("vLLM", "1"),
        properties={"base_model": "acme/tiny-llama-base", "license": "apache-2.0"},
    )
    assert spec.inference_service.namespace == "private-ai-demo"
    assert spec.training == TrainingSpec(
        data="hf://datasets/acme/support-answers",
        data_revision="main",
        image=ImageReference("quay.io", "acme/trainer", None, Digest.of(b"foo")),
        entry_point="acme_trainer.finetune:train",
        command=(),
        parameters={"epochs": "3", "learning_rate": "1e-5"},
        floors={"accuracy": Floor("least", 0.8), "eval_loss": Floor("most", 2.5)},
    )
    assert spec.hold == "The evaluation of 2026-11-20 is not read yet"


def test_json_is_read_too() -> None:
    value = YAML(typ="safe").load(SHORTEST)
    value["hold"] = "wait \U0001f600"
    for indent in (None, 2, "\t"):
        assert parse(json.dumps(value, indent=indent)).hold == "wait \U0001f600"


def test_null_is_as_good_as_not_written() -> None:
    nothing = "\nhold: null\n"
    for key in ("model.revision", "model.allow", "image.tag", "image.baseImage", "modelRegistry.modelFormat"):
        assert parse(changed(key, "null") + nothing) == parse(SHORTEST), key


def test_several_platforms_are_sorted_and_counted_once() -> None:
    written = changed("image.platforms", "[linux/s390x, linux/amd64, linux/s390x]")
    assert parse(written).image.platforms == (Platform("linux", "amd64"), Platform("linux", "s390x"))
    assert parse(changed("image.platforms", "[]")) == parse(SHORTEST)


def test_one_platform_in_a_list_is_that_platform() -> None:
    assert parse(changed("image.platforms", "[linux/arm64]")) == parse(changed("image.platform", "linux/arm64"))


def test_platforms_are_written_by_one_key() -> None:
    text = changed("image.platforms", "[linux/amd64]\n  platform: linux/arm64")
    assert faults(text) == ["p.yaml:6: image.platforms: image.platform names one, too; keep one of the two keys"]


def test_layers_are_taken_from_images_of_the_same_registry() -> None:
    assert parse(changed("image.reuseFrom", "[quay.io/acme/base:1]")).image.reuse_from == (
        ImageReference("quay.io", "acme/base", "1"),
    )
    assert faults(changed("image.reuseFrom", "[quay.io/acme/base:1, ghcr.io/acme/base:1]")) == [
        "p.yaml:6: image.reuseFrom[1]: ghcr.io/acme/base:1 is in another registry than image.repository",
    ]


def test_scratch_is_no_base_image() -> None:
    assert parse(changed("image.baseImage", "scratch")).image.base_image is None


def test_the_base_of_an_image_that_is_the_source_may_be_kept() -> None:
    assert parse(changed("image.baseImage", "same")).image.base_image == "same"


def test_a_base_image_may_be_named_by_digest() -> None:
    digest = Digest.of(b"")
    spec = parse(changed("image.baseImage", f"localhost:5000/base@{digest}"))
    assert spec.image.base_image == ImageReference("localhost:5000", "base", None, digest)


def test_anchors_and_aliases_are_followed() -> None:
    text = changed("image.tag", "&name stable").replace("registeredModel: tiny-llama", "registeredModel: *name")
    assert parse(text).model_registry.registered_model == "stable"


def test_an_anchor_may_be_used_twice() -> None:
    text = changed("image.tag", "&a one").replace("name: tiny-llama", "name: &a two")
    assert parse(text).image.tag == "one"


# Defaults from the environment


ENVIRONMENT = [
    ("modelRegistry.url", "MODEL_REGISTRY_URL", "http://127.0.0.1:8080"),
    ("inferenceService.repository", "MODELCAR_GIT_URL", "/srv/gitops.git"),
    ("image.baseImage", "MODELCAR_BASE_IMAGE", "localhost:5000/base:1"),
]


@pytest.mark.parametrize(("key", "variable", "value"), ENVIRONMENT)
def test_the_environment_gives_a_default(key: str, variable: str, value: str) -> None:
    assert parse(changed(key, "null"), **{variable: value}) == parse(changed(key, value))


@pytest.mark.parametrize(("key", "variable", "value"), ENVIRONMENT)
def test_the_file_comes_before_the_environment(key: str, variable: str, value: str) -> None:
    assert parse(changed(key, value), **{variable: "nonsense that nobody reads"}) == parse(changed(key, value))


@pytest.mark.parametrize(("key", "variable", "_"), ENVIRONMENT[:2])
def test_without_file_and_environment_the_error_names_both(key: str, variable: str, _: str) -> None:
    for text, env in ((changed(key, ""), {}), (changed(key, ""), {variable: ""})):
        (line,) = faults(text, **env)
        assert line.endswith(f" {key}: is required; write it, or set {variable}")


def test_a_fault_of_the_environment_names_the_variable_and_no_line() -> None:
    assert faults(SHORTEST, MODELCAR_BASE_IMAGE="quay.io/base") == [
        "p.yaml: image.baseImage: from $MODELCAR_BASE_IMAGE: 'quay.io/base' has neither tag nor digest. "
        "Write quay.io/base:latest, or better a digest."
    ]


# Faults of the file


def test_the_process_environment_is_the_default_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(changed("modelRegistry.url", ""))
    monkeypatch.setitem(os.environ, "MODEL_REGISTRY_URL", "http://127.0.0.1:1")
    assert load_spec(tmp_path / "p.yaml").model_registry.url == "http://127.0.0.1:1"


def make_latin(path: Path) -> None:
    path.write_bytes("kind: PromotionSpec\nhold: später\n".encode("latin-1"))


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "gone")


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "{path}: no such file"),
        (Path.mkdir, "{path}: is a directory"),
        (make_latin, "{path}:2: not UTF-8"),
        (make_dangling_link, "{path}: no such file"),
        (make_loop, "{path}: cannot be read (Too many levels of symbolic links)"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "p.yaml"
    make(path)
    with pytest.raises(InvalidSpec) as caught:
        load_spec(path)
    assert str(caught.value) == message.format(path=path)
    assert caught.value.hint


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + SHORTEST.encode())
    assert load_spec(tmp_path / "p.yaml", {}) == parse(SHORTEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.yaml:1: the file is empty"),
        ("# nothing\n", "p.yaml:1: the file is empty"),
        ("---\n", "p.yaml:1: the file is empty"),
        ("null\n", "p.yaml:1: the file is empty"),
        ("- a\n", "p.yaml:1: the file holds a list, not the keys of a PromotionSpec"),
        ("\n\nhello\n", "p.yaml:3: the file holds a string, not the keys of a PromotionSpec"),
        (f"{SHORTEST}---\n{SHORTEST}", "p.yaml:15: a second document begins here; write one file for each"),
        ("a: b: c\n", "p.yaml:1: not readable as YAML: mapping values are not allowed here"),
        (
            "a:\n\tb: 1\n",
            "p.yaml:2: not readable as YAML: while scanning for the next token "
            "found character '\\t' that cannot start any token",
        ),
        ("a: 1\nb: *gone\n", "p.yaml:2: not readable as YAML: found undefined alias 'gone'"),
        ("a: 1\nb: \x07\n", "p.yaml:2: not readable as YAML: character U+0007 is not allowed"),
        ("[" * 5000, "p.yaml:1: not readable: lists or mappings are nested too deeply"),
        ("#" * 1_000_001, "p.yaml:1: 1000001 characters are no specification; 1000000 is the limit"),
    ],
    ids=lambda text: text[:12],
)
def test_a_text_that_is_not_a_mapping_has_one_fault(text: str, message: str) -> None:
    assert faults(text) == [message]


def test_a_parser_fault_does_not_show_the_text() -> None:
    assert "hunter2" not in "".join(faults("modelRegistry:\n  password: hunter2: x\n"))


def test_all_faults_are_told_in_the_order_of_the_file() -> None:
    text = """\
apiVersion: modelcar.dev/v2
knid: PromotionSpec
model:
  source: acme/tiny
  allow: "*.json"
  ignore: [a, 1, [b]]
image:
  repository: quay.io/acme/tiny:1
  base_image: scratch
  tag: 1.10
  tag: x
modelRegistry:
  modelFormat: {}
  properties: {"a b": c, n: 2, m: {}}
inferenceService: here
<<: {a: b}
2: x
"""
    assert faults(text) == [
        "p.yaml:1: apiVersion: is 'modelcar.dev/v2', not 'modelcar.dev/v1alpha1'. This version reads no other.",
        "p.yaml:1: kind: is required",
        "p.yaml:2: knid: unknown key; did you mean kind?",
        "p.yaml:4: model.source: 'acme/tiny' is not a model source. "
        "Write hf://org/name for a Hub, s3://bucket/prefix for a bucket, file:///dir for a directory, "
        "or oci://registry/repository:tag for an image.",
        "p.yaml:5: model.allow: is a string, where a list belongs: [first, second]",
        'p.yaml:6: model.ignore[1]: YAML takes 1 for a number; put it in quotes: "1"',
        "p.yaml:6: model.ignore[2]: is a list, where a string belongs",
        "p.yaml:8: image.repository: 'quay.io/acme/tiny:1' has a tag. "
        "The push tells the digest; the tag has a key of its own, image.tag.",
        "p.yaml:9: image.base_image: unknown key; did you mean baseImage?",
        'p.yaml:10: image.tag: YAML takes 1.10 for a number; put it in quotes: "1.10"',
        "p.yaml:11: image.tag: stands here again; it is on line 10 already",
        "p.yaml:12: modelRegistry.url: is required; write it, or set MODEL_REGISTRY_URL",
        "p.yaml:12: modelRegistry.registeredModel: is required",
        "p.yaml:13: modelRegistry.modelFormat.name: is required",
        "p.yaml:14: modelRegistry.properties.a b: is not a plain name (letters, digits and _, at most 255)",
        'p.yaml:14: modelRegistry.properties.n: YAML takes 2 for a number; put it in quotes: "2"',
        "p.yaml:14: modelRegistry.properties.m: is a mapping, where a string belongs",
        "p.yaml:15: inferenceService: is a string, where keys belong",
        "p.yaml:15: inferenceService.repository: is required; write it, or set MODELCAR_GIT_URL",
        "p.yaml:15: inferenceService.path: is required",
        "p.yaml:15: inferenceService.name: is required",
        "p.yaml:16: merge keys (<<) are not read; write the keys out",
        "p.yaml:17: a key must be a string, not a number",
    ]
