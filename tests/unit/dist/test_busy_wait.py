"""Busy waiting: it looks a moment longer, and gives up where that is for nothing."""

from __future__ import annotations

import pytest

from beampy.dist import busy_wait
from beampy.dist.busy_wait import LOOK, MOST_SKIPPED, BusyWait


class Loop:
    """Counts turns, and has a clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.soon: list = []
        monkeypatch.setattr(busy_wait, "monotonic", lambda: self.now)

    def call_soon(self, fn) -> None:
        self.soon.append(fn)

    def turn(self) -> int:
        soon, self.soon = self.soon, []
        for fn in soon:
            fn()
        return len(soon)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_it_goes_round_until_something_comes(loop):
    wait = BusyWait(loop)
    wait.wrote()
    for _ in range(5):
        assert loop.turn() == 1
    wait.heard()
    assert loop.turn() == 1
    assert loop.turn() == 0


def test_it_goes_round_for_a_moment_only(loop):
    wait = BusyWait(loop)
    wait.wrote()
    assert loop.turn() == 1
    loop.now += LOOK
    assert loop.turn() == 1
    assert loop.turn() == 0


def test_many_writes_are_one_look(loop):
    wait = BusyWait(loop)
    for _ in range(10):
        wait.wrote()
    assert loop.turn() == 1


def looked(loop: Loop, wait: BusyWait) -> bool:
    """One write that nothing answers: whether it was followed by a look."""
    wait.wrote()
    if not loop.turn():
        return False
    loop.now += LOOK
    loop.turn()
    assert loop.turn() == 0
    return True


def test_looks_for_nothing_become_rare_and_one_that_pays_brings_them_back(loop):
    wait = BusyWait(loop)
    looks = [looked(loop, wait) for _ in range(16)]
    assert [at for at, look in enumerate(looks) if look] == [0, 2, 6, 14]
    for _ in range(10 * MOST_SKIPPED):
        looked(loop, wait)
    assert sum(looked(loop, wait) for _ in range(10 * (MOST_SKIPPED + 1))) == 10
    while True:
        wait.wrote()
        if loop.turn():
            break
    wait.heard()
    loop.turn()
    assert looked(loop, wait)


def test_nothing_happens_without_writes(loop):
    wait = BusyWait(loop)
    wait.heard()
    assert loop.turn() == 0
