"""The parts of `pool.dask()` and `to_dask` that need no runner: types, what goes by pickle, nearness, seats."""

from __future__ import annotations

import asyncio
import datetime
import functools
import gc
import pickle
import socket
import sys
import tempfile
import threading
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import beampy as bp
from beampy.code.origin import here as origin_here
from beampy.core.current import here
from beampy.errors import BootFailed, OwnerLost, PoolClosed
from beampy.frames import dask_parts, dask_seats
from beampy.frames.dask_packages import need
from beampy.frames.dask_parts import Part, frame_of, unpickled
from beampy.frames.dask_pool import _host
from beampy.frames.dask_seats import Seats, Tending
from beampy.frames.dask_workers import Life, Settings, serve
from beampy.otp.rpc import remote_call
from beampy.pool.plan import Limits, Plan
from beampy.pool.residents import residents
from beampy.refs.identity import ObjectId
from beampy.refs.service import refs_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pd = pytest.importorskip("pandas")


# types


def as_pandas(frame: pl.DataFrame, *nullable: str) -> Any:
    from beampy.frames.dask_frames import as_pandas

    return as_pandas(frame, nullable)


COLUMNS = {
    "int64": pl.Series([1, 2]),
    "uint8": pl.Series([1, 2], dtype=pl.UInt8),
    "float64": pl.Series([1.5, None]),
    "bool": pl.Series([True, False]),
    "string": pl.Series(["a", None]),
    "datetime64[ms]": pl.Series([datetime.date(2013, 1, 1), None]),
    "datetime64[us]": pl.Series([datetime.datetime(2013, 1, 1, 5), None]),
    "datetime64[us, UTC]": pl.Series([datetime.datetime(2013, 1, 1, 5)] * 2).dt.replace_time_zone("UTC"),
    "timedelta64[us]": pl.Series([datetime.timedelta(1), None]),
    "category": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b", "c"])),
    "object": pl.Series([[1], None]),
}


@pytest.mark.parametrize("dtype", COLUMNS)
def test_a_column_has_the_type_of_its_meta_and_its_values(dtype: str) -> None:
    frame = pl.DataFrame({"x": COLUMNS[dtype]})
    found, meta = as_pandas(frame), as_pandas(frame.clear())
    assert str(found.dtypes["x"]) == str(meta.dtypes["x"]) == dtype
    wanted = frame.to_pandas()["x"]
    if dtype == "category":
        assert list(meta["x"].cat.categories) == ["a", "b", "c"]
        assert list(found["x"]) == ["a", "b"]
    else:
        pd.testing.assert_series_equal(found["x"], wanted, check_dtype=False, check_index_type=False)


def test_integers_and_booleans_with_nulls_anywhere_lose_nothing() -> None:
    large = 2**62 + 1
    frame = pl.DataFrame({"i": [large, None], "b": [True, None], "s": ["x", None], "f": [0.5, None]})
    found = as_pandas(frame, "i", "b", "s", "f")
    assert found.dtypes.astype(str).to_dict() == {"i": "Int64", "b": "boolean", "s": "string", "f": "float64"}
    assert found["i"].tolist() == [large, pd.NA]
    other = as_pandas(pl.DataFrame({"i": [1], "b": [False], "s": ["y"], "f": [1.0]}), "i", "b", "s", "f")
    assert other.dtypes.equals(found.dtypes)
    assert as_pandas(frame.clear(), "i", "b", "s", "f").dtypes.equals(found.dtypes)


def test_categoricals_are_text_and_no_column_is_a_frame_too() -> None:
    frame = pl.DataFrame({"c": pl.Series(["a", "b"], dtype=pl.Categorical)})
    assert str(as_pandas(frame).dtypes["c"]) == "string"
    assert as_pandas(pl.DataFrame()).shape == (0, 0)


# parts


