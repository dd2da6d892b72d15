"""The live view: pictures that fit every window, and a terminal that is left as it was."""

from __future__ import annotations

import asyncio
import io
import logging
import math
import random
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from beampy.core.group_leader import Report
from beampy.pool import live as module
from beampy.pool.events import Events, Queued, RunnerDown, RunnerUp
from beampy.pool.live import Live
from beampy.pool.live_picture import progress_bar, render, shares, sparkline, summary
from beampy.pool.live_view import BarView, CurveView, Rate, RunnerView, View, bars_of, curves_of
from beampy.pool.pool import Pool
from beampy.pool.progress import CallProgress, log, track
from beampy.pool.viewing import Viewer
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.core.test_group_leader import until
from tests.unit.pool.ground import forever

in_threads = pytest.mark.loops("asyncio", "uvloop")

FULL = View(
    "demo",
    age=75.0,
    max=10,
    runners=[
        RunnerView("demo-3@h", "booting", age=1.0),
        RunnerView("demo-1@h", "up", 8, 3, 0, 1200, 0, 70.0, 1.5, 300 * 2**20),
        RunnerView("demo-2@h", "up", 100, 1, 2, 10, 4, 60.0, 0.25, None),
        RunnerView("demo-4@h", "draining", 8, 0, 0, 7, 0, 50.0),
        RunnerView("demo-5@h", "down", 8, 0, 0, 7, 0, 50.0),
    ],
    waiting=40,
    running=4,
    finished=1236,
    failed=4,
    cancelled=2,
    rate=17.25,
    bars=[BarView("epochs", 30, 60, 2.0, "demo-1@h", 7), BarView("rows", 12345, None, 100.0)],
    curves=[CurveView("loss", [(step, 1 / (step + 1)) for step in range(100)], "demo-1@h", 7)],
    events=[RunnerUp(0.0, "demo-1@h", 0.05), RunnerDown(0.0, "demo-5@h", "signal 9", True)],
)


