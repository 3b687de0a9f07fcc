from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Mapping

import pytest

from modelcar.errors import ContentMismatch, UnsafeContent
from modelcar.snapshot import LeftOut, ModelFile, ModelSnapshot
from modelcar.sources.content import ModelCheck

FIRST, SECOND, INDEX = "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"


def shard(*names: str) -> bytes:
    entries = {name: {"dtype": "I8", "shape": [3], "data_offsets": [3 * n, 3 * n + 3]} for n, name in enumerate(names)}
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(3 * len(names))


def index(**weights: str) -> bytes:
    return json.dumps({"weight_map": weights}).encode()


def check_for(contents: Mapping[str, bytes], *left_out: LeftOut, allow_pickle: tuple[str, ...] = ()) -> ModelCheck:
    files = tuple(ModelFile(path, len(content)) for path, content in sorted(contents.items()))
    return ModelCheck(ModelSnapshot("file:///m", None, None, files, left_out), allow_pickle)


def read(check: ModelCheck, path: str, content: bytes, published_bytes: int | None = None) -> None:
    one = check.file(ModelFile(path, len(content) if published_bytes is None else published_bytes))
    one.update(content[:9])
    one.update(content[9:])
    one.finish()


GOOD = {FIRST: shard("a", "b"), SECOND: shard("c"), INDEX: index(a=FIRST, b=FIRST, c=SECOND), "config.json": b"{}"}


def test_a_sound_model_passes_in_any_order() -> None:
    check = check_for(GOOD)
    for path in reversed(GOOD):
        read(check, path, GOOD[path])
    check.finish()


def test_files_may_be_read_by_several_threads() -> None:
    contents = {f"{n}.safetensors": shard(f"t{n}") for n in range(16)}
    contents[INDEX] = index(**{f"t{n}": f"{n}.safetensors" for n in range(16)})
    check = check_for(contents)
    threads = [threading.Thread(target=read, args=(check, path, content)) for path, content in contents.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check.finish()


def test_a_shard_without_a_promised_tensor_is_refused() -> None:
    check = check_for(GOOD)
    for path, content in (GOOD | {FIRST: shard("a")}).items():
        read(check, path, content)
    with pytest.raises(UnsafeContent, match=rf"^{INDEX} says that {FIRST} holds the tensor 'b', but it does not$"):
        check.finish()


def test_a_missing_shard_is_told_at_the_end_of_the_index() -> None:
    check = check_for({INDEX: GOOD[INDEX], FIRST: GOOD[FIRST]})
    with pytest.raises(UnsafeContent, match=rf"^{INDEX} needs '{SECOND}', which is not there$"):
        read(check, INDEX, GOOD[INDEX])


def test_a_missing_shard_that_a_pattern_left_out_says_so() -> None:
    check = check_for({INDEX: GOOD[INDEX], FIRST: GOOD[FIRST]}, LeftOut(SECOND, 9, "ignore pattern *-2*"))
    with pytest.raises(UnsafeContent, match=r"which is left out \(ignore pattern \*-2\*\)$"):
        read(check, INDEX, GOOD[INDEX])


def test_an_index_cannot_point_outside() -> None:
    check = check_for({"sub/" + INDEX: index(a="../../etc/passwd")})
    with pytest.raises(UnsafeContent, match=r"needs '../etc/passwd', which is not there"):
        read(check, "sub/" + INDEX, index(a="../../etc/passwd"))


def test_reused_shards_are_taken_on_trust() -> None:
    check = check_for(GOOD)
    read(check, INDEX, GOOD[INDEX])
    read(check, SECOND, GOOD[SECOND])
    check.skip(ModelFile(FIRST, len(GOOD[FIRST])))
    check.skip(ModelFile("config.json", 2))
    check.finish()


def test_a_file_may_be_read_again_and_the_last_pass_counts() -> None:
    check = check_for(GOOD)
    for path, content in (GOOD | {FIRST: shard("a")}).items():
        read(check, path, content)
    read(check, FIRST, GOOD[FIRST])
    check.finish()


def test_a_pass_that_broke_off_leaves_nothing_behind() -> None:
    check = check_for(GOOD)
    check.file(ModelFile(FIRST, len(GOOD[FIRST]))).update(GOOD[FIRST][:20])
    for path, content in GOOD.items():
        read(check, path, content)
    check.finish()


def test_a_file_that_nobody_looked_at_is_noticed() -> None:
    check = check_for(GOOD)
    read(check, FIRST, GOOD[FIRST])
    with pytest.raises(ValueError, match=f"^never checked: config.json, {SECOND}, {INDEX}$"):
        check.finish()


@pytest.mark.parametrize("published_bytes", [1, 3])
def test_another_size_than_published_is_a_mismatch(published_bytes: int) -> None:
    check = check_for({"config.json": b"{}"})
    with pytest.raises(ContentMismatch, match=f"^config.json has 2 bytes, but {published_bytes} were published$"):
        read(check, "config.json", b"{}", published_bytes)


def test_a_hidden_pickle_is_refused_unless_named() -> None:
    contents = {"vocab.dat": pickle.dumps(["a"])}
    with pytest.raises(UnsafeContent, match=r"vocab\.dat is a pickle"):
        read(check_for(contents), "vocab.dat", contents["vocab.dat"])
    read(check_for(contents, allow_pickle=("*.dat",)), "vocab.dat", contents["vocab.dat"])


def test_a_pickle_that_is_skipped_has_to_be_allowed_again() -> None:
    contents = {"vocab.dat": pickle.dumps(["a"])}
    file = ModelFile("vocab.dat", len(contents["vocab.dat"]))
    with pytest.raises(UnsafeContent) as skipped:
        check_for(contents).skip(file, is_pickle=True)
    with pytest.raises(UnsafeContent) as seen:
        read(check_for(contents), "vocab.dat", contents["vocab.dat"])
    assert (str(skipped.value), skipped.value.hint) == (str(seen.value), seen.value.hint)
    check_for(contents, allow_pickle=("*.dat",)).skip(file, is_pickle=True)


def test_a_header_length_that_looks_like_a_pickle_is_none() -> None:
    # 0x280280 bytes of header: 80 02 28, which is also protocol 2 and the opcode MARK.
    padding = 0x280280 - 2
    content = (0x280280).to_bytes(8, "little") + b"{}" + b" " * padding
    check = check_for({FIRST: content})
    one = check.file(ModelFile(FIRST, len(content)))
    one.update(content)
    one.finish()
    check.finish()
    assert not one.is_pickle


def test_an_empty_file_passes() -> None:
    check = check_for({"__init__.py": b""})
    check.file(ModelFile("__init__.py", 0)).finish()
    check.finish()
