from __future__ import annotations

from pathlib import Path

import pytest

from modelcar_trainer.settings import Settings, WrongRecipe, read_texts


def test_a_recipe_without_parameters_has_every_default() -> None:
    assert Settings.of({}) == Settings(
        epochs=3, learning_rate=1e-3, batch_size=8, block_tokens=64, holdout=0.1, seed=0, threads=1
    )


def test_parameters_are_read_as_the_numbers_that_they_are() -> None:
    settings = Settings.of({"epochs": "2", "learning_rate": "1e-4", "holdout": "0"})
    assert (settings.epochs, settings.learning_rate, settings.holdout) == (2, 1e-4, 0.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epoch": "2"}, r"^there is no parameter 'epoch'; there are epochs, learning_rate, "),
        ({"epochs": "two"}, r"^parameter epochs is 'two', not a whole number$"),
        ({"epochs": "1.5"}, r"^parameter epochs is '1\.5', not a whole number$"),
        ({"epochs": "0"}, r"^parameter epochs is 0; 1 to 10000 is possible$"),
        ({"learning_rate": "nan"}, r"^parameter learning_rate is nan; 0 to 1 is possible$"),
        ({"holdout": "0.95"}, r"^parameter holdout is 0\.95; 0 to 0\.9 is possible$"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_told(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(WrongRecipe, match=message):
        Settings.of(parameters)


def test_texts_come_by_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/2.jsonl").write_text('{"text": "third", "more": 1}\n')
    (tmp_path / "a.jsonl").write_text('{"text": "first"}\n\n{"text": "sec\\u00f6nd"}')
    (tmp_path / "README.md").write_text("# no text")
    assert read_texts(tmp_path) == ["first", "secönd", "third"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no \*\.jsonl with texts$"),
        (b"\n", r"has no \*\.jsonl with texts$"),
        (b'{"text": "x"}\n{"txt": "y"}\n', r"^a\.jsonl:2: is not an object with a text"),
        (b"hello\n", r"^a\.jsonl:1: is not an object with a text"),
        (b"[1]\n", r"^a\.jsonl:1: is not an object with a text"),
        (b"\xff\n", r"^a\.jsonl:1: is not an object with a text"),
        (b'{"text": 1}\n', r"^a\.jsonl:1: its text is blank, or no text$"),
        (b'{"text": " "}\n', r"^a\.jsonl:1: its text is blank, or no text$"),
    ],
)
def test_data_that_is_none_is_told_with_file_and_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(WrongRecipe, match=message):
        read_texts(tmp_path)
