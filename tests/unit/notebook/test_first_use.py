"""Who speaks where there is no node: the hook of core/current.py, and what a notebook puts there."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

import beampy as bp
from beampy.core import current
from beampy.notebook import ends, first_use
from beampy.pool import closing
from beampy.pool import pool as pool_module
from beampy.pool.scaling import ahead
from beampy.runtime import Node
from beampy.testing import harness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The first use brings up a node, as in a kernel."""
    monkeypatch.setenv("BEAMPY_COOKIE", "a-cookie-of-this-test-and-no-other")
    monkeypatch.setenv("HOME", str(tmp_path))
    undo = first_use.install(None)
    yield
    undo()
    ends.stop_all(5.0)


def test_without_a_hook_there_is_nobody():
    assert current.bring_up is None
    with pytest.raises(bp.errors.NotInNode):
        bp.node()


@pytest.mark.usefixtures("notebook")
def test_the_first_use_asks_the_hook_once():
    name = bp.node()
    assert name.startswith("notebook-")
    assert bp.node() == name
    running = first_use.running()
    assert running is not None
    assert [node.name for node in ends.own_nodes()] == [running.name] == [name]


@pytest.mark.usefixtures("notebook")
def test_after_its_end_the_next_use_makes_another():
    name = bp.node()
    assert ends.stop_all(5.0) == [name]
    assert first_use.running() is None
    assert bp.node() != name


@pytest.mark.usefixtures("notebook")
def test_a_kernel_that_ends_makes_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(first_use, "_closed", False)
    ends.end_all()
    with pytest.raises(bp.errors.NotInNode, match="while the kernel ends"):
        bp.node()


@pytest.mark.usefixtures("notebook")
def test_a_use_that_is_interrupted_leaves_no_node_behind(monkeypatch: pytest.MonkeyPatch):
    join = Node._join
    opened = threading.Event()

    async def slow(self: Node) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while not opened.is_set():
            await asyncio.sleep(0.001)
        await join(self)

    monkeypatch.setattr(Node, "_join", slow)
    with pytest.raises(KeyboardInterrupt):
        bp.node()
    opened.set()
    for thread in threading.enumerate():
        if "notebook-" in thread.name:
            thread.join(30)
    assert ends.own_nodes() == []
    monkeypatch.setattr(Node, "_join", join)
    assert bp.node().startswith("notebook-")


@pytest.mark.usefixtures("notebook")
def test_a_pool_that_is_not_started_is_started_by_code_that_is_no_process():
    pool = bp.Pool(max=1)
    assert pool.call(pow, 2, 3).result(30) == 8
    ends.stop_all(5.0)
    assert pool.call(pow, 2, 4).result(30) == 16
    pool.stop().result()
    with pytest.raises(bp.errors.PoolClosed, match=r"it was stopped; pool.start\(\) starts it again, or make another"):
        pool.call(pow, 2, 3)
    pool.start().result(30)
    assert pool.call(pow, 2, 5).result(30) == 32
    pool.stop().result()


@pytest.mark.usefixtures("notebook")
def test_a_pool_that_nobody_has_ends_also_where_its_runners_stay_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closing, "UNUSED", 0.1)
    pool = bp.Pool(min=1, max=1, idle_shutdown_after=None)
    assert pool.call(pow, 2, 3).result(30) == 8
    manager = pool._working()
    ended = threading.Event()
    manager.loop.call_soon_threadsafe(manager.process.add_done_callback, lambda _: ended.set())
    del pool
    assert ended.wait(harness.DEADLINE)


