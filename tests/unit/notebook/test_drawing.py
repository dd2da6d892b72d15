"""The display thread: in order, not too often, and whatever what it draws does."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from beampy.notebook import drawing
from beampy.notebook.drawing import OFTEN, RARELY, SELDOM, Hand, show

DEADLINE = 20.0


class Cell:
    """Keeps what is drawn in it."""

    def __init__(self, *, here: bool = False, live: bool = True) -> None:
        self.drawn: list[tuple[str, bool]] = []
        self.here = here
        self.publisher = type("Out", (), {"live": live})()
        self.changed = threading.Condition()

    def runs_here(self) -> bool:
        return self.here

    def display_here(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        self.publish(data, metadata, display_id, False)

    def publish(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str, update: bool) -> None:
        with self.changed:
            self.drawn.append((data["text/plain"], update))
            self.changed.notify_all()

    def until(self, condition: Any) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.drawn), DEADLINE), self.drawn


class Number:
    ended = False

    def __init__(self) -> None:
        self.n = 0
        self.threads: set[str] = set()
        self.fails = False

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        self.threads.add(threading.current_thread().name)
        if self.fails:
            raise RuntimeError("cannot be drawn")
        return {"text/plain": str(self.n)}, {}


@pytest.fixture(autouse=True)
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    """A display thread of the test's own."""
    made = Hand("beampy-display")
    monkeypatch.setattr(drawing, "_hand", made)
    monkeypatch.setattr(drawing, "_turn", drawing._Turn())
    yield made
    made.stop()
    drawing._hands.remove(made)


def done_before_now(hand: Hand) -> None:
    there = threading.Event()
    hand.soon(there.set)
    assert there.wait(DEADLINE)


def test_it_is_displayed_and_drawn_again_as_it_changes():
    shown, cell = Number(), Cell()
    drawn = show(shown, cell)  # type: ignore[arg-type]
    cell.until(lambda drawn: drawn == [("0", False)])
    shown.n = 1
    drawn.changed()
    cell.until(lambda drawn: drawn[-1] == ("1", True))
    shown.n = 2
    drawn.end()
    cell.until(lambda drawn: drawn[-1] == ("2", True))
    shown.n = 3
    drawn.changed()
    drawn.end()
    done_before_now(drawing._hand)
    assert cell.drawn == [("0", False), ("1", True), ("2", True)]
    assert shown.threads == {"beampy-display"}


def test_code_of_the_cell_displays_at_once():
    shown, cell = Number(), Cell(here=True)
    show(shown, cell)  # type: ignore[arg-type]
    assert cell.drawn == [("0", False)]
    assert shown.threads == {threading.current_thread().name}


def test_many_changes_are_few_drawings(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    timed: list[tuple[float, Any]] = []
    monkeypatch.setattr(drawing.time, "monotonic", lambda: now)
    monkeypatch.setattr(drawing, "soon", lambda fn: fn())
    monkeypatch.setattr(drawing, "after", lambda seconds, fn: timed.append((seconds, fn)))
    monkeypatch.setattr(drawing, "_turn", drawing._Turn())
    shown, cell = Number(), Cell()
    drawn = show(shown, cell)  # type: ignore[arg-type]
    for shown.n in range(1, 100):
        drawn.changed()
    assert (len(cell.drawn), len(timed)) == (1, 1)
    assert timed[0][0] == pytest.approx(OFTEN)
    now += OFTEN
    timed.pop()[1]()
    assert cell.drawn[-1] == ("99", True)
    for unseen, pace in ((61, SELDOM), (601, RARELY)):
        drawing._turn.seen = now - unseen
        drawn.changed()
        assert timed.pop()[0] == pytest.approx(pace)
        drawn._waits = False
    drawing.seen()
    drawn.changed()
    assert timed.pop()[0] == pytest.approx(OFTEN)


def test_all_together_are_not_too_often(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    timed: list[tuple[float, Any]] = []
    monkeypatch.setattr(drawing.time, "monotonic", lambda: now)
    monkeypatch.setattr(drawing, "soon", lambda fn: fn())
    monkeypatch.setattr(drawing, "after", lambda seconds, fn: timed.append((now + seconds, fn)))
    monkeypatch.setattr(drawing, "_turn", drawing._Turn())
    cell = Cell()
    all_of_them = [show(Number(), cell) for _ in range(300)]  # type: ignore[arg-type]
    for drawn in all_of_them:
        drawn.changed()
    first = len(cell.drawn)
    while now < 1001.0:
        now += 0.005
        for at, fn in [one for one in timed if one[0] <= now]:
            timed.remove((at, fn))
            fn()
    assert 90 <= len(cell.drawn) - first <= 110


def test_what_cannot_be_drawn_is_said_once(caplog: pytest.LogCaptureFixture, hand: Hand):
    shown, cell = Number(), Cell()
    shown.fails = True
    with caplog.at_level(logging.ERROR):
        drawn = show(shown, cell)  # type: ignore[arg-type]
        drawn.end()
        hand.soon(lambda: 1 / 0)
        done_before_now(hand)
    assert [record.message for record in caplog.records] == [
        f"{shown!r} could not be drawn; this is not said again of it",
        "something could not be shown in the notebook",
    ]
    other = Cell()
    show(Number(), other)  # type: ignore[arg-type]
    other.until(lambda drawn: drawn)


def test_in_a_terminal_there_are_the_first_and_the_last(hand: Hand):
    shown, cell = Number(), Cell(live=False)
    drawn = show(shown, cell)  # type: ignore[arg-type]
    cell.until(lambda drawn: drawn)
    drawn.changed()
    time.sleep(2 * OFTEN)
    drawn.end()
    done_before_now(hand)
    assert cell.drawn == [("0", False), ("0", True)]


def test_times_are_told_by_themselves_and_less_often_after_a_while():
    cell = Cell()
    drawn = show(Number(), cell, every=0.01)  # type: ignore[arg-type]
    cell.until(lambda drawn: len(drawn) >= 3)
    drawn.end()
    assert [drawing._slower(1.0, age) for age in (5, 300, 7200)] == [1.0, 5.0, 30.0]


def test_what_waits_is_bounded(hand: Hand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(drawing, "LIMIT", 5)
    go, did = threading.Event(), []
    hand.soon(lambda: go.wait(DEADLINE))
    for n in range(100):
        hand.soon(lambda n=n: did.append(n))  # type: ignore[misc]
    go.set()
    hand.stop()
    assert did == list(range(len(did)))
    assert 1 <= len(did) <= 6
    assert sum("wait to be drawn" in record.message for record in caplog.records) == 1


def test_at_the_end_of_the_program_what_comes_at_once_is_done(hand: Hand):
    did: list[str] = []
    hand.post((time.monotonic() + 0.05, lambda: did.append("soon")))
    hand.post((time.monotonic() + 50, lambda: did.append("late")))
    hand.soon(lambda: did.append("now"))
    hand.stop()
    assert did == ["now", "soon"]
    assert hand.thread is not None
    assert not hand.thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_thread_of_its_own(hand: Hand):
    done_before_now(hand)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            done_before_now(hand)
            os.write(write, b"drawn")
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    assert os.read(read, 10) == b"drawn"
    os.close(read)
