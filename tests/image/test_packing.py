from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import UnsafeContent
from modelcar.image.layer import LayerPlan
from modelcar.image.packing import (
    MAX_LAYERS,
    SMALL_FILE_BYTES,
    directories_of,
    is_own_format,
    name_format,
    plan_layers,
)
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


def test_groups_are_closed_before_they_exceed_the_largest_layer() -> None:
    files = shards(282)  # in groups of four without a limit
    layers = plan_layers(files, base_layers=0, max_layer_bytes=(16 << 30) - 1)
    assert file_counts(layers)[:3] == [0, 3, 3]
    assert max(layer.size_bytes for layer in layers) < 16 << 30
    assert [file for layer in layers for file in layer.files] == list(files)


def test_a_layer_may_be_exactly_as_large_as_is_allowed() -> None:
    files = shards(182)
    exactly = LayerPlan(files=files[:3]).size_bytes
    assert file_counts(plan_layers(files, base_layers=0, max_layer_bytes=exactly))[1] == 3
    assert file_counts(plan_layers(files, base_layers=0, max_layer_bytes=exactly - 1))[1] == 2


def test_small_files_are_closed_as_well() -> None:
    files = tuple(ModelFile(f"{number:03}.json", 3 << 20) for number in range(10))
    assert file_counts(plan_layers(files, base_layers=0, max_layer_bytes=10 << 20)) == [0, 3, 3, 3, 1]


def test_a_file_that_is_larger_than_a_layer_may_be_is_refused_by_name() -> None:
    with pytest.raises(UnsafeContent) as caught:
        plan_layers(shards(2), base_layers=0, max_layer_bytes=5 << 30)
    assert str(caught.value) == (
        f"model-00000.safetensors makes a layer of {(5 << 30) + 1536} bytes, and {5 << 30} are allowed; a file cannot "
        "be split over layers"
    )
    assert "max_shard_size" in (caught.value.hint or "")


def test_layers_that_are_closed_too_early_to_be_few_enough_are_refused() -> None:
    with pytest.raises(UnsafeContent) as caught:
        plan_layers(shards(180), base_layers=1, max_layer_bytes=6 << 30)
    assert "the image would have 182 layers" in str(caught.value)
    assert caught.value.hint == "Give a larger --max-layer-size, or take a base image with fewer layers."


@given(models(), st.sampled_from([9 << 30, 10 << 30, 20 << 30, 1 << 50]))
def test_a_limit_keeps_every_file_and_says_so_in_the_format_only_where_it_changes_something(
    files: tuple[ModelFile, ...], limit_bytes: int
) -> None:
    limit_bytes += 2048
    limited = plan_layers(files, base_layers=0, max_layer_bytes=limit_bytes)
    unlimited = plan_layers(files, base_layers=0)
    assert sorted(f.path for one in limited for f in one.files) == sorted(f.path for f in files)
    assert all(layer.size_bytes <= limit_bytes for layer in limited)
    assert name_format(files, limit_bytes) == ("1" if limited == unlimited else f"1-max-{limit_bytes}")


@pytest.mark.parametrize(
    ("version", "own"),
    [
        ("1", True),
        ("1-max-5", True),
        ("2", False),
        ("1-max-", False),
        ("1-max-05", False),
        ("1\n", False),
        (None, False),
    ],
)
def test_layers_of_any_limit_hold_the_same_bytes_and_no_others_do(version: str | None, own: bool) -> None:
    assert is_own_format(version) is own
