"""What people see while bytes move: bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from modelcar.progress import Progress
from modelcar.quantities import format_bytes

LINE_EVERY_S = 5.0


class SharedConsole(Console):
    """A console on which each line stands whole, whichever thread writes it.

    rich reads how many rows its bars have before it takes the lock under which it writes. A warning printed between
    the two by a thread, while another added a bar, was erased again, or left a bar behind. Here both are one step,
    and bars redraw themselves under the same lock.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.writing = threading.RLock()

    def __enter__(self) -> SharedConsole:
        self.writing.acquire()
        super().__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            super().__exit__(*exception)
        finally:
            self.writing.release()


@contextmanager
def show_progress(total_bytes: int, console: SharedConsole, *, done: str = "pushed") -> Iterator[Progress]:
    """Show how a push goes, or a download, on the given console.

    Args:
        total_bytes: Size of all layers together, or of all files.
        console: Of standard error; bars when it is a terminal, lines otherwise.
        done: What is said of one that moved.
    """
    if console.is_terminal:
        with _bars(console) as bars:
            yield BarProgress(bars, total_bytes)
    else:
        yield LineProgress(
            total_bytes, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True), done=done
        )


class _Words(ProgressColumn):
    """A column that is never broken into two lines."""

    def __init__(self, words: Callable[[Task], str], *, right: bool = False) -> None:
        super().__init__(Column(no_wrap=True, justify="right" if right else "left"))
        self._words = words

    def render(self, task: Task) -> Text:
        return Text(self._words(task))


def _bars(console: SharedConsole) -> Bars:
    """Bars that fit 80 columns: what does not is cut from the title, whose end tells files apart."""
    title_cells = max(12, console.width // 3)
    bars = Bars(
        _Words(lambda task: _shorten(task.description, title_cells)),
        BarColumn(bar_width=None),
        _Words(lambda task: f"{format_bytes(task.completed)} of {format_bytes(task.total or 0)}", right=True),
        _Words(lambda task: f"{format_bytes(task.speed)}/s" if task.speed else "", right=True),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
        transient=True,
    )
    bars.live._lock = console.writing  # there is no public way to draw and to print under one lock
    return bars


class BarProgress:
    """A bar for each layer under way and one for the whole."""

    def __init__(self, bars: Bars, total_bytes: int) -> None:
        self._bars = bars
        self._total = bars.add_task("total", total=total_bytes)
        self._layers: dict[int, TaskID] = {}
        self._moved: dict[int, int] = {}
        self._lock = threading.Lock()

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:
        """Show its bar, from the beginning."""
        with self._lock:
            if key in self._layers:
                self._bars.advance(self._total, -self._moved[key])
                self._bars.reset(self._layers[key])
            else:
                self._layers[key] = self._bars.add_task(title, total=size_bytes)
            self._moved[key] = 0

    def bytes_moved(self, key: int, count: int) -> None:
        """Move the bars."""
        with self._lock:
            self._moved[key] += count
            self._bars.advance(self._layers[key], count)
            self._bars.advance(self._total, count)

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:  # noqa: ARG002
        """Take its bar away."""
        with self._lock:
            self._bars.advance(self._total, size_bytes - self._moved.get(key, 0))
            if key in self._layers:
                self._bars.update(self._layers[key], visible=False)


class LineProgress:
    """A line for each finished layer, and one every few seconds between them."""

    def __init__(
        self,
        total_bytes: int,
        write: Callable[[str], None],
        *,
        done: str = "pushed",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total_bytes, self._write, self._done, self._clock = total_bytes, write, done, clock
        self._started_s = self._told_s = clock()
        self._moved: dict[int, int] = {}
        self._done_bytes = 0
        self._lock = threading.Lock()

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:  # noqa: ARG002
        """Count from the beginning."""
        with self._lock:
            self._moved[key] = 0

    def bytes_moved(self, key: int, count: int) -> None:
        """Say how far the whole is, when it is time."""
        with self._lock:
            self._moved[key] += count
            now_s = self._clock()
            if now_s - self._told_s >= LINE_EVERY_S:
                self._told_s = now_s
                self._write(self._line(now_s))

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:
        """Say so."""
        with self._lock:
            self._moved.pop(key, None)
            self._done_bytes += size_bytes
            self._write(f"{'reused' if reused else self._done} {title} ({format_bytes(size_bytes)})")

    def _line(self, now_s: float) -> str:
        moving_bytes = sum(self._moved.values())
        at_bytes = self._done_bytes + moving_bytes
        rate = at_bytes / max(now_s - self._started_s, 0.001)
        left_s = (self._total_bytes - at_bytes) / rate if rate else 0.0
        return (
            f"{format_bytes(at_bytes)} of {format_bytes(self._total_bytes)} "
            f"({at_bytes * 100 // max(1, self._total_bytes)} %), {format_bytes(rate)}/s, {left_s:.0f} s left"
        )


def _shorten(title: str, width: int) -> str:
    return title if len(title) <= width else f"…{title[1 - width :]}"


def stderr_console() -> SharedConsole:
    """Where progress is shown."""
    return SharedConsole(stderr=True)