def in_process(fn: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """The test is a process of a node, on loops that have threads."""

    @functools.wraps(fn)
    async def test() -> None:
        async with bp.Node() as node:
            await node.run(fn)

    return pytest.mark.loops("asyncio", "uvloop")(test)


@in_process
async def test_a_part_keeps_its_frame_here_and_is_found_again_by_pickle() -> None:
    refs = refs_of(here("test").node)
    frame = pl.DataFrame({"a": [1, 2]})
    ref = refs.own(frame)
    part = Part.of(ref)
    del ref
    assert await asyncio.to_thread(frame_of, part) is frame
    again = pickle.loads(pickle.dumps(part))
    del part
    assert again.ref is not None
    assert await asyncio.to_thread(frame_of, again) is frame
    assert "DataFrame" in repr(again)
    assert refs.node.name in repr(again)
    data = pickle.dumps(again)
    id = again.id
    del again
    gc.collect()
    assert id not in dask_parts._here
    gone = pickle.loads(data)
    assert gone.ref is None
    refs.read()
    refs.flush()
    with pytest.raises(OwnerLost, match="it was freed there; make the frame again, and its to_dask"):
        await asyncio.to_thread(frame_of, gone)


@in_process
async def test_a_part_of_a_node_that_is_not_there_is_lost_by_name() -> None:
    part = unpickled(("gone@127.0.0.1", 7, 3), "polars.DataFrame", 1000)
    with pytest.raises(OwnerLost, match=r"the polars\.DataFrame of 1 kB was on gone@127\.0\.0\.1, which is lost"):
        await asyncio.to_thread(frame_of, part)


def test_parts_are_told_apart_by_what_they_are() -> None:
    def part(number: int, creation: int = 1) -> Part:
        return Part(ObjectId("a@b", creation, number), "x", 1, None)

    assert part(1).__dask_tokenize__() == part(1).__dask_tokenize__()
    assert part(1).__dask_tokenize__() != part(2).__dask_tokenize__()
    assert part(1).__dask_tokenize__() != part(1, 2).__dask_tokenize__()


# nearness


def test_the_worker_of_the_largest_part_is_preferred() -> None:
    pytest.importorskip("distributed")
    from dask._task_spec import Task

    from beampy.frames.dask_nearness import Nearness

    def part(node: str, nbytes: int) -> Part:
        return Part(ObjectId(node, 1, nbytes), "x", nbytes, None)

    def task(spec: Any, **more: Any) -> Any:
        fields = {"state": "released", "run_spec": spec, "worker_restrictions": None, "loose_restrictions": False}
        return SimpleNamespace(**fields | more)

    plain = Task("one", len, part("a@h", 10))
    tasks = {
        "one": task(plain),
        "fused": task(Task.fuse(plain, Task("two", max, plain.ref(), [part("b@h", 20), {"x": (part("c@h", 5),)}]))),
        "elsewhere": task(Task("e", len, part("z@h", 1))),
        "none": task(Task("n", len, [1, 2])),
        "told": task(Task("t", len, part("a@h", 10)), worker_restrictions={"mine"}),
        "runs": task(plain, state="processing"),
        "data": task(None),
    }
    near = Nearness({"a@h": "tls://a", "b@h": "tls://b", "c@h": "tls://c"}.get)
    near.update_graph(SimpleNamespace(tasks=tasks), tasks=[*tasks, "unknown"])
    found = {key: (each.worker_restrictions, each.loose_restrictions) for key, each in tasks.items()}
    assert found == {
        "one": ({"tls://a"}, True),
        "fused": ({"tls://b"}, True),
        "elsewhere": (None, False),
        "none": (None, False),
        "told": ({"mine"}, False),
        "runs": (None, False),
        "data": (None, False),
    }


# what it stands on


def test_what_is_missing_or_too_old_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    need("pool.dask", "json")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"pool\.dask needs distributed, .*missing: pip install 'beampy\[dask\]'"
    ):
        need("pool.dask", "distributed")
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(__version__="2025.12.1"))
    with pytest.raises(
        ImportError, match=r"needs distributed 2026\.8 or later, and there is 2025\.12\.1 on a@h, in the env"
    ):
        need("pool.dask", "distributed", node="a@h")
    for version in ("2026.8.0", "2027.1.0+3.gabc", "main"):
        monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(__version__=version))
        need("pool.dask", "distributed")


