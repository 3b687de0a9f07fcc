"""What stands on the screen and in a log while bytes move."""

from __future__ import annotations

import sys
import threading
from io import StringIO

import pytest

from cli.screen import Screen
from modelcar.display import BarProgress, LineProgress, SharedConsole, _bars, show_progress
from modelcar.progress import Progress
from modelcar.quantities import format_bytes

MIB = 1 << 20
THREADS = 4
LAYERS_OF_A_THREAD = 20


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Log:
    """Lines of a push of 100 MiB."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.progress = LineProgress(100 * MIB, self.lines.append, clock=self.clock)


@pytest.fixture
def log() -> Log:
    return Log()


class Push:
    """The bars of a push of 100 MiB on a terminal."""

    def __init__(self, width: int = 100) -> None:
        console = SharedConsole(
            force_terminal=True, width=width, file=StringIO(), color_system=None, legacy_windows=False
        )
        self.bars = _bars(console)
        self.progress = BarProgress(self.bars, 100 * MIB)
        self.console = console

    def rows(self) -> list[list[str]]:
        """What stands there now, row by row, without the bars themselves."""
        with self.console.capture() as capture:
            self.console.print(self.bars.get_renderable())
        return [
            line.replace("━", " ").replace("╸", " ").replace("╺", " ").split() for line in capture.get().splitlines()
        ]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (MIB - 1, "1024.0 KiB"),
        (MIB, "1.0 MiB"),
        (4 * MIB + MIB // 4, "4.2 MiB"),
        (40 * 1024 * MIB, "40.0 GiB"),
        (3 * MIB * MIB, "3.0 TiB"),
        (2048 * MIB * MIB, "2048.0 TiB"),
        (0.4, "0 B"),
    ],
)
def test_sizes_are_written_in_binary_units(size_bytes: float, text: str) -> None:
    assert format_bytes(size_bytes) == text


def test_a_log_gets_a_line_for_every_finished_layer(log: Log) -> None:
    log.progress.layer_finished(0, "base image ubi9/ubi-micro", 10 * MIB, reused=True)
    log.progress.layer_started(1, "model.safetensors", 50 * MIB)
    log.progress.bytes_moved(1, 50 * MIB)
    log.progress.layer_finished(1, "model.safetensors", 50 * MIB, reused=False)

    assert log.lines == ["reused base image ubi9/ubi-micro (10.0 MiB)", "pushed model.safetensors (50.0 MiB)"]


def test_a_log_says_every_five_seconds_how_far_the_whole_is(log: Log) -> None:
    log.progress.layer_finished(0, "directories", 0, reused=False)
    log.progress.layer_started(1, "model.safetensors", 100 * MIB)
    for _ in range(11):
        log.clock.now_s += 1.0
        log.progress.bytes_moved(1, 5 * MIB)

    assert log.lines[1:] == [
        "25.0 MiB of 100.0 MiB (25 %), 5.0 MiB/s, 15 s left",
        "50.0 MiB of 100.0 MiB (50 %), 5.0 MiB/s, 10 s left",
    ]


def test_a_layer_that_begins_again_is_not_counted_twice_in_a_log(log: Log) -> None:
    log.progress.layer_started(1, "model.safetensors", 100 * MIB)
    log.progress.bytes_moved(1, 40 * MIB)
    log.progress.layer_started(1, "model.safetensors", 100 * MIB)
    log.clock.now_s += 10.0
    log.progress.bytes_moved(1, 20 * MIB)

    assert log.lines == ["20.0 MiB of 100.0 MiB (20 %), 2.0 MiB/s, 40 s left"]


def test_bars_show_the_whole_and_each_layer() -> None:
    screen = Push()
    screen.progress.layer_started(1, "model.safetensors", 50 * MIB)
    screen.progress.bytes_moved(1, 20 * MIB)

    total, layer = screen.rows()
    assert total[:6] == ["total", "20.0", "MiB", "of", "100.0", "MiB"]
    assert layer[:6] == ["model.safetensors", "20.0", "MiB", "of", "50.0", "MiB"]


def test_the_bar_of_a_layer_that_begins_again_goes_back() -> None:
    screen = Push()
    screen.progress.layer_started(1, "model.safetensors", 50 * MIB)
    screen.progress.bytes_moved(1, 20 * MIB)
    screen.progress.layer_started(1, "model.safetensors", 50 * MIB)
    screen.progress.bytes_moved(1, 5 * MIB)

    total, layer = screen.rows()
    assert (total[1], layer[1]) == ("5.0", "5.0")


def test_the_bar_of_a_finished_layer_goes_away() -> None:
    screen = Push()
    screen.progress.layer_started(1, "model.safetensors", 50 * MIB)
    screen.progress.bytes_moved(1, 50 * MIB)
    screen.progress.layer_finished(1, "model.safetensors", 50 * MIB, reused=False)
    screen.progress.layer_finished(2, "directories", 10 * MIB, reused=True)

    assert [row[:2] for row in screen.rows()] == [["total", "60.0"]]


def test_a_layer_that_was_there_after_it_was_read_counts_once() -> None:
    screen = Push()
    screen.progress.layer_started(1, "model.safetensors", 50 * MIB)
    screen.progress.layer_finished(1, "model.safetensors", 50 * MIB, reused=True)

    assert [row[:2] for row in screen.rows()] == [["total", "50.0"]]


def test_bars_fit_80_columns_in_one_line_each() -> None:
    screen = Push(width=80)
    for key in range(4):
        screen.progress.layer_started(key, f"checkpoints/last/model-0000{key}-of-00004.safetensors", 1000 * 1024 * MIB)
        screen.progress.bytes_moved(key, 999 * 1024 * MIB)

    rows = screen.rows()
    assert [row[0] for row in rows] == ["total", *(f"…000{key}-of-00004.safetensors" for key in range(4))]
    assert [row[1:6] for row in rows[1:]] == [["999.0", "GiB", "of", "1000.0", "GiB"]] * 4


def test_what_is_no_terminal_gets_lines() -> None:
    written = StringIO()

    with show_progress(MIB, SharedConsole(file=written, width=20)) as progress:
        progress.layer_finished(0, "[bold]model-00001-of-00002.safetensors", MIB, reused=False)

    assert written.getvalue() == "pushed [bold]model-00001-of-00002.safetensors (1.0 MiB)\n"


def test_bars_leave_nothing_on_the_screen() -> None:
    written = StringIO()
    console = SharedConsole(force_terminal=True, width=80, file=written, color_system=None)

    with show_progress(MIB, console) as progress:
        progress.layer_started(0, "model.safetensors", MIB)
        progress.bytes_moved(0, MIB)

    text = written.getvalue()
    assert "model.safetensors" in text
    last = text.rpartition("model.safetensors")[2]
    assert last.count("\x1b[2K") >= 2  # both rows are erased again


def test_warnings_of_many_threads_stand_whole_above_bars_that_come_and_go() -> None:
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads take turns between almost any two steps
    try:
        for _ in range(5):
            assert sorted(_rows_of_a_push_in_threads()) == sorted(
                f"warning: layer {layer}" for layer in range(THREADS * LAYERS_OF_A_THREAD)
            )
    finally:
        sys.setswitchinterval(interval_s)


def _rows_of_a_push_in_threads() -> list[str]:
    written = StringIO()
    console = SharedConsole(force_terminal=True, width=80, height=50, file=written, color_system=None)
    log_lock = threading.Lock()  # as the command's log handler has one

    def move(progress: Progress, layers: range) -> None:
        for layer in layers:
            progress.layer_started(layer, f"layer {layer}", MIB)
            progress.bytes_moved(layer, MIB)
            with log_lock:
                print(f"warning: layer {layer}", file=sys.stderr)
            progress.layer_finished(layer, f"layer {layer}", MIB, reused=False)

    with show_progress(THREADS * LAYERS_OF_A_THREAD * MIB, console) as progress:
        threads = [
            threading.Thread(target=move, args=(progress, range(first, first + LAYERS_OF_A_THREAD)))
            for first in range(0, THREADS * LAYERS_OF_A_THREAD, LAYERS_OF_A_THREAD)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    screen = Screen()
    screen.write(written.getvalue())
    return [row.rstrip() for row in screen.rows if row.strip()]
