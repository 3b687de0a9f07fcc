from __future__ import annotations

import difflib

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from modelcar.delivery.inference_service import Edit, apply, read_storage_uri
from modelcar.delivery.scalars import quoted

LAW = settings(deadline=None, max_examples=40)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
URIS = DIGESTS.map(lambda digest: f"oci://registry.example/team/chat@sha256:{digest}")
STYLES = st.sampled_from(["{}", "'{}'", '"{}"', "&uri {}", "&uri '{}'"])
QUOTES = st.sampled_from(["", "'", '"'])
COMMENTS = st.sampled_from(["", " # note", "   # storageUri: oci://else", " #"])
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(
    NAMES, st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,9}[A-Za-z0-9])?)?", fullmatch=True), max_size=3
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OTHER_DOCUMENTS = st.sampled_from(
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: chat}\ndata:\n  a: |\n    storageUri: x\n\n    y\n",
        "# nothing here\n",
        "kind: InferenceService\napiVersion: serving.kserve.io/v1beta1\nmetadata:\n    name: other\n",
        "- 1\n-   two\n",
        "base: &base {a: 010, b: yes}\nall:\n  <<: *base\n  c: 1_000\n",
    ]
)


@st.composite
def mappings(draw: st.DrawFn, name: str, indent: str) -> str:
    """`labels` or `annotations` as people write them, or nothing."""
    shape = draw(st.sampled_from(["absent", "empty", "block", "flow"]))
    if shape == "absent":
        return ""
    if shape == "empty":
        return f"{indent}{name}:{draw(COMMENTS)}\n"
    pairs = [f"{key}: {quoted(value, draw(QUOTES))}" for key, value in draw(LABELS).items()]
    if shape == "flow" or not pairs:
        return f"{indent}{name}: {{{', '.join(pairs)}}}{draw(COMMENTS)}\n"
    return f"{indent}{name}:\n" + "".join(
        f"{indent * 2}{pair}{draw(COMMENTS)}\n{indent * 2}# below\n" for pair in pairs
    )


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """An InferenceService named chat among other documents."""
    indent = " " * draw(st.integers(1, 5))
    metadata = draw(
        st.permutations(
            [
                f"{indent}name: chat{draw(COMMENTS)}\n",
                draw(mappings("labels", indent)),
                draw(mappings("annotations", indent)),
            ]
        )
    )
    uri = draw(STYLES).format(draw(URIS))
    spec = f"spec:\n{indent}predictor:\n{indent * 2}model:\n{indent * 3}storageUri: {uri}{draw(COMMENTS)}\n"
    kind = "apiVersion: serving.kserve.io/v1beta1\nkind:   InferenceService\n"
    body = kind + "".join(draw(st.permutations([f"metadata:\n{''.join(metadata)}", spec])))
    documents = draw(st.permutations([body, *draw(st.lists(OTHER_DOCUMENTS, max_size=2))]))
    text = draw(st.sampled_from(["", "---\n", "\ufeff", "# first\n"])) + "---\n".join(documents)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


EDITS = st.builds(
    Edit, name=st.just("chat"), storage_uri=URIS, labels=LABELS, annotations=st.dictionaries(NAMES, TEXTS, max_size=2)
)


@LAW
@given(manifests(), EDITS)
def test_an_edit_applied_twice_is_an_edit_applied_once(text: str, edit: Edit) -> None:
    once = apply(text, edit)
    assert apply(once, edit) == once


@LAW
@given(manifests(), EDITS)
def test_what_was_written_can_be_read(text: str, edit: Edit) -> None:
    assert read_storage_uri(apply(text, edit), name="chat") == edit.storage_uri


@LAW
@given(manifests(), EDITS)
def test_kubernetes_reads_what_was_asked_for_and_all_else_as_before(text: str, edit: Edit) -> None:
    assume(read_storage_uri(text, name="chat") != edit.storage_uri)
    before, after = (list(YAML(typ="safe", pure=True).load_all(one)) for one in (text, apply(text, edit)))
    chat = next(
        one
        for one in before
        if isinstance(one, dict) and one.get("metadata", {}).get("name") == "chat" and "spec" in one
    )
    chat["spec"]["predictor"]["model"]["storageUri"] = edit.storage_uri
    for name, wanted in (("labels", edit.labels), ("annotations", edit.annotations)):
        if wanted:
            chat["metadata"][name] = {**(chat["metadata"].get(name) or {}), **wanted}
    assert after == before


@LAW
@given(manifests(), URIS)
def test_every_character_outside_the_value_stays(text: str, uri: str) -> None:
    old = read_storage_uri(text, name="chat")
    after = apply(text, Edit(name="chat", storage_uri=uri))
    assert after == text.replace(old, uri)


@LAW
@given(manifests(), EDITS)
def test_lines_are_added_or_replaced_and_never_lost(text: str, edit: Edit) -> None:
    old, new = text.splitlines(), apply(text, edit).splitlines()
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        assert kind != "delete"
        assert new_end - new_start >= end - start


@LAW
@given(TEXTS, QUOTES)
@example("true", "")
@example("1:30", "")
@example("\x85\u2028\ufeff", "'")
def test_any_text_survives_quoting(value: str, style: str) -> None:
    written = quoted(value, style)
    assert "\n" not in written
    assert YAML(typ="safe", pure=True).load(f"a: {written} # b\n") == {"a": value}
    assert YAML(typ="safe", pure=True).load(f"{{a: {written}, b: 1}}") == {"a": value, "b": 1}
