"""Refs of a node: objects are kept while somebody has a handle, and let go then; whatever the thread, or the end."""

from __future__ import annotations

import asyncio
import functools
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.core.current import current, here
from beampy.errors import OwnerLost, RefExpired, RemoteProtocolError, UnknownRef
from beampy.refs.service import MOMENT, Refs, refs_of
from beampy.testing import harness
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import Shelf, at, between, refs_at

ROOT = Path(__file__).resolve().parents[3]
THREADS = 8


def mine() -> Refs:
    return refs_of(here("test").node)


def is_empty(refs: Refs) -> bool:
    return not refs.objects and not len(refs.holds) and refs.ledger.is_empty()


# --- what is owned


async def test_a_node_that_is_alone_keeps_objects_and_lets_them_go() -> None:
    async def body() -> None:
        refs = mine()
        ref = refs.own(shelf := Shelf(1), "mine")
        assert refs.is_own(ref.id)
        assert refs.value(ref.id) is shelf
        kept = refs.kept(ref.id)
        assert kept is not None
        assert kept.label == "mine"
        id = ref.id
        del ref
        await until(lambda: is_empty(refs), True)
        assert refs.kept(id) is None
        with pytest.raises(RefExpired, match="was freed there"):
            refs.value(id)
        assert refs._timer is None, "nothing is swept where there is nothing"

    await harness.run(body)


async def test_what_was_never_owned_is_unknown_and_what_an_earlier_start_owned_is_lost() -> None:
    async def body() -> None:
        refs = mine()
        own = refs.own(Shelf()).id
        for id in (own._replace(number=own.number + 1), own._replace(number=0), own._replace(node="b@localhost")):
            with pytest.raises(UnknownRef):
                refs.value(id)
        with pytest.raises(OwnerLost, match="that start of the node has ended"):
            refs.value(own._replace(creation=own.creation + 1))

    await harness.run(body)


async def test_a_node_that_restarted_says_so_to_who_has_not_heard_it() -> None:
    """c got the reference from b, and was never connected with the start of a that owned it."""

    @between
    async def body(nodes: Cluster) -> None:
        ref = bp.remote(Shelf())
        id = ref.id._replace(creation=ref.id.creation ^ 1)
        hold, _ = mine().holds.take(id)
        mine().ledger.hold(id)
        old: bp.RemoteRef[Any] = bp.RemoteRef(hold, "app.Shelf", 0)
        with pytest.raises(OwnerLost, match=r"app\.Shelf"):
            await bp.remote_call(at("b"), used, [old])

    await body()


async def used(refs: list[Any]) -> Any:
    return await refs[0].get()


VAR: ContextVar[Any] = ContextVar("VAR")


async def test_who_made_an_object_is_not_kept_by_what_sweeps() -> None:
    """A timer has the context in which it was set, and that has the process. And so on, from sweep to sweep."""
    made: list[Any] = []
    gone: list[Any] = []

    async def maker() -> None:
        marker = Shelf()
        gone.append(weakref.ref(marker))
        VAR.set(marker)
        made.append(bp.remote(Shelf()))

    async def body() -> None:
        await harness.ended(bp.spawn(maker))
        assert mine()._timer is not None
        gc.collect()
        assert gone[0]() is None
        made.clear()
        await until(lambda: is_empty(mine()), True)

    await harness.run(body)


# --- news from threads


