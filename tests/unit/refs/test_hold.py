"""Holds: one for all handles of an object on a node, and a word when it is gone; from any thread, at any moment."""

from __future__ import annotations

import gc
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from beampy.refs import hold as module
from beampy.refs.hold import Hold, Holds, Watch
from beampy.refs.identity import ObjectId
from beampy.refs.service import Refs

ID = ObjectId("a@localhost", 1, 1)
THREADS = 8


class Ground:
    """Holds of nobody's, and their news."""

    def __init__(self) -> None:
        self.news: deque[Watch] = deque()
        self.holds = Holds(cast("Refs", None), self.news)

    def buried(self) -> list[bool]:
        """Whether each hold that has died was the last of its object."""
        found = []
        while self.news:
            found.append(self.holds.bury(self.news.popleft()))
        return found


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_all_who_take_an_object_have_one_hold(ground: Ground) -> None:
    hold, new = ground.holds.take(ID)
    assert new
    assert ground.holds.take(ID) == (hold, False)
    assert ground.holds.find(ID) is hold
    assert ground.holds.ids() == [ID]
    assert hold.id == ID


def test_it_dies_with_the_last_who_has_it_and_the_object_is_buried(ground: Ground) -> None:
    hold, _ = ground.holds.take(ID)
    again = hold
    del hold
    assert not ground.news
    del again
    assert [watch.id for watch in ground.news] == [ID]
    assert ground.holds.find(ID) is None
    assert len(ground.holds) == 1, "until it is buried"
    assert ground.buried() == [True]
    assert len(ground.holds) == 0


def test_who_takes_it_before_it_is_buried_keeps_it(ground: Ground) -> None:
    hold, _ = ground.holds.take(ID)
    del hold
    hold, new = ground.holds.take(ID)
    assert new
    assert ground.buried() == [False]
    assert ground.holds.find(ID) is hold
    del hold
    assert ground.buried() == [True]


def test_a_hold_in_a_cycle_dies_with_the_cycle(ground: Ground) -> None:
    cycle: list[Any] = [ground.holds.take(ID)[0]]
    cycle.append(cycle)
    del cycle
    assert not ground.news
    gc.collect()
    assert ground.buried() == [True]


def test_a_hold_in_a_cycle_whose_finalizer_keeps_it_is_not_dead(ground: Ground) -> None:
    """A finalizer may bring back to life what was garbage; a weak reference speaks only where it did not."""
    kept: list[Hold] = []

    class Last:
        def __init__(self, hold: Hold) -> None:
            self.hold = hold
            self.me = self

        def __del__(self) -> None:
            kept.append(self.hold)

    Last(ground.holds.take(ID)[0])
    gc.collect()
    assert not ground.news or ground.buried() == [True]
    assert ground.holds.take(ID)[0] is kept[0] or len(ground.news) == 0
    kept.clear()


def test_it_dies_while_the_lock_is_taken_in_this_thread_and_others(ground: Ground) -> None:
    mine, _ = ground.holds.take(ID)
    theirs = [ground.holds.take(ObjectId("a@localhost", 1, 2))[0]]
    dropping = threading.Thread(target=theirs.clear)
    with ground.holds._lock:
        del mine
        dropping.start()
        dropping.join(10)
        assert not dropping.is_alive()
        assert len(ground.news) == 2
    assert ground.buried() == [True, True]


@pytest.mark.parametrize("was_dead", [False, True])
@pytest.mark.parametrize("when", ["made", "watched"])
def test_code_that_a_collection_runs_while_one_is_taken_may_take_the_same(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, was_dead: bool, when: str
) -> None:
    """Such as the finalizer of an object that makes references. Both get one hold."""
    if was_dead:
        ground.holds.take(ID)
    inner: list[tuple[Hold, bool]] = []

    def collecting(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any) -> Any:
            if not inner:
                inner.append(cast("tuple[Hold, bool]", ()))
                inner[0] = ground.holds.take(ID)
            return make(*args)

        return made

    monkeypatch.setattr(module, "Hold" if when == "made" else "Watch", collecting(Hold if when == "made" else Watch))
    outer = ground.holds.take(ID)
    assert inner[0][1] is True
    assert outer == (inner[0][0], False)
    ground.buried()
    assert ground.holds.find(ID) is outer[0]
    inner.clear()
    del outer
    assert ground.buried()[-1] is True
    assert len(ground.holds) == 0


def test_many_threads_take_and_drop_the_same_ones(ground: Ground) -> None:
    """While one buries them: whoever has a hold has the one of the table."""
    ids = [ObjectId("a@localhost", 1, number) for number in range(5)]
    wrong: list[str] = []
    start, end = threading.Barrier(THREADS + 1), threading.Event()

    def work(seed: int) -> None:
        rng = random.Random(seed)
        start.wait()
        for _ in range(1500):
            id = rng.choice(ids)
            hold, _ = ground.holds.take(id)
            if ground.holds.find(id) is not hold:
                wrong.append("another hold of the same object")
            cycle: list[Any] = [hold]
            if rng.random() < 0.1:
                cycle.append(cycle)
            del hold, cycle

    def bury() -> None:
        start.wait()
        while not end.is_set():
            ground.buried()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    burying = threading.Thread(target=bury)
    for thread in (*threads, burying):
        thread.start()
    for thread in threads:
        thread.join()
    end.set()
    burying.join()
    gc.collect()
    ground.buried()
    assert not wrong
    assert len(ground.holds) == 0
