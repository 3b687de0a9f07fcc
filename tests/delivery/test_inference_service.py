from __future__ import annotations

import json

import pytest

from modelcar.delivery.inference_service import Edit, apply, diff, digest_of, read_storage_uri
from modelcar.errors import InvalidInput, InvalidReference, ManifestShapeError, Superseded

OLD = "oci://registry.example/team/chat@sha256:" + "1" * 64
NEW = "oci://registry.example/team/chat@sha256:" + "a" * 64
NEVER_BUILT = "oci://registry.example/team/chat@sha256:" + "0" * 64

MANIFEST = f"""\
# What serves the chat.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: chat    # the only one
  namespace: demo
  labels:
    app: chat
    # the team that is called at night
    team: "blue"
spec:
  predictor:
    model:
      modelFormat: {{name: vLLM}}
      storageUri: {OLD}   # by digest
      args: ["--served-model-name={{{{.Name}}}}", '--max-model-len=256']
"""


def edit(**fields: object) -> Edit:
    return Edit(**({"name": "chat", "storage_uri": NEW} | fields))  # type: ignore[arg-type]


def refusal(text: str, **fields: object) -> ManifestShapeError:
    with pytest.raises(ManifestShapeError) as caught:
        apply(text, edit(**fields))
    return caught.value


def test_only_the_value_changes_and_its_comment_stays() -> None:
    assert apply(MANIFEST, edit()) == MANIFEST.replace(OLD, NEW)


def test_the_value_can_be_read() -> None:
    assert read_storage_uri(MANIFEST, name="chat", namespace="demo") == OLD


@pytest.mark.parametrize("written", ["{}", "'{}'", '"{}"', "&image {}", "&image '{}'"])
def test_quotes_and_an_anchor_stay(written: str) -> None:
    before, after = (MANIFEST.replace(OLD, written.format(uri)) for uri in (OLD, NEW))
    assert apply(before, edit()) == after


def test_windows_line_endings_stay() -> None:
    before = MANIFEST.replace("\n", "\r\n")
    assert apply(before, edit(labels={"tier": "gold"})) == before.replace(OLD, NEW).replace(
        '    team: "blue"\r\n', '    team: "blue"\r\n    tier: gold\r\n'
    )


def test_a_byte_order_mark_and_a_missing_last_line_ending_stay() -> None:
    before = "\ufeff" + MANIFEST.rstrip("\n")
    assert apply(before, edit()) == before.replace(OLD, NEW)


def test_the_document_is_chosen_by_what_it_is_not_by_its_place() -> None:
    other = MANIFEST.replace("name: chat ", "name: other ")
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: chat}\n"
    text = f"{config}---\n{other}---\n{MANIFEST}---\n# the end\n"
    assert apply(text, edit()) == f"{config}---\n{other}---\n{MANIFEST.replace(OLD, NEW)}---\n# the end\n"


def test_a_namespace_tells_two_of_one_name_apart() -> None:
    other = MANIFEST.replace("namespace: demo", "namespace: test")
    text = f"{other}---\n{MANIFEST}"
    assert apply(text, edit(namespace="demo")) == f"{other}---\n{MANIFEST.replace(OLD, NEW)}"
    assert str(refusal(text)) == "the manifest has 2 documents for InferenceService chat"


def test_a_document_that_states_no_namespace_matches_the_one_asked_for() -> None:
    before = MANIFEST.replace("  namespace: demo\n", "")
    assert apply(before, edit(namespace="demo")) == before.replace(OLD, NEW)


def test_a_wrong_name_is_answered_by_what_is_there() -> None:
    error = refusal(MANIFEST, name="chatt", namespace="demo")
    assert (
        str(error) == "the manifest has no InferenceService chatt in namespace demo;"
        " it has InferenceService chat (namespace demo)"
    )


def test_an_existing_label_keeps_its_quotes_and_a_missing_one_gets_a_line() -> None:
    after = apply(MANIFEST, edit(labels={"team": "red", "modelregistry.opendatahub.io/model-version-id": "7"}))
    assert after == MANIFEST.replace(OLD, NEW).replace(
        '    team: "blue"\n', '    team: "red"\n    modelregistry.opendatahub.io/model-version-id: "7"\n'
    )