async def in_threads(works: list[Callable[[], None]]) -> None:
    """All of them at once."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await asyncio.sleep(0.005)
    works.clear()


@pytest.mark.loops("asyncio", "uvloop")
async def test_objects_made_in_many_threads_at_once_are_all_different() -> None:
    async def body() -> None:
        refs = mine()
        made: list[Any] = []
        barrier = threading.Barrier(THREADS)

        def make() -> None:
            barrier.wait()
            made.extend([refs.own(Shelf(number)) for number in range(500)])

        await in_threads([make] * THREADS)
        assert len({ref.id for ref in made}) == 500 * THREADS
        assert len(refs.objects) == 500 * THREADS
        await asyncio.sleep(0.25)
        assert len(refs.objects) == 500 * THREADS, "a sweep frees none of them"

        def drop(own: list[Any]) -> None:
            barrier.wait()
            while own:
                own.pop()

        shares = [made[number::THREADS] for number in range(THREADS)]
        made.clear()
        await in_threads([functools.partial(drop, shares.pop()) for _ in range(THREADS)])
        await until(lambda: is_empty(refs), True)

    await harness.run(body)


@between
async def test_handles_of_others_dropped_anywhere_are_returned(nodes: Cluster) -> None:
    """In a thread, in cycles, in a finalizer, with the lock of holds and of numbers taken."""
    simulated = hasattr(asyncio.get_running_loop(), "net")
    refs = [await bp.remote_call(at("b"), made) for _ in range(50)]
    there = refs_at(nodes, "b")
    assert len(there.objects) == 50

    class Last:
        def __init__(self, ref: Any) -> None:
            self.ref = ref
            self.me = self

        def __del__(self) -> None:
            self.ref.drop()

    for _ in range(10):
        Last(refs.pop())
    for _ in range(10):
        cycle: list[Any] = [refs.pop()]
        cycle.append(cycle)
    del cycle
    some = [refs.pop() for _ in range(10)]
    if simulated:
        some.clear()
    else:
        await asyncio.to_thread(some.clear)
    with mine().holds._lock, mine()._lock:
        del refs[:10]
        gc.collect()
    await until(lambda: len(there.objects), 10)
    refs.clear()
    await until(lambda: is_empty(there) and is_empty(mine()), True)


async def made() -> Any:
    return bp.remote(Shelf())


async def test_an_object_whose_finalizer_uses_references() -> None:
    """It is freed on the loop, in the midst of a sweep."""
    said: list[Any] = []

    class Last:
        def __init__(self, ref: Any) -> None:
            self.ref = ref

        def __del__(self) -> None:
            said.append(self.ref.id)
            mine_too = self.ref.refs.own(Shelf())
            self.ref.refs.own(Shelf())
            mine_too.drop()
            self.ref.drop()

    async def body() -> None:
        refs = mine()
        for _ in range(20):
            refs.own(Last(refs.own(Shelf())))
        await until(lambda: is_empty(refs), True)
        assert len(said) == 20

    await harness.run(body)


@pytest.mark.loops("asyncio", "uvloop")  # the simulator's has collections of its own, between two callbacks
@pytest.mark.parametrize("often", [3, 11, 50])
@between
async def test_finalizers_that_send_references_whenever_a_collection_runs(nodes: Cluster, often: int) -> None:
    """In the midst of whatever allocates, with locks taken: of holds, ledgers and messages."""
    pid = await bp.spawn(keeps, node=at("b"))
    me = here("test")
    sent = 0

    class Last:
        def __init__(self, ref: Any) -> None:
            self.ref = ref
            self.me = self

        def __del__(self) -> None:
            nonlocal sent
            if current.get(None) is me:  # else it speaks for nobody
                bp.send(pid, [self.ref, self.ref.refs.own(Shelf())])
                sent += 1

    threshold = gc.get_threshold()
    gc.set_threshold(often, 2, 2)
    try:
        for number in range(1000):
            ref = bp.remote(Shelf(number))
            Last(ref)
            bp.send(pid, [ref])
            if number % 50 == 0:
                await asyncio.sleep(0.001)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert sent > 100
    bp.exit(pid, "kill")
    del ref
    await until(lambda: is_empty(refs_at(nodes, "b")) and is_empty(mine()), True)


# --- when it is told


async def test_what_is_urgent_does_not_wait_for_what_is_not() -> None:
    """What came with messages is answered a moment later, and what a connection brings in this turn: with the rest."""

    async def body() -> None:
        refs = mine()
        flushed: list[float] = []
        refs.opened("b@b", 1)
        await asyncio.sleep(0)
        refs.flush = lambda: flushed.append(refs.loop.time())  # type: ignore[method-assign]
        refs.arrived("b@b", ())
        await asyncio.sleep(0)
        assert not flushed
        refs.dead("c@c", 1)
        await asyncio.sleep(0)
        assert len(flushed) == 1
        refs.arrived("b@b", ())
        refs.arrived("b@b", ())
        began = refs.loop.time()
        await until(lambda: len(flushed) > 1, True)
        assert flushed[1] - began > MOMENT / 2, "the timer of before is gone"
        assert len(flushed) == 2

    await harness.run(body)


# --- who listens, and what cannot be


@between
async def test_listeners_hear_when_the_first_is_lent_and_when_none_is_any_more(nodes: Cluster) -> None:
    heard: list[bool] = []
    mine().listeners.append(heard.append)
    one, other = bp.remote(Shelf()), bp.remote(Shelf())
    assert heard == []
    pid = await bp.spawn(keeps, node=at("b"))
    bp.send(pid, one)
    bp.send(pid, other)
    assert heard == [True]
    bp.send(pid, "drop")
    await until(lambda: heard, [True, False])
    bp.send(pid, one)
    assert heard == [True, False, True]
    bp.exit(pid, "kill")
    await until(lambda: heard, [True, False, True, False])
    mine().listeners.clear()


async def keeps() -> None:
    kept: list[Any] = []
    while True:
        message = await bp.receive()
        if message == "drop":
            kept.clear()
        else:
            kept.append(message)
        del message


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x92\x09\x90", bytes(100)])
async def test_what_no_ledger_says_is_an_error_of_the_protocol(data: bytes) -> None:
    async def body() -> None:
        with pytest.raises(RemoteProtocolError):
            mine().heard("b@localhost", data)

    await harness.run(body)


@between
async def test_a_node_that_has_stopped_lets_go_of_its_objects_and_answers_nothing(nodes: Cluster) -> None:
    refs = refs_at(nodes, "c")
    value = Shelf()
    gone = weakref.ref(value)
    ref = refs.own(value)
    del value
    await nodes.down("c")
    assert gone() is None
    refs.own(Shelf()).drop()  # a thread that is late
    refs.dead("b@b", 1)
    del ref


# --- the end of the interpreter

PROGRAM = """
    import asyncio, gc, threading, time
    import beampy as bp

    class Thing:
        pass

    class Last:
        def __init__(self, ref):
            self.ref, self.me = ref, self
        def __del__(self):
            self.ref.drop()

    everywhere = []

    def churn(refs):
        while True:
            one = [refs.own(Thing())]
            one.append(one)

    async def main():
        from beampy.core.current import current, here
        from beampy.refs.service import refs_of
        refs = refs_of(here("main").node)
        everywhere.extend(bp.remote(Thing()) for _ in range(100))
        everywhere.extend(Last(bp.remote(Thing())) for _ in range(100))
        Thing.kept = [bp.remote(Thing()) for _ in range(10)]
        threading.Thread(target=churn, args=(refs,), daemon=True).start()
        await asyncio.sleep(0.3)
        assert len(refs.objects) > 100

    bp.run(main, NAMED)
    END
    print("through")
"""


@pytest.mark.loops("asyncio")
@pytest.mark.parametrize("name", ["", "name='a@127.0.0.1'"])
@pytest.mark.parametrize("end", ["gc.collect()", "everywhere.clear()", "import sys; sys.exit(0)"])
def test_the_interpreter_ends_without_a_word(name: str, end: str) -> None:
    program = textwrap.dedent(PROGRAM).replace("NAMED", name).replace("END", end)
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "sys.exit" in end or ended.stdout == "through\n"
