from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import UnsafeContent
from modelcar.image.layer import LayerPlan
from modelcar.image.packing import MAX_LAYERS, SMALL_FILE_BYTES, directories_of, plan_layers
from modelcar.snapshot import ModelFile

PART = st.text(st.sampled_from("abcZ.-é日"), min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))
PATHS = st.sets(st.lists(PART, min_size=1, max_size=3).map("/".join), min_size=1, max_size=30)
SIZE = st.sampled_from([0, 1, SMALL_FILE_BYTES - 1, SMALL_FILE_BYTES, SMALL_FILE_BYTES + 1, 9 << 30])


@st.composite
def models(draw: st.DrawFn) -> tuple[ModelFile, ...]:
    paths = sorted(draw(PATHS), key=str.encode)
    return tuple(ModelFile(path, draw(SIZE)) for path in paths)


def shards(count: int) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(f"model-{number:05}.safetensors", 5 << 30) for number in range(count))


def file_counts(layers: tuple[LayerPlan, ...]) -> list[int]:
    return [len(layer.files) for layer in layers]


def test_directories_come_first_small_files_together_next_and_big_files_alone() -> None:
    files = (
        ModelFile("a.safetensors", SMALL_FILE_BYTES),
        ModelFile("b.json", SMALL_FILE_BYTES - 1),
        ModelFile("c.safetensors", SMALL_FILE_BYTES + 1),
        ModelFile("sub/d.json", 0),
    )
    assert plan_layers(files, base_layers=0) == (
        LayerPlan(directories=("", "sub")),
        LayerPlan(files=(files[1], files[3])),
        LayerPlan(files=(files[0],)),
        LayerPlan(files=(files[2],)),
    )


def test_a_model_without_small_files_has_no_layer_for_them() -> None:
    assert file_counts(plan_layers(shards(2), base_layers=0)) == [0, 1, 1]


def test_directories_stand_before_what_they_hold_and_each_only_once() -> None:
    assert directories_of(["b/c/d", "b/e", "a/f", "g"]) == ("", "a", "b", "b/c")


def test_directories_are_sorted_by_their_bytes() -> None:
    assert directories_of(["é/x", "z/x", "Z/x"]) == ("", "Z", "z", "é")


@pytest.mark.parametrize(
    ("count", "layers", "largest", "last"), [(90, 90, 1, 1), (91, 46, 2, 1), (180, 90, 2, 2), (282, 71, 4, 2)]
)
def test_more_than_90_big_files_are_grouped_in_order(count: int, layers: int, largest: int, last: int) -> None:
    counts = file_counts(plan_layers(shards(count), base_layers=0))[1:]
    assert (len(counts), counts[0], counts[-1], sum(counts)) == (layers, largest, last, count)


def test_a_base_image_may_fill_the_image_up_to_100_layers() -> None:
    layers = plan_layers((*shards(90), ModelFile("z.json", 1)), base_layers=8)
    assert len(layers) + 8 == MAX_LAYERS


def test_a_base_image_with_more_layers_than_that_is_refused() -> None:
    with pytest.raises(UnsafeContent) as caught:
        plan_layers((*shards(90), ModelFile("z.json", 1)), base_layers=9)
    assert str(caught.value) == (
        "the image would have 101 layers, 9 of them from the base image, and runtimes are safe up to 100"
    )


@settings(deadline=None)
@given(models())
def test_every_file_is_in_one_layer_and_layers_keep_the_order(files: tuple[ModelFile, ...]) -> None:
    layers = plan_layers(files, base_layers=0)
    packed = [file for layer in layers for file in layer.files]
    assert sorted(packed, key=lambda file: file.path.encode()) == list(files)
    for layer in layers:
        assert list(layer.files) == sorted(layer.files, key=lambda file: file.path.encode())


@settings(deadline=None)
@given(models())
def test_every_parent_of_every_file_is_in_the_first_layer_and_nowhere_else(files: tuple[ModelFile, ...]) -> None:
    first, *others = plan_layers(files, base_layers=0)
    parents = {file.path.rpartition("/")[0] for file in files}
    assert parents - {""} <= set(first.directories)
    assert first.directories[0] == ""
    assert not any(layer.directories for layer in others)


@settings(deadline=None)
@given(st.integers(0, 3000))
def test_however_many_big_files_there_are_they_take_at_most_90_layers(count: int) -> None:
    files = shards(count)
    assert len(plan_layers(files, base_layers=0)) - 1 <= 90


@settings(max_examples=50, deadline=None)
@given(models(), st.data())
def test_a_file_that_grows_within_its_size_class_stays_where_it_is(
    files: tuple[ModelFile, ...], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(files) - 1))
    grown = ModelFile(files[index].path, files[index].size_bytes + 1)
    if (files[index].size_bytes < SMALL_FILE_BYTES) != (grown.size_bytes < SMALL_FILE_BYTES):
        return
    before = plan_layers(files, base_layers=0)
    after = plan_layers((*files[:index], grown, *files[index + 1 :]), base_layers=0)
    changed = [layer for layer, other in zip(before, after, strict=True) if layer != other]
    assert [files[index] in layer.files for layer in changed] == [True]