def drawn(view: View, width: int = 120, height: int = 40, encoding: str = "utf-8") -> list[str]:
    """The lines of a picture as a terminal of that size has them."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, height=height, record=True, force_terminal=True, color_system=None)
    console.print(render(view))
    return [line.rstrip() for line in console.export_text(styles=False).splitlines()]


# --- pictures


def test_a_picture_has_all_of_a_pool():
    lines = drawn(FULL)
    assert lines[0] == (
        "demo · 2 of 10 runners · 1 booting · 4 running · 40 waiting · 1 230 done · 4 failed · 2 cancelled"
        " · 17.2/s · 1:15"
    )
    assert [line.split()[:2] for line in lines[1:6]] == [
        ["demo-1", "up"],
        ["demo-2", "up"],
        ["demo-3", "booting"],
        ["demo-4", "draining"],
        ["demo-5", "down"],
    ]
    assert lines[1].split()[2:] == ["███░░░░░", "3/8", "1", "200", "done", "1:10", "150", "%", "300", "MB"]
    assert lines[2].split()[2:] == ["█░░░░░░░░░", "1/100", "2", "stuck", "10", "done", "4", "failed", "1:00", "25", "%"]
    assert lines[6].split() == ["epochs", "━" * 15 + "─" * 15, "30/60", "2/s", "15s", "left", "demo-1", "#7"]
    assert lines[7].split() == ["rows", "12", "345", "100/s"]
    assert lines[8].split()[0] == "loss"
    assert lines[8].split()[2:] == ["0.01", "0.01", "…", "1", "demo-1", "#7"]
    assert [line[9:] for line in lines[9:]] == ["demo-1 is up after 0.05 s", "demo-5 was lost: signal 9"]


def test_an_empty_pool_is_one_line():
    assert drawn(View("p")) == ["p · 0 runners · 0 running · 0 done"]


def crowd(view: View, runners: int, bars: int, curves: int, events: int) -> View:
    return replace(
        view,
        runners=[RunnerView(f"r{n}@h", "up", 4) for n in range(runners)],
        bars=[BarView(f"bar {n}", n, 100, 1.0, "r1@h") for n in range(bars)],
        curves=[CurveView(f"curve {n}", [(0, n)]) for n in range(curves)],
        events=[Queued(0.0, n, 1) for n in range(events)],
    )


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [1, 10, 20, 39, 40, 52, 63, 64, 80, 92, 104, 300])
def test_no_line_is_longer_than_the_window_or_breaks(width, encoding):
    odd = replace(
        FULL,
        pool="päl\n",
        bars=[*FULL.bars, BarView("a\tlong\nlabel " * 10, 10**9, 10**9, 1e-9, "r" * 100), BarView("", 0, 0)],
        curves=[*FULL.curves, CurveView("", []), CurveView("nan\r", [(0, math.nan)]), CurveView("big", [(0, -1e300)])],
        events=[RunnerDown(0.0, "demo-5@h", "signal 9\nand \033[31mmore\x07", True)],
    )
    plain = drawn(FULL, width, encoding=encoding)
    lines = drawn(odd, width, encoding=encoding)
    assert max(map(len, plain + lines)) <= width
    assert len(plain) == 1 + 5 + 2 + 1 + 2
    assert len(lines) == 1 + 5 + 4 + 4 + 1
    assert encoding == "utf-8" or "".join(lines).isascii()


@pytest.mark.parametrize("width", [64, 76, 80, 86, 100, 104, 120])
def test_what_is_shown_is_not_cut_in_windows_of_usual_widths(width):
    text = "\n".join(drawn(FULL, width))
    for figure in ("3/8", "1/100 2 stuck", "1 200 done", "30/60", "12 345", "15s left", "0.01"):
        assert figure in text
    assert ("  4 failed" in text) == (width >= 76)
    assert ("  1:10" in text) == (width >= 86)
    assert ("300 MB" in text) == (width >= 100)


@pytest.mark.parametrize("height", [1, 3, 6, 10, 24, 50])
def test_a_picture_is_lower_than_its_window(height):
    lines = drawn(crowd(FULL, 200, 20, 20, 20), height=height)
    assert len(lines) <= max(2, height - 1)


def test_what_is_left_out_is_counted():
    lines = drawn(crowd(FULL, 50, 3, 2, 1), height=20)
    more = [line for line in lines if "more" in line]
    (runners,) = more
    shown = sum(line.startswith("r") and " up " in line for line in lines)
    assert runners == f"… and {50 - shown} more runners"
    assert len(lines) == 18
    assert drawn(crowd(FULL, 2, 30, 1, 1))[-3:-2] == ["… and 23 more bars"]


@pytest.mark.parametrize("seed", range(20))
def test_shares_fit_and_favour_nobody_who_has_little(seed):
    rng = random.Random(seed)
    height = rng.randrange(1, 60)
    wanted = [rng.randrange(0, 80) for _ in range(4)]
    got = shares(height, *wanted)
    assert sum(got) <= max(1, height - 1)
    assert all(0 <= share <= want for share, want in zip(got, wanted, strict=True))
    if height >= 30:
        assert all(share >= min(want, 4) for share, want in zip(got, wanted, strict=True))


@pytest.mark.parametrize(
    ("points", "width", "line"),
    [
        ([], 8, ""),
        ([(0, 5.0)], 8, "▄"),
        ([(0, 5.0), (7, 5.0)], 8, "▄▄▄▄▄▄▄▄"),
        ([(0, 0.0), (1, 1.0)], 4, "▁▁▁█"),
        ([(0, math.nan), (math.inf, 1.0)], 4, ""),
        ([(0, 0.0), (1, math.inf), (2, 1.0), (3, math.nan)], 4, "▁▁▁█"),
        ([(-1.7e308, 1.7e308), (0, 0.0), (1.7e308, -1.7e308)], 3, "█▅▁"),
        ([(0, 1.7e308), (0, 1.7e308), (1, 0.0)], 2, "█▁"),
        ([(3, 3.0), (0, 0.0), (2, 2.0), (1, 1.0)], 4, "▁▃▆█"),
        ([(0, 0.0), (100, 1.0)], 5, "▁▁▁▁█"),
        ([(n, n) for n in range(1000)], 8, "▁▂▃▄▅▆▇█"),
    ],
)
def test_curves(points, width, line):
    assert sparkline(points, width) == line
    assert len(sparkline(points, width, ascii=True)) == len(line)


@pytest.mark.parametrize(
    ("fraction", "bar"), [(0, "────"), (1, "━━━━"), (0.5, "━━──"), (0.4, "━╸──"), (7.0, "━━━━"), (-1.0, "────")]
)
def test_progress_bars(fraction, bar):
    assert "".join(progress_bar(fraction, 4)) == bar


@pytest.mark.parametrize("width", range(1, 110, 7))
def test_a_summary_says_what_matters_most_in_little_room(width):
    text = summary(FULL, width=width)
    assert text.startswith("demo")
    assert "1 230 done" in text
    assert len(text) <= max(width, len("demo · 1 230 done"))


# --- what pictures are made of


def test_a_rate_is_of_the_last_seconds():
    rate = Rate()
    seen = [rate.of(10 * second, now=float(second)) for second in range(20)]
    assert seen == [None, *[10.0] * 19]
    assert [rate.of(190, now=float(second)) for second in range(20, 26)][-1] == 0.0
    assert len(rate._seen) < 10


def test_bars_that_have_ended_are_not_shown():
    heard = CallProgress()
    heard.take(Report((("a", 1, 2, False), ("b", 2, 2, True)), (("loss", ((0, 1.0),)),)), 0.0)
    assert list(bars_of(heard, "r", 7)) == [BarView("a", 1, 2, None, "r", 7)]
    assert list(curves_of(heard, "r", 7)) == [CurveView("loss", ((0, 1.0),), "r", 7)]


async def work() -> str:
    for _ in track(range(3), label="steps"):
        log(loss=0.5)
        while not SEEN:
            await asyncio.sleep(0.01)
    return "done"


SEEN: list[bool] = []  # what runs on a machine of the loop is looked up in this module


async def test_a_look_at_a_pool_at_work():
    async def body() -> None:
        async with Pool(max=2, max_concurrency=4, backend=LoopBackend(), name="looked-at") as pool:
            manager = pool._working()
            viewer = Viewer(manager)
            call = pool.call(work)
            await until(lambda: call.progress is not None and "loss" in call.progress.curves)
            view = viewer.view()
            (runner,) = view.runners
            assert (runner.state, runner.slots, runner.busy, runner.zombies, runner.done) == ("up", 4, 1, 0, 0)
            assert (view.pool, view.max, view.running, view.waiting, view.finished) == ("looked-at", 2, 1, 0, 0)
            assert [(bar.label, bar.total, bar.runner, bar.call) for bar in view.bars] == [
                ("steps", 3, runner.name, call.number)
            ]
            assert [(curve.name, curve.points[0]) for curve in view.curves] == [("loss", (0, 0.5))]
            SEEN.append(True)
            assert await call == "done"
            with pytest.raises(ZeroDivisionError):
                await pool.call(divide, 0)
            view = viewer.view()
            assert (view.running, view.finished, view.failed, view.bars, view.ended) == (0, 2, 1, [], False)
            left = pool.call(forever)
            await until(lambda: left.state == "running")
            left.cancel()
            await until(lambda: viewer.view().finished == 3)
            view = viewer.view()
            assert (view.failed, view.cancelled, view.runners[0].failed) == (1, 1, 1)
        assert viewer.view().ended

    SEEN.clear()
    await harness.run(body)


def divide(by: int) -> float:
    return 1 / by


# --- the terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SHOW, HIDE = "\033[?25h", "\033[?25l"


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """All that will stand on the terminal, stdout and stderr alike."""
    one = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "JUPYTER_COLUMNS", "JUPYTER_LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", one)
    monkeypatch.setattr(sys, "stderr", one)
    return one


def viewing(view: Any = lambda: FULL, events: Events | None = None, **options: Any) -> Live:
    return Live(view, asyncio.get_running_loop(), threading.get_ident(), events, **options)


@in_threads
async def test_a_pool_is_drawn_while_it_works_and_once_at_the_end(monkeypatch):
    terminal = a_terminal(monkeypatch)
    views = (replace(FULL, finished=min(n, 3), failed=0, cancelled=0) for n in range(10_000))  # not every one is drawn
    with viewing(lambda: next(views)):
        await until(lambda: " 3 done" in terminal.getvalue())
    last = terminal.getvalue()
    assert last.index(HIDE) < last.index("demo-1")
    assert last.rstrip().endswith(SHOW)


@in_threads
async def test_what_is_printed_and_logged_meanwhile_stands_above(monkeypatch):
    terminal = a_terminal(monkeypatch)
    logger = logging.getLogger("live.test")
    handler = logging.StreamHandler(terminal)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with viewing():
            await until(lambda: "demo-1" in terminal.getvalue())
            assert sys.stdout is not terminal
            sys.stdout.write("[runner-1] printed\n")
            logger.warning("logged")
            assert handler.stream is not terminal
            await until(lambda: "logged" in terminal.getvalue())
        assert handler.stream is terminal
    finally:
        logger.removeHandler(handler)
    text = terminal.getvalue()
    assert text.rindex("demo-1") > text.index("printed")
    assert "[runner-1] printed" in text  # and not taken for one of rich's styles


@in_threads
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
async def test_the_terminal_is_as_it_was_whatever_happens(monkeypatch, error):
    terminal = a_terminal(monkeypatch)
    before = threading.active_count()
    with pytest.raises(error), viewing():
        await until(lambda: HIDE in terminal.getvalue())
        raise error
    assert (sys.stdout, sys.stderr) == (terminal, terminal)
    assert terminal.getvalue().rstrip().endswith(SHOW)
    assert threading.active_count() == before


@in_threads
async def test_without_with_it_is_closed_by_hand_and_twice_is_once(monkeypatch):
    terminal = a_terminal(monkeypatch)
    live = viewing().start()
    assert live.start() is live
    live.close()
    text = terminal.getvalue()
    assert "demo-1" in text
    live.close()
    live.__exit__()
    assert terminal.getvalue() == text
    assert sys.stdout is terminal


@in_threads
async def test_it_ends_with_its_pool(monkeypatch):
    terminal = a_terminal(monkeypatch)
    ended = False
    live = viewing(lambda: View("p", ended=ended)).start()
    await until(lambda: "p " in terminal.getvalue())
    ended = True
    await until(lambda: sys.stdout is terminal)
    live.close()
    assert live._drawer is not None
    assert not live._drawer.is_alive()


@in_threads
async def test_it_may_be_shown_from_another_thread_than_the_pools(monkeypatch):
    terminal = a_terminal(monkeypatch)
    loop, ident, threads = asyncio.get_running_loop(), threading.get_ident(), set()

    def view() -> View:
        threads.add(threading.get_ident())
        return FULL

    def show() -> None:
        with Live(view, loop, ident):
            pass

    await asyncio.to_thread(show)
    assert threads == {ident}
    assert "demo-1" in terminal.getvalue()


def test_a_pool_whose_loop_has_ended_can_still_be_closed(monkeypatch):
    terminal = a_terminal(monkeypatch)

    async def main() -> Live:
        return viewing().start()

    live = asyncio.run(main())
    live.close()
    assert sys.stdout is terminal


@in_threads
async def test_a_view_that_raises_is_logged_once_and_the_next_one_shown(monkeypatch, caplog):
    terminal = a_terminal(monkeypatch)
    turns = iter(range(10_000))

    def view() -> View:
        if next(turns) < 3:
            raise ValueError("not yet")
        return FULL

    with viewing(view):
        await until(lambda: "demo-1" in terminal.getvalue())
    assert [record.getMessage() for record in caplog.records] == [
        "the live view of a pool could not be taken; said once"
    ]


@in_threads
async def test_events_that_people_want_are_shown(monkeypatch):
    terminal = a_terminal(monkeypatch)
    events = Events()
    with viewing(lambda: View("p"), events):
        assert events.active
        events.emit(RunnerUp(0.0, "runner-7@h", 0.5))
        for n in range(20):
            events.emit(Queued(0.0, n, n))
    assert not events.active
    assert "runner-7 is up after 0.5 s" in terminal.getvalue()
    assert "waits" not in terminal.getvalue()


@in_threads
async def test_loops_of_the_callers_own_are_shown(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with viewing(lambda: View("p")):
        for _ in track(range(5), label="my loop"):
            log(mine=1)
            await until(lambda: "my loop" in terminal.getvalue())
    assert "mine" in terminal.getvalue()
    assert type(track([1])) is type(iter([1]))


@in_threads
async def test_a_slow_view_takes_a_small_part_of_the_pools_time(monkeypatch):
    delays = []
    loop = asyncio.get_running_loop()
    clock = iter(range(100))

    class Loop:
        def time(self) -> float:
            return float(next(clock))

        def call_later(self, delay: float, fn: Any) -> Any:
            delays.append(delay)
            return loop.call_later(0, lambda: None)

    live = viewing()
    live._loop = Loop()  # type: ignore[assignment]
    live._reports = lambda: None  # type: ignore[assignment,return-value]
    live._sample()
    assert delays == [40.0]  # it seemed to take two seconds


# --- no terminal, no rich


@in_threads
async def test_without_a_terminal_it_is_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(module, "LINES_EVERY", 0.01)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    finished = 1
    with viewing(lambda: replace(FULL, finished=finished, failed=0, cancelled=0)):
        await until(lambda: stderr.getvalue())
        finished = 2
        await until(lambda: stderr.getvalue().count("\n") == 2)
        await asyncio.sleep(0.05)  # some turns in which nothing has changed
    first, second = stderr.getvalue().splitlines()
    assert first.startswith("demo - 2 of 10 runners - 1 booting - 4 running - 40 waiting - 1 done")
    assert " 2 done" in second
    assert capsys.readouterr().out == ""


@in_threads
async def test_the_end_is_told_without_a_terminal_too(capsys):
    with viewing():
        pass
    assert capsys.readouterr().err.startswith("demo - 2 of 10 runners")


async def test_without_rich_the_error_says_what_to_install(monkeypatch):
    terminal = a_terminal(monkeypatch)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match="pip install rich"):
        viewing()
    assert sys.stdout is terminal


@in_threads
async def test_without_rich_and_a_terminal_there_are_lines(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.setitem(sys.modules, name, None)
    with viewing():
        pass
    assert capsys.readouterr().err.startswith("demo")


def test_the_deadline_of_the_tests_is_longer_than_the_views():
    assert module.ENDING < harness.DEADLINE
