"""Looking at a node from outside: the table of processes, its load, and what happens on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.otp import inspect
from tests.unit.otp.tidy import process


async def idle() -> None:
    await bp.receive()


async def with_backlog() -> None:
    await asyncio.sleep(3600)


def end(*pids: bp.Pid) -> None:
    for pid in pids:
        bp.exit(pid, "shutdown")


# --- the table


@process
async def test_a_row_is_plain_values():
    pid = bp.spawn(idle, name="idler")
    bp.link(pid)
    await asyncio.sleep(0)
    table = await inspect.processes()
    assert table["node"] == bp.node()
    (row,) = [row for row in table["rows"] if row["name"] == "idler"]
    assert row["pid"] == pid.serial
    assert row["status"] == "waiting"
    assert row["links"] == [repr(bp.self())]
    assert row["initial_call"].endswith("test_inspect.idle")
    assert "idle" in row["current_function"]
    assert {type(value) for value in row.values()} <= {str, int, float, bool, list, type(None)}
    bp.unlink(pid)
    end(pid)


@process
async def test_rows_are_sorted_and_limited_and_never_of_the_one_who_looks():
    busy = bp.spawn(with_backlog)
    others = [bp.spawn(idle) for _ in range(5)]
    for n in range(10):
        bp.send(busy, n)
    await asyncio.sleep(0)
    table = await inspect.processes(by="messages", limit=2)
    assert table["rows"][0]["pid"] == busy.serial
    assert len(table["rows"]) == 2
    assert table["processes"] == len(bp.processes())
    everybody = await inspect.processes(limit=0)
    serials = [row["pid"] for row in everybody["rows"]]
    assert serials == sorted(serials)
    assert bp.self().serial not in serials
    assert len(serials) == table["processes"] - 1
    end(busy, *others)


@pytest.mark.parametrize("by", inspect.KEYS)
async def test_every_order_can_be_asked_for(by: str):
    @process
    async def body() -> None:
        bp.set_label({"a": 1})
        named = bp.spawn(idle, name="zz")
        table = await inspect.processes(by=by)
        assert named.serial in [row["pid"] for row in table["rows"]]
        end(named)

    await body()


@process
async def test_an_order_that_is_none():
    with pytest.raises(ValueError, match="by is one of pid, name"):
        await inspect.processes(by="colour")
    with pytest.raises(ValueError, match="by is steps"):
        await anext(inspect.load(by="colour"))


@process
async def test_a_large_node_is_read_in_slices():
    many = [bp.spawn(idle) for _ in range(3 * inspect.SLICE)]
    turns: list[int] = []

    async def neighbour() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    pid = bp.spawn(neighbour)
    await asyncio.sleep(0)
    before = len(turns)
    table = await inspect.processes(limit=0)
    assert len(turns) - before >= 6  # three times while the keys are read, three times for the rows
    assert len(table["rows"]) >= len(many)
    end(pid, *many)


@process
async def test_among_equals_the_older_ones_come_first():
    many = [bp.spawn(idle) for _ in range(2 * inspect.SLICE)]
    table = await inspect.processes(by="messages", limit=5)
    serials = [row["pid"] for row in table["rows"]]
    assert serials == sorted(serials)
    assert serials[-1] < many[5].serial
    end(*many)


# --- the load


@process
async def test_load_says_who_is_busy():
    async def spinning() -> None:
        while True:
            await asyncio.sleep(0.001)

    lazy, busy = bp.spawn(idle), bp.spawn(spinning)
    loads = inspect.load(0.05, limit=3)
    first = await anext(loads)
    await anext(loads)
    await loads.aclose()
    assert first["rows"][0]["pid"] == busy.serial
    assert first["rows"][0]["steps_per_s"] > 0
    assert len(first["rows"]) == 3
    assert first["steps_per_s"] >= first["rows"][0]["steps_per_s"]
    assert first["processes"] == len(bp.processes())
    assert first["lag"] >= 0
    assert first["rss"] is None or first["rss"] > 2**20
    end(lazy, busy)


@process
async def test_load_by_another_column():
    pid = bp.spawn(with_backlog)
    for n in range(7):
        bp.send(pid, n)
    loads = inspect.load(0.01, by="messages", limit=1)
    load = await anext(loads)
    await loads.aclose()
    assert [(row["pid"], row["messages"]) for row in load["rows"]] == [(pid.serial, 7)]
    end(pid)


# --- what happens


async def watch(tell: bp.Pid, *args: Any) -> None:
    """A process that traces, and tells what it gets, each batch as ("batch", events, dropped)."""
    async for events, dropped in inspect.trace(*args):
        bp.send(tell, ("batch", events, dropped))


async def watching(*args: Any) -> bp.Pid:
    pid = bp.spawn(watch, bp.self(), *args)
    assert await bp.receive(tuple) == ("batch", [], 0)
    return pid


async def batch() -> tuple[list[dict[str, Any]], int]:
    _, events, dropped = await bp.receive(("batch", list, int), timeout=5)
    return events, dropped


async def ended(pid: bp.Pid) -> None:
    ref = bp.monitor(pid)
    end(pid)
    await bp.receive(lambda message: isinstance(message, bp.Down) and message.ref == ref, timeout=5)


def traced() -> Any:
    return api.self_process().node.tracer


@process
async def test_a_trace_tells_of_spawns_sends_and_ends():
    watcher = await watching()
    pid = bp.spawn(idle, name="idler")
    bp.send(pid, "go")
    events, dropped = await batch()
    assert dropped == 0
    assert [(event["event"], event["to"], event["to_name"], event["detail"]) for event in events] == [
        ("spawn", repr(pid), "idler", ""),
        ("send", repr(pid), "idler", "'go'"),
        ("exit", None, None, ""),
    ]
    assert [event["pid"] for event in events] == [repr(bp.self()), repr(bp.self()), repr(pid)]
    await ended(watcher)
    assert traced() is None


@process
async def test_only_what_is_asked_for():
    watcher = await watching(["send"], "needle")
    pid = bp.spawn(idle)
    bp.send(pid, "hay")
    bp.send(pid, ("a", "needle"))
    events, _ = await batch()
    assert [event["detail"] for event in events] == ["('a', 'needle')"]
    await ended(watcher)


@process
async def test_a_match_may_be_the_name_of_a_process():
    pid = bp.spawn(with_backlog, name="stock")
    watcher = await watching(["send"], "stock")
    bp.send("stock", 1)
    bp.send(bp.self(), ("mine", 2))
    events, _ = await batch()
    assert [event["detail"] for event in events] == ["1"]
    await bp.receive(("mine", 2))
    await ended(watcher)
    end(pid)


@process
async def test_too_many_events_are_counted_and_not_told():
    watcher = await watching(["send"], "", 10)
    pid = bp.spawn(with_backlog)
    for n in range(100):
        bp.send(pid, n)
    events, dropped = await batch()
    assert len(events) + dropped == 100
    assert 10 <= len(events) <= 20  # the rate, and what a slow loop adds
    await ended(watcher)
    end(pid)


@process
async def test_a_match_that_never_matches_costs_little():
    watcher = await watching(["send"], "needle", 10)
    pid = bp.spawn(with_backlog)
    for n in range(1000):
        bp.send(pid, n)
    events, dropped = await batch()
    assert events == []
    assert 500 <= dropped <= 1000 - inspect.EXAMINED * 10 + 200 + 100
    await ended(watcher)
    end(pid)


@process
async def test_two_watch_and_do_not_see_each_other():
    first, second = await watching(["send"]), await watching(["send"])
    pid = bp.spawn(with_backlog)
    bp.send(pid, "once")
    for _ in range(2):
        events, _ = await batch()
        assert [event["detail"] for event in events] == ["'once'"]
    assert await bp.receive(("batch", ...), timeout=3 * inspect.BATCH, default=None) is None
    await ended(first)
    assert traced() is not None
    await ended(second)
    assert traced() is None
    end(pid)


@process
async def test_the_nodes_own_tracer_goes_on_and_is_back():
    seen: list[str] = []

    def own(event: str, pid: bp.Pid, detail: Any) -> None:
        seen.append(event)

    node = api.self_process().node
    node.trace(own)
    watcher = await watching(["spawn"])
    seen.clear()
    pid = bp.spawn(idle)
    assert seen == ["spawn"]
    await batch()
    await ended(watcher)
    assert node.tracer is own
    node.trace(None)
    end(pid)


@process
async def test_a_value_whose_repr_raises_is_no_harm():
    class Nasty:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    watcher = await watching(["send"])
    pid = bp.spawn(with_backlog)
    bp.send(pid, Nasty())
    bp.send(pid, "x" * 10_000)
    events, _ = await batch()
    assert "Nasty" in events[0]["detail"]
    assert len(events[1]["detail"]) == inspect.SHOWN
    await ended(watcher)
    end(pid)