def test_missing_labels_and_annotations_come_below_the_last_single_value_of_metadata() -> None:
    before = MANIFEST.replace(MANIFEST[MANIFEST.index("  labels:") : MANIFEST.index("spec:")], "")
    after = apply(before, edit(labels={"a": "on"}, annotations={"b": "two words"}))
    assert after == before.replace(OLD, NEW).replace(
        "  namespace: demo\n", '  namespace: demo\n  labels:\n    a: "on"\n  annotations:\n    b: "two words"\n'
    )


def test_an_empty_labels_key_is_filled() -> None:
    before = MANIFEST.replace('    app: chat\n    # the team that is called at night\n    team: "blue"\n', "")
    assert apply(before, edit(labels={"a": "b"})) == before.replace(OLD, NEW).replace(
        "  labels:\n", "  labels:\n    a: b\n"
    )


def test_a_json_manifest_stays_json() -> None:
    def manifest(uri: str, **metadata: object) -> str:
        spec = {"predictor": {"model": {"storageUri": uri}}}
        kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
        return json.dumps({**kind, "metadata": {"name": "chat", **metadata}, "spec": spec})

    after = apply(manifest(OLD, labels={}), edit(labels={"a": "b"}, annotations={"note": 'a "b"\n'}))
    assert json.loads(after) == json.loads(manifest(NEW, labels={"a": "b"}, annotations={"note": 'a "b"\n'}))


def test_the_same_digest_means_no_edit_at_all() -> None:
    assert apply(MANIFEST.replace(OLD, NEW), edit(labels={"team": "red"}, expect="oci://else")) == MANIFEST.replace(
        OLD, NEW
    )


def test_the_same_digest_behind_a_tag_means_no_edit_either() -> None:
    before = MANIFEST.replace(OLD, NEW.replace("@", ":latest@"))
    assert apply(before, edit(labels={"team": "red"})) == before


@pytest.mark.parametrize("elsewhere", ["mirror.example/team/chat", "registry.example/team/other"])
def test_the_same_digest_in_another_place_is_an_edit_like_any_other(elsewhere: str) -> None:
    moved = f"oci://{elsewhere}@{digest_of(NEW)}"
    before = MANIFEST.replace(OLD, moved)
    after = apply(before, edit(labels={"team": "red"}, expect=moved))
    assert after == MANIFEST.replace(OLD, NEW).replace('"blue"', '"red"')


def test_a_place_that_the_plan_did_not_see_supersedes_the_edit_though_the_digest_is_the_same() -> None:
    before = MANIFEST.replace(OLD, f"oci://mirror.example/team/chat@{digest_of(NEW)}")
    with pytest.raises(Superseded):
        apply(before, edit(expect=OLD))


@pytest.mark.parametrize("place", ["s3://bucket/team/chat", "oci://Not A Host/x"])
def test_a_digest_in_what_is_no_image_is_no_digest(place: str) -> None:
    assert apply(MANIFEST.replace(OLD, f"{place}@{digest_of(NEW)}"), edit()) == MANIFEST.replace(OLD, NEW)


def test_a_value_that_the_plan_did_not_see_supersedes_the_edit() -> None:
    with pytest.raises(Superseded) as caught:
        apply(MANIFEST, edit(expect=NEVER_BUILT))
    assert str(caught.value) == f"storageUri of InferenceService chat is {OLD}, not {NEVER_BUILT} as expected"


def test_the_value_that_the_plan_saw_is_replaced() -> None:
    assert apply(MANIFEST, edit(expect=OLD)) == MANIFEST.replace(OLD, NEW)


STOPPED = MANIFEST.replace("spec:\n", '  annotations:\n    serving.kserve.io/stop: "true" # until built\nspec:\n')


def test_the_first_promotion_starts_what_was_stopped_for_it() -> None:
    before = STOPPED.replace(OLD, NEVER_BUILT)
    assert apply(before, edit()) == before.replace(NEVER_BUILT, NEW).replace('stop: "true"', 'stop: "false"')


