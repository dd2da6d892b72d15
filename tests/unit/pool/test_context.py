"""What a call of a pool takes along of its caller's context, and what is left out."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import importlib
import logging
import subprocess
import sys
import threading
from contextvars import ContextVar, copy_context
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import beampy as bp
from beampy.otp import task
from beampy.pool import context
from beampy.pool.context import carry, restore
from beampy.pool.pool import Pool
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from beampy.wire.codec import Decoder, Encoder
from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]

one: ContextVar[Any] = ContextVar("one")
two: ContextVar[Any] = ContextVar("two", default="default")

LIBRARIES = ("opentelemetry", "structlog")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither library is imported, nor known not to be there."""
    for name in list(sys.modules):
        if name.partition(".")[0] in LIBRARIES:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(context, "_left_out", set())


def inside(carried: Any, *vars: ContextVar[Any]) -> list[Any]:
    """What variables are in a context of its own that was given what was carried."""

    def run() -> list[Any]:
        restore(carried)
        return [var.get("unset") for var in vars]

    return contextvars.Context().run(run)


def fresh(fn: Any) -> Any:
    """A function in a copy of this context."""
    return copy_context().run(fn)


# variables


def test_nothing_is_carried_where_there_is_nothing() -> None:
    assert carry() is None
    assert carry((one, two)) is None


def test_variables_that_are_set_are_carried() -> None:
    def run() -> Any:
        one.set({"a": 1})
        return carry((one, two)), carry((two,))

    carried, nothing = fresh(run)
    assert inside(carried, one, two) == [{"a": 1}, "unset"]
    assert nothing is None
    assert one.get("unset") == "unset"


def test_none_and_false_are_values() -> None:
    def run() -> Any:
        one.set(None)
        two.set(False)
        return carry((one, two))

    assert inside(fresh(run), one, two) == [None, False]


def test_what_is_carried_is_what_was_set_at_that_moment() -> None:
    def run() -> Any:
        one.set("before")
        carried = carry((one,))
        one.set("after")
        return carried

    assert inside(fresh(run), one) == ["before"]


def test_another_process_finds_its_variables(ground: Ground) -> None:
    ground.run("""
        from contextvars import ContextVar
        request_id = ContextVar("request_id")
        def get(): return request_id.get("unset")
        """)

    def run() -> Any:
        ground["request_id"].set("r-1")
        return carry((ground["request_id"],))

    carried, get = ground.there((fresh(run), ground["get"]))

    def job() -> Any:
        restore(carried)
        return get()

    assert contextvars.Context().run(job) == "r-1"
    assert ground["get"]() == "unset"


# on whose behalf


@pytest.mark.parametrize("named", [False, True], ids=["task", "nobody"])
async def test_callers_are_carried_where_there_are_any(named: bool) -> None:
    async def body() -> None:
        me = bp.self()

        async def work() -> Any:
            return bp.self(), carry()

        if named:
            assert carry() is None
            return
        worker, carried = await bp.Task.spawn(work)
        assert carried == ((), {}, {}, (worker, me))

        def job() -> Any:
            restore(carried)
            return bp.callers()

        assert contextvars.Context().run(job) == (worker, me)
        assert bp.callers() == ()

    await harness.run(body)


async def test_a_chain_of_callers_has_an_end() -> None:
    async def body() -> None:
        def run() -> Any:
            task._callers.set((bp.self(),) * context.CHAIN)
            return carry()

        assert len(fresh(run)[3]) == context.CHAIN

    await harness.run(body)


# what others have in contexts