# the scheduler, and a worker alone


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_graph_does_not_overtake_one_whose_modules_are_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    from beampy.frames.dask_servers import QuietScheduler

    seen: list[str] = []

    async def update_graph(self: Any, client: str, expr_ser: Any, keys: Any, **_: Any) -> None:
        seen.append(expr_ser)

    monkeypatch.setattr(distributed.Scheduler, "update_graph", update_graph)
    scheduler, loaded = QuietScheduler(dashboard=False), asyncio.Event()
    befores = iter([loaded.wait, lambda: asyncio.sleep(0)])  # the second one has nothing to load any more

    async def before() -> None:
        await next(befores)()

    scheduler.before = before
    first = asyncio.ensure_future(scheduler.update_graph("c", "first", ["a"]))
    second = asyncio.ensure_future(scheduler.update_graph("c", "second", ["b"]))
    for _ in range(5):  # turns of the loop, as many as the second one would take
        await asyncio.sleep(0)
    loaded.set()
    await asyncio.gather(first, second)
    await scheduler.close()
    assert seen == ["first", "second"]


def alone(address: str) -> Settings:
    security = {"require_encryption": False}
    return Settings(address, 7, 1, None, 1, "127.0.0.1", origin_here().id, "a@h", security, {})


def of_workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dask worker 7"]


@in_process
async def test_a_worker_whose_scheduler_does_not_answer_ends_when_it_is_told_to() -> None:
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30.0)
        life = Life(alone(f"tcp://127.0.0.1:{silent.getsockname()[1]}"), here("test").node)
        life.begin()
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "dask worker 7"]
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            await life.end()
    assert life.gone.is_set()
    assert life.up.cancelled()
    await asyncio.to_thread(thread.join)


@in_process
async def test_a_worker_that_has_no_place_for_its_files_says_so() -> None:
    pytest.importorskip("distributed")
    node = here("test").node
    stream = remote_call(node.name, serve, alone("tcp://127.0.0.1:1"))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(FileNotFoundError, match="nowhere"):
        patch.setattr(tempfile, "tempdir", "/nowhere/at/all")
        await anext(stream)
    assert not residents(node).kept


# seats


WANTED = asyncio.Event()  # nobody sets it


class FakeManager:
    """What seats see of a pool: its plan, and runners that come up at once where the plan wants them."""

    def __init__(self, *, least: int = 0, most: int = 3, boots: bool = True) -> None:
        limits = Limits(
            min=least, max=most, max_concurrency=1, single_use=False, idle_after=30.0, min_idle_after=None,
            max_queue=10, max_zombies=4, boot_rounds=3, backoff=0.25, boot_timeout=0.05, shutdown_timeout=30.0,
        )  # fmt: skip
        self.name = "p"
        self.plan = Plan(limits, 0.0)
        self.runners: dict[int, Any] = {}
        self.stopping: str | None = None
        self.boot_log = "log"
        self.clock = asyncio.get_running_loop().time
        self.boots = boots
        self.told: list[tuple[int, int]] = []
        self.tell = SimpleNamespace(scaled=lambda low, high: self.told.append((low, high)))
        self.plan.start(0.0)
        self.act()

    def act(self) -> None:
        for action in self.plan.take_actions():
            if type(action).__name__ == "Boot" and self.boots:
                number = action.boot
                self.plan.booted(number, 0.0)
                self.runners[number] = SimpleNamespace(node=f"p-{number}@h", state="up")


async def test_each_worker_has_a_runner_and_the_pool_has_as_many() -> None:
    manager: Any = FakeManager()
    seats = Seats(manager)
    first, second = await asyncio.gather(seats.take(0, WANTED), seats.take(1, WANTED))
    assert {first, second} == {"p-1@h", "p-2@h"}
    assert seats.taken == {first: 0, second: 1}
    assert manager.plan.limits.min == 2
    del manager.runners[1]
    seats.give("p-1@h")
    seats.give("p-1@h")
    assert manager.plan.limits.min == 1
    seats.give("p-2@h")
    assert manager.plan.limits.min == 0
    assert manager.told == [(1, 3), (2, 3), (1, 3), (0, 3)]


async def test_min_is_what_others_have_said_when_the_workers_are_gone() -> None:
    manager: Any = FakeManager(least=1)
    one, two = Seats(manager), Seats(manager)
    taken = [await one.take(0, WANTED), await one.take(1, WANTED)]
    assert await two.take(0, WANTED) == taken[0]  # a worker of each cluster
    assert manager.plan.limits.min == 2
    manager.plan.resize(3, 3, 0.0)  # somebody wants three
    for node in taken:
        one.give(node)
    assert manager.plan.limits.min == 3
    two.give(taken[0])
    assert manager.plan.limits.min == 3


