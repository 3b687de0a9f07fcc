from __future__ import annotations

import logging

import pytest
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import SourceNotFound, UnsafeContent
from modelcar.snapshot import LeftOut, ModelFile
from modelcar.sources.patterns import Patterns

NAMES = st.text(alphabet="ab./*?[]!", min_size=1, max_size=8)


def select(patterns: Patterns, *paths: str) -> tuple[list[str], dict[str, str]]:
    files, left_out = patterns.select([ModelFile(path, 1) for path in paths], "hf://org/name")
    return [file.path for file in files], {file.path: file.reason for file in left_out}


def test_everything_a_server_reads_is_taken_and_sorted_by_bytes() -> None:
    kept, left_out = select(Patterns(), "tokenizer.json", "Z.txt", "a/b.json", "\u00e9.txt", "model.safetensors")
    assert kept == ["Z.txt", "a/b.json", "model.safetensors", "tokenizer.json", "\u00e9.txt"]
    assert left_out == {}


def test_copies_of_the_weights_and_traces_of_tools_are_left_out_with_the_reason() -> None:
    kept, left_out = select(
        Patterns(),
        "model.safetensors",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "original/consolidated.00.pth",
        "onnx/model.onnx",
        ".gitattributes",
        ".cache/huggingface/x",
        "checkpoint-5/optimizer.pt",
    )
    assert kept == ["model.safetensors"]
    assert left_out == {
        "pytorch_model.bin": "a pickle, and safetensors are there",
        "pytorch_model.bin.index.json": "default pattern *.bin.index.json, and safetensors are there",
        "original/consolidated.00.pth": "default pattern original/",
        "onnx/model.onnx": "default pattern *.onnx, and safetensors are there",
        ".gitattributes": "default pattern .gitattributes",
        ".cache/huggingface/x": "default pattern .cache/",
        "checkpoint-5/optimizer.pt": "default pattern */optimizer.pt",
    }


def test_other_formats_stay_when_there_are_no_safetensors() -> None:
    assert select(Patterns(), "model.gguf", "model.onnx") == (["model.gguf", "model.onnx"], {})


def test_allow_replaces_the_defaults() -> None:
    kept, left_out = select(Patterns(allow=("*.onnx", "original/")), "a.onnx", "original/x", "b.safetensors")
    assert (kept, left_out) == (["a.onnx", "original/x"], {"b.safetensors": "not in allow"})


def test_ignore_wins_over_allow() -> None:
    kept, left_out = select(Patterns(allow=("*",), ignore=("docs/",)), "docs/a.md", "b.md")
    assert (kept, left_out) == (["b.md"], {"docs/a.md": "ignore pattern docs/"})


def test_a_model_of_pickles_is_refused_by_name_with_the_way_out() -> None:
    with pytest.raises(UnsafeContent) as caught:
        select(Patterns(), "config.json", *(f"pytorch_model-{n}.bin" for n in range(5)))
    assert str(caught.value) == (
        "hf://org/name has pickle files, which can run any code when loaded, and no safetensors: "
        "pytorch_model-0.bin, pytorch_model-1.bin, pytorch_model-2.bin and 2 more"
    )
    assert "allowPickle" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["a.bin", "b.PT", "c.pth", "d.ckpt", "e.pkl", "f.joblib", "g.nemo"])
def test_each_pickle_suffix_is_refused(name: str) -> None:
    with pytest.raises(UnsafeContent, match=name):
        select(Patterns(), name)


def test_a_pickle_in_a_directory_without_safetensors_is_refused_even_beside_safetensors_elsewhere() -> None:
    with pytest.raises(UnsafeContent, match=r"loaded: 2_Dense/pytorch_model\.bin$"):
        select(Patterns(), "model.safetensors", "2_Dense/pytorch_model.bin")


def test_an_allowed_pickle_is_taken_also_beside_safetensors() -> None:
    patterns = Patterns(allow_pickle=("extra.bin",))
    assert select(patterns, "extra.bin", "model.safetensors")[0] == ["extra.bin", "model.safetensors"]


def test_an_allowed_pickle_does_not_bring_back_what_is_left_out() -> None:
    patterns = Patterns(ignore=("*.bin",), allow_pickle=("*.bin",))
    assert select(patterns, "x.bin", "config.json")[0] == ["config.json"]


def test_nothing_left_names_the_patterns() -> None:
    with pytest.raises(SourceNotFound, match=r"^no file of hf://org/name is left after allow \*\.gguf and ignore x$"):
        select(Patterns(allow=("*.gguf",), ignore=("x",)), "model.safetensors")


def test_only_default_patterns_are_blamed_when_there_are_no_others() -> None:
    with pytest.raises(SourceNotFound, match=r"is left after the default patterns$"):
        select(Patterns(), ".gitattributes")


def test_no_files_at_all_is_another_error() -> None:
    with pytest.raises(SourceNotFound, match=r"^hf://org/name has no files$"):
        select(Patterns())


def test_a_pattern_that_matches_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        select(Patterns(ignore=("*.md", "*.mb")), "README.md", "config.json")
    assert caplog.messages == ["the pattern '*.mb' in ignore matches no file of hf://org/name"]


def test_a_name_that_is_not_utf8_may_be_ignored() -> None:
    files, left_out = Patterns(ignore=("caf*",)).select([ModelFile("caf\udce9", 2), ModelFile("b", 1)], "file:///x")
    assert (files, left_out) == ((ModelFile("b", 1),), (LeftOut("caf\udce9", 2, "ignore pattern caf*"),))


@given(st.lists(NAMES, min_size=1, unique=True), st.lists(NAMES, min_size=1), st.lists(NAMES))
def test_patterns_choose_what_huggingface_hub_chooses(paths: list[str], allow: list[str], ignore: list[str]) -> None:
    patterns = Patterns(tuple(allow), tuple(ignore))
    expected = list(filter_repo_objects(paths, allow_patterns=allow, ignore_patterns=ignore))
    assert [path for path in paths if patterns.reason_against(path) is None] == expected


def test_a_data_set_is_taken_whole_but_for_clutter() -> None:
    paths = ["a.jsonl", "train.bin", "original/b.pt", "x.safetensors", "x.h5", ".git/HEAD", ".cache/x", "d/x.lock"]
    files, left_out = Patterns(is_model=False).select([ModelFile(path, 1) for path in paths], "data")
    assert [file.path for file in files] == ["a.jsonl", "original/b.pt", "train.bin", "x.h5", "x.safetensors"]
    assert [file.path for file in left_out] == [".cache/x", ".git/HEAD", "d/x.lock"]