@pytest.mark.usefixtures("notebook")
def test_a_pool_that_nobody_has_ends_also_where_its_strategy_always_wants_runners(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(closing, "UNUSED", 0.1)
    pool = bp.Pool(max=1, strategy=ahead(1))
    assert pool.call(pow, 2, 3).result(30) == 8
    manager = pool._working()
    ended = threading.Event()
    manager.loop.call_soon_threadsafe(manager.process.add_done_callback, lambda _: ended.set())
    del pool
    assert ended.wait(harness.DEADLINE)


class Backend:
    """Its start waits for `go`; `blocks`: and the node's loop with it."""

    name, grace, local = "waiting", 0.0, True

    def __init__(self, *, blocks: bool = False) -> None:
        self.blocks = blocks
        self.begun, self.go = threading.Event(), threading.Event()

    async def start(self) -> None:
        self.begun.set()
        if self.blocks:
            self.go.wait(harness.DEADLINE)
        else:
            await asyncio.to_thread(self.go.wait, harness.DEADLINE)

    async def stop(self) -> None:
        pass


@pytest.mark.usefixtures("notebook")
@pytest.mark.parametrize("blocks", [False, True])
def test_a_first_use_whose_backend_does_not_start_has_a_deadline(blocks: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool_module, "LATE", 0.1)
    backend = Backend(blocks=blocks)
    pool = bp.Pool("slow", backend=backend, boot_timeout=0.1)  # type: ignore[arg-type]  # it boots nothing
    try:
        with pytest.raises(bp.errors.BootFailed, match=r"pool slow got no runner: its backend Backend.*boot_timeout"):
            pool.call(pow, 2, 3)
        assert not pool._beginning.locked()
        assert "has not been started" in repr(pool)
    finally:
        backend.go.set()


@pytest.mark.loops("asyncio", "uvloop")  # a thread of the simulator is at work at once, and waits for nothing
async def test_a_backend_that_does_not_start_is_given_up_in_a_process_too():
    backend = Backend()
    try:
        async with bp.Node():
            with pytest.raises(bp.errors.BootFailed, match=r"its backend Backend had not started after 0\.1 s"):
                await bp.Pool(backend=backend, boot_timeout=0.1).start()  # type: ignore[arg-type]
    finally:
        backend.go.set()


@pytest.mark.usefixtures("notebook")
def test_a_timeout_of_the_backends_own_is_its_error():
    class Raises(Backend):
        async def start(self) -> None:
            raise TimeoutError("the cloud does not answer")

    with pytest.raises(TimeoutError, match="the cloud does not answer"):
        bp.Pool(backend=Raises()).call(pow, 2, 3)  # type: ignore[arg-type]


@pytest.mark.usefixtures("notebook")
def test_a_child_forked_while_a_pool_starts_can_start_it(tmp_path: Path):
    backend = Backend()
    pool = bp.Pool(backend=backend)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: failure(lambda: pool.call(pow, 2, 3)))
    thread.start()
    try:
        assert backend.begun.wait(harness.DEADLINE)
        child = os.fork()
        if child == 0:
            try:
                (tmp_path / "told").write_text(str(pool._beginning.locked()))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / "told").read_text() == "False"
        assert pool._beginning.locked()
    finally:
        ends.stop_all(5.0)
        backend.go.set()
        thread.join(harness.DEADLINE)


def test_without_a_node_a_pool_says_that_it_is_not_started():
    with pytest.raises(bp.errors.PoolClosed, match="it has not been started"):
        bp.Pool(max=1).call(pow, 2, 3)


def test_in_a_script_it_starts_on_the_node_of_start():
    with bp.start():
        pool = bp.Pool(max=1)
        assert pool.call(pow, 2, 3).result(30) == 8
    with pytest.raises(bp.errors.PoolClosed, match="it has not been started"):
        pool.call(pow, 2, 3)


async def test_in_a_process_it_is_started_with_a_word():
    async with bp.Node():
        with pytest.raises(bp.errors.PoolClosed, match="it has not been started"):
            bp.Pool(max=1).call(pow, 2, 3)


def test_a_forked_child_has_nobody_to_speak_for_it_and_a_pool_that_is_not_started(tmp_path: Path):
    with bp.start(), bp.Pool(max=1) as pool:
        assert pool.call(pow, 2, 3).result(30) == 8
        child = os.fork()
        if child == 0:
            try:
                told = [type(each).__name__ for each in (failure(bp.node), failure(lambda: pool.call(pow, 2, 3)))]
                (tmp_path / "told").write_text(" ".join(told))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / "told").read_text() == "NotInNode PoolClosed"
        assert pool.call(pow, 2, 4).result(30) == 16


def failure(fn: object) -> BaseException | None:
    assert callable(fn)
    try:
        fn()
    except Exception as error:
        return error
    return None