async def test_a_seat_that_cannot_be_had_is_an_error_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_seats, "STARTING", 0.05)
    manager: Any = FakeManager(boots=False)
    manager.plan.why = "no machines today"
    with pytest.raises(BootFailed, match="no machines today"):
        await Seats(manager).take(0, WANTED)
    assert manager.plan.limits.min == 0
    manager.plan.why = None
    with pytest.raises(BootFailed, match="no runner came up, of 3 at most, that has no worker"):
        await Seats(manager).take(0, WANTED)
    unwanted = asyncio.Event()
    waits = asyncio.ensure_future(Seats(manager).take(7, unwanted))
    await asyncio.sleep(0)
    unwanted.set()
    with pytest.raises(PoolClosed, match="dask worker 7 is not wanted any more"):
        await waits
    assert manager.plan.limits.min == 0
    manager.stopping = "it was stopped"
    with pytest.raises(PoolClosed, match="it was stopped"):
        await Seats(manager).take(0, WANTED)


async def test_a_seat_is_given_up_when_a_call_would_be() -> None:
    manager: Any = FakeManager(boots=False)
    seats = Seats(manager)
    waits = asyncio.ensure_future(seats.take(0, WANTED))
    why = BootFailed("p", "no machines today", 3, "log")
    await asyncio.sleep(0)
    for number in range(3):
        assert list(manager.plan._boots) == [number + 1]
        manager.plan.boot_failed(number + 1, why, 10.0 * number)
        manager.plan.tick(10.0 * number + 5.0)
    with pytest.raises(BootFailed) as caught:
        await waits
    assert str(caught.value) == str(why)
    assert caught.value is not why
    assert manager.plan.limits.min == 0


async def test_a_pool_that_has_stopped_is_not_kept_by_seats_that_were_taken() -> None:
    manager: Any = FakeManager()
    seats = Seats(manager)
    node = await seats.take(0, WANTED)
    manager.stopping = "it was stopped"
    seats.give(node)
    gone = weakref.ref(manager)
    del manager, seats
    gc.collect()
    assert gone() is None


class Says:
    """The stream of a worker that waits, or fails, and of one that cannot be ended."""

    def __init__(self, error: Exception | None = None, ends: bool = True) -> None:
        self.error = error
        self.ends = ends
        self.over = asyncio.Event()

    async def __anext__(self) -> Any:
        if self.error is not None:
            raise self.error
        await self.over.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self.ends:
            self.over.set()
        await self.over.wait()


async def test_a_worker_that_does_not_begin_or_end_in_time_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_seats, "STARTING", 0.05)
    monkeypatch.setattr(dask_seats, "ENDING", 0.05)
    manager: Any = FakeManager()
    tending = Tending(Seats(manager), alone("tcp://127.0.0.1:1"))
    tending.node = "p-1@h"
    with pytest.raises(BootFailed, match=r"dask worker 7 did not begin on p-1@h within 0\.05 s"):
        await tending._begun(Says())
    with pytest.raises(TimeoutError, match="its own"):
        await tending._begun(Says(TimeoutError("its own")))
    monkeypatch.setattr(dask_seats, "STARTING", 60.0)
    tending._closing.set()
    for stream in (Says(), Says(ends=False)):
        with pytest.raises(PoolClosed, match="dask worker 7 is not wanted any more"):
            await tending._begun(stream)


# where it listens


def home(local: bool, *hosts: str) -> Any:
    found = SimpleNamespace(local=local, addresses=lambda: [{"host": host} for host in hosts])
    return SimpleNamespace(home=found, name="p", node=SimpleNamespace(name="app@10.0.0.1"))


def test_the_scheduler_listens_where_runners_can_reach_it() -> None:
    assert _host(home(True, "10.0.0.1"), None) == "127.0.0.1"
    assert _host(home(False, "127.0.0.1", "10.0.0.1"), None) == "10.0.0.1"
    assert _host(home(True), "10.0.0.9") == "10.0.0.9"
    with pytest.raises(ValueError, match=r"app@10\.0\.0\.1 listens on loopback only; say host=, an address"):
        _host(home(False, "127.0.0.1", "localhost"), None)