def test_what_a_person_stopped_stays_stopped() -> None:
    assert apply(STOPPED, edit()) == STOPPED.replace(OLD, NEW)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (OLD, f">-\n        {OLD}", "is written in a form that is not edited"),
        (OLD, f'"{OLD}\\\n        "', "is written in a form that is not edited"),
        (OLD, f"!!str {OLD}", "is written in a form that is not edited"),
        (OLD, "[a, b]", "is not a string"),
        (OLD, "", "is not a string"),
        (OLD, "{{ .Values.image }}", "holds a template, not YAML"),
        (OLD, '"oci://{{ .Values.image }}"', "is filled in by a template"),
        ("# What", "{{- if .Values.chat }}\n# What", "the manifest is not YAML"),
        ("storageUri:", "storageUris:", "has no spec.predictor.model.storageUri"),
        ("storageUri:", "<<: *base\n      storageURI:", "the manifest is not YAML"),
        ("      args", f"      storageUri: {OLD}\n      args", "stands twice in one mapping"),
        ("name: chat ", "name: [chat] ", "has no InferenceService chat"),
        ("# What", "a: [\n# What", "the manifest is not YAML"),
        ("# What", "\x07# What", "the manifest is not YAML"),
        ("serving.kserve.io/v1beta1", "example.com/v1", "has no InferenceService chat"),
        (MANIFEST, "", "has no InferenceService chat; it has no object at all"),
        (MANIFEST, "[" * 5000, "nested too deeply"),
        (MANIFEST, "a: &a [*a]", "has no InferenceService chat"),
        (MANIFEST, "#" * 2**21, "over 1 MiB"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(before: str, after: str, sentence: str) -> None:
    assert sentence in str(refusal(MANIFEST.replace(before, after)))


def test_a_template_is_refused_with_a_word_about_helm() -> None:
    assert "Helm" in (refusal("{{- if .Values.chat }}\n" + MANIFEST).hint or "")


@pytest.mark.parametrize(
    "model",
    [
        f"{{}}\nshared: &uri {OLD}\ncopy: {{storageUri: *uri}}",
        f"&model {{storageUri: {OLD}}}\n  shadow: *model",
        f"{{storageUri: &uri {OLD}, note: *uri}}",
    ],
)
def test_a_value_that_is_used_elsewhere_too_is_refused(model: str) -> None:
    text = (
        "apiVersion: serving.kserve.io/v1\nkind: InferenceService\nmetadata: {name: chat}\n"
        f"spec:\n  predictor:\n    model: {model.replace('shadow', '  shadow')}\n"
    )
    error = refusal(text)
    assert "shares the anchor" in str(error) or "has no spec.predictor.model.storageUri" in str(error)


def test_an_alias_as_value_is_refused() -> None:
    text = MANIFEST.replace("# What", f"x-uri: &uri {OLD}\n# What").replace(f"storageUri: {OLD}", "storageUri: *uri")
    assert str(refusal(text)) == (
        "spec.predictor.model.storageUri shares the anchor &uri with another place of the manifest"
    )


def test_a_value_that_comes_by_a_merge_key_is_refused_with_a_hint() -> None:
    text = MANIFEST.replace("# What", f"x-base: &base {{storageUri: {OLD}}}\n# What").replace(
        f"storageUri: {OLD}", "<<: *base"
    )
    assert "merge key" in (refusal(text).hint or "")


def test_labels_that_are_used_elsewhere_too_are_refused() -> None:
    text = MANIFEST.replace("  labels:\n", "  labels: &labels\n").replace(
        "    model:", "    labels: *labels\n    model:"
    )
    assert str(refusal(text, labels={"team": "red"})).startswith("metadata.labels shares the anchor &labels")
    assert apply(text, edit()) == text.replace(OLD, NEW)


def test_templates_of_kserve_in_other_values_do_not_matter() -> None:
    assert "{{.Name}}" in apply(MANIFEST, edit())


@pytest.mark.parametrize("uri", ["hf://org/model", "oci://host.example/a", "oci://host.example/a:t@sha256:" + "a" * 64])
def test_only_a_reference_by_digest_can_be_asked_for(uri: str) -> None:
    with pytest.raises(InvalidReference):
        edit(storage_uri=uri)


@pytest.mark.parametrize("labels", [{"team": "two words"}, {"team": "x" * 64}, {"Bad/": "x"}, {"a b": "x"}])
def test_labels_that_kubernetes_refuses_are_refused_before(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        edit(labels=labels)


def test_a_diff_is_drawn_as_git_draws_it() -> None:
    assert diff("a\nb", "a\nc", "x.yaml") == (
        "--- a/x.yaml\n+++ b/x.yaml\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n"
        "+c\n\\ No newline at end of file\n"
    )


def test_no_change_has_no_diff() -> None:
    assert diff(MANIFEST, MANIFEST, "x.yaml") == ""


@pytest.mark.parametrize(("uri", "digest"), [(OLD, "sha256:" + "1" * 64), ("oci://host/a:t", None), (OLD + "0", None)])
def test_the_digest_of_a_storage_uri_is_what_it_ends_with(uri: str, digest: str | None) -> None:
    assert digest_of(uri) == digest