def test_a_caller_without_the_libraries_imports_none() -> None:
    code = """
import sys
from contextvars import ContextVar
from beampy.pool.context import carry
var = ContextVar("var"); var.set(1)
carry((var,))
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "structlog")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_runner_without_the_libraries_leaves_them_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def nothing(name: str) -> Any:
        asked.append(name)
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", nothing)
    for _ in range(2):
        assert inside((((one, 1),), {"traceparent": "00"}, {"a": 1}, ()), one) == [1]
    assert asked == ["opentelemetry.propagate", "opentelemetry.context", "structlog.contextvars"]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_what_a_job_has_imported_itself_counts_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_left_out", {"structlog.contextvars"})
    bound: list[Any] = []
    module: Any = ModuleType("structlog.contextvars")
    module.bind_contextvars = lambda **names: bound.append(names)
    inside(((), {}, {"a": 1}, ()))
    monkeypatch.setitem(sys.modules, "structlog.contextvars", module)
    inside(((), {}, {"a": 1}, ()))
    assert bound == [{"a": 1}]


@pytest.mark.parametrize("where", ["opentelemetry.context", "structlog.contextvars"])
def test_their_errors_are_logged_once_and_stop_no_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    def fail(*args: Any, **names: Any) -> Any:
        raise RuntimeError("broken")

    broken: Any = SimpleNamespace(get_current=fail, get_contextvars=fail, attach=fail, bind_contextvars=fail)
    monkeypatch.setitem(sys.modules, where, broken)
    monkeypatch.setitem(sys.modules, "opentelemetry.propagate", SimpleNamespace(extract=fail))
    for _ in range(2):
        assert carry() is None
        assert inside((((one, 1),), {"traceparent": "00"}, {"a": 1}, ()), one) == [1]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    told = [record.getMessage() for record in caplog.records if "broken" in str(record.exc_info)]
    assert len(told) == len(set(told)) >= 2


def test_a_span_is_carried_as_its_traceparent() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    assert carry() is None
    with TracerProvider().get_tracer("caller").start_as_current_span("outer") as outer:
        carried = carry()
    assert carry() is None
    assert carried is not None
    mine = outer.get_span_context()
    assert carried[1] == {"traceparent": f"00-{mine.trace_id:032x}-{mine.span_id:016x}-{mine.trace_flags:02x}"}

    def job() -> Any:
        restore(carried)
        return trace.get_current_span().get_span_context()

    found = contextvars.Context().run(job)
    assert (found.trace_id, found.span_id, found.is_remote) == (mine.trace_id, mine.span_id, True)


def test_baggage_is_carried_unless_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.baggage")
    from opentelemetry import baggage
    from opentelemetry import context as current

    def run() -> Any:
        current.attach(baggage.set_baggage("tenant", "t-1"))
        return carry()

    carried = fresh(run)
    assert carried[1] == {"baggage": "tenant=t-1"}

    def job() -> Any:
        restore(carried)
        return baggage.get_baggage("tenant")

    assert contextvars.Context().run(job) == "t-1"
    monkeypatch.setattr(context, "HEADER", 9)
    assert fresh(run) is None


def test_names_that_structlog_has_bound_are_carried() -> None:
    structlog = pytest.importorskip("structlog")

    def run() -> Any:
        structlog.contextvars.bind_contextvars(request="r-1", tries=2)
        return carry()

    carried = fresh(run)
    assert carry() is None
    assert carried == ((), {}, {"request": "r-1", "tries": 2}, ())

    def job() -> Any:
        restore(carried)
        return structlog.contextvars.get_contextvars()

    assert contextvars.Context().run(job) == {"request": "r-1", "tries": 2}


def test_what_structlog_has_bound_can_always_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    day = datetime.date(2026, 1, 2)
    deep: list[Any] = [1]
    for _ in range(9):
        deep = [deep]
    bound = {
        "a": lock,
        "b": [lock, (1, {"c": lock})],
        "d": day,
        "long": type("Long", (), {"__repr__": lambda _: "x" * 9999})(),
    }
    module: Any = SimpleNamespace(get_contextvars=lambda: bound | {"deep": deep})
    monkeypatch.setitem(sys.modules, "structlog.contextvars", module)
    carried = carry()
    assert carried is not None
    text = repr(lock)
    assert carried[2] == {
        "a": text,
        "b": [text, (1, {"c": text})],
        "d": day,
        "long": "x" * context.TEXT,
        "deep": [[[[repr([[[[[[1]]]]]])]]]],
    }
    kind, parts, buffers = Encoder("a@h", 1, lambda ref: None).encode(carried)
    assert Decoder("a@h", 1).decode(kind, b"".join(parts), buffers) == carried


def test_only_so_many_names_of_structlog_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = SimpleNamespace(get_contextvars=lambda: dict.fromkeys(map(str, range(200)), 1))
    monkeypatch.setitem(sys.modules, "structlog.contextvars", module)
    carried = carry()
    assert carried is not None
    assert [*carried[2]] == [str(at) for at in range(context.BOUND)]


# through a pool


async def test_a_job_has_it_and_leaves_nothing() -> None:
    async def seen() -> Any:
        found = one.get("unset"), two.get(), bp.callers()
        one.set("of the job")
        return found

    async def body() -> None:
        async with Pool(backend=LoopBackend(), context=(one,)) as pool:
            assert await pool.call(seen) == ("unset", "default", ())
            one.set("r-1")
            assert await pool.call(seen) == ("r-1", "default", ())
            assert await asyncio.gather(*(later(pool, at) for at in range(8))) == list(range(8))
            assert one.get() == "r-1"
            me = bp.self()

            async def work() -> Any:
                return bp.self(), await pool.call(seen)

            worker, found = await bp.Task.spawn(work)
            assert found == ("r-1", "default", (worker, me))

    async def later(pool: Pool, at: int) -> Any:
        one.set(at)
        return (await pool.call(seen))[0]

    await harness.run(body)


@pytest.mark.loops("asyncio", "uvloop")
async def test_calls_from_threads_carry_what_the_thread_has() -> None:
    def seen() -> Any:
        return one.get("unset")

    async def body() -> None:
        async with Pool(backend=LoopBackend(), context=(one,)) as pool:

            def work() -> Any:
                one.set("of the thread")
                return pool.call(seen).result(timeout=20)

            one.set("of the loop")
            assert await asyncio.to_thread(work) == "of the thread"
            assert await pool.call(seen) == "of the loop"

    await harness.run(body)
