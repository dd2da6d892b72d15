"""Context that goes along with calls between processes: variables of scripts and modules, traces, bound names of logs.

A call is made here as a pool makes it: `carry` at the caller, `restore` in the process of the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cluster.origins import Lab, Place

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

# A job is beampy's own function on a runner; here it is a cell's.
CALL = """
    import asyncio, inspect, sys
    from contextvars import ContextVar
    from beampy.pool.context import carry, restore

    async def job(carried, fn, args):
        if carried is not None:
            restore(carried)
        if inspect.iscoroutinefunction(fn):
            return await fn(*args)
        return await asyncio.to_thread(fn, *args)

    async def call(fn, *args, vars=(), node="b"):
        return await there(job, carry(vars), fn, args, node=node)
"""

LIBRARY = {
    "shop/__init__.py": "from .request import request_id\n",
    "shop/request.py": """
        from contextvars import ContextVar
        request_id = ContextVar("request_id")
        user = ContextVar("the user", default="nobody")
        class Tenant:
            current = ContextVar("tenant", default="no tenant")
        def handle():
            return request_id.get("unset"), user.get()
        def tenant():
            return Tenant.current.get()
    """,
}


def installed(name: str) -> bool:
    """Whether there is a module, which is not imported for that."""
    try:
        return find_spec(name) is not None
    except ImportError:  # of the package that it is in
        return False


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


async def two(lab: Lab, files: dict[str, str] | None = None) -> Place:
    """The first of two processes, `a`, with these files; `b` has none."""
    a = await lab.start("a", files)
    await lab.start("b")
    return a


async def test_variables_of_cells(lab: Lab) -> None:
    a = await two(lab)
    assert await a.run(
        CALL
        + """
    request_id = ContextVar("request_id")
    user = ContextVar("user", default="nobody")
    never = ContextVar("never")

    def handle():
        return request_id.get("unset"), user.get()

    async def handle_async():
        await asyncio.sleep(0)
        return handle()

    def missing():
        try:
            return never.get()
        except LookupError:
            return "LookupError"

    both = (request_id, user)
    result = [await call(handle, vars=both)]
    request_id.set("r-1")
    result += [await call(handle, vars=both), await call(handle_async, vars=both)]
    result += [await call(handle, vars=(user,)), await call(missing, vars=(never,))]
    user.set("ada")
    result += await asyncio.gather(call(handle, vars=both), call(handle), call(handle_async, vars=(user,)))
    result += [await call(lambda: type(request_id).__name__ + request_id.name)]
    """
    ) == [
        ("unset", "nobody"),
        ("r-1", "nobody"),
        ("r-1", "nobody"),
        ("unset", "nobody"),
        "LookupError",
        ("r-1", "ada"),
        ("unset", "nobody"),
        ("unset", "ada"),
        "ContextVarrequest_id",
    ]


async def test_variables_of_local_modules(lab: Lab) -> None:
    """By whichever name, and wherever the module is there: from here, or its own."""
    a = await lab.start("a", LIBRARY)
    b = await lab.start("b")
    c = await lab.start("c", LIBRARY)
    own = await c.run("import shop.request\nresult = id(shop.request.user)")
    cell = (
        CALL
        + """
    import shop
    from shop.request import request_id, user, handle

    def mine():
        return request_id.get("unset"), shop.request.user.get(), request_id is shop.request.request_id

    user.set("ada")
    request_id.set("r-1")
    both = (shop.request_id, user)
    result = [await call(handle, vars=both, node=$node), await call(mine, vars=both, node=$node)]
    result += [await call(handle, node=$node)]
    result += [await there(lambda: id(shop.request.user), node=$node), await there(id, user, node=$node)]
    """
    )
    expected = [("r-1", "ada"), ("r-1", "ada", True), ("unset", "nobody")]
    *found, one, other = await a.run(cell, node="b")
    assert found == expected
    assert one == other == await b.run("import sys\nresult = id(sys.modules['shop.request'].user)")
    assert await a.run(cell, node="c") == [*expected, own, own]


async def test_a_variable_of_a_class_in_a_module(lab: Lab) -> None:
    a = await two(lab, LIBRARY)
    assert await a.run(
        CALL
        + """
    from shop.request import Tenant, tenant
    Tenant.current.set("t-1")
    def mine():
        return tenant(), Tenant.current.get()
    result = await call(mine, vars=(Tenant.current,)), await call(tenant)
    """
    ) == (("t-1", "t-1"), "no tenant")


async def test_a_variable_that_is_handed_on(lab: Lab) -> None:
    """A job on b sends work to c, with the variables that came with it."""
    a = await two(lab, LIBRARY)
    await lab.start("c")
    assert await a.run(
        CALL
        + """
    import shop.request
    cell_var = ContextVar("cell_var")

    def far():
        return cell_var.get("unset"), shop.request.request_id.get("unset")

    async def middle():
        import beampy
        cell_var.set(cell_var.get() + "+b")
        carried = carry((cell_var, shop.request.request_id))
        return far(), await beampy.remote_call("c@127.0.0.1", job, carried, far, ())

    cell_var.set("a")
    shop.request.request_id.set("r-1")
    result = await call(middle, vars=(cell_var, shop.request.request_id)), far()
    home = await there(lambda: (cell_var, shop.request.request_id))
    result += (home[0] is cell_var, home[1] is shop.request.request_id)
    """
    ) == ((("a+b", "r-1"), ("a+b", "r-1")), ("a", "r-1"), True, True)


async def test_a_variable_of_a_module_that_was_reloaded(lab: Lab) -> None:
    a = await two(lab, LIBRARY)
    await a.run(
        CALL
        + """
    import shop.request
    shop.request.user.set("old")
    result = await call(shop.request.handle, vars=(shop.request.user,))
    """
    )
    a.write({"shop/request.py": LIBRARY["shop/request.py"].replace("nobody", "anybody")})
    assert await a.run("""
    import importlib
    importlib.reload(shop.request)
    first = await call(shop.request.handle, vars=(shop.request.user,))
    shop.request.user.set("new")
    result = first, await call(shop.request.handle, vars=(shop.request.user,))
    """) == (("unset", "anybody"), ("unset", "new"))


async def test_an_installed_module_has_its_own(lab: Lab) -> None:
    a = await two(lab)
    assert await a.run(
        CALL
        + """
    import decimal, sys
    from beampy.otp.task import _callers

    def find():
        import beampy.otp.task
        return _callers is beampy.otp.task._callers

    result = await call(find), await there(lambda var: var is _callers, _callers)
    """
    ) == (True, True)


async def test_what_cannot_travel_is_named(lab: Lab) -> None:
    a = await two(lab)
    said = await a.run(
        CALL
        + """
    import threading
    guard = ContextVar("guard")
    guard.set(threading.Lock())
    try:
        await call(print, vars=(guard,))
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    """
    )
    assert said.startswith("EncodeError")
    assert "lock" in said


TRACES = """
    from opentelemetry import baggage, context, trace
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    tracer = trace.get_tracer("caller")
"""


@pytest.mark.skipif(not installed("opentelemetry.sdk"), reason="opentelemetry-sdk is not installed")
async def test_spans_of_a_job_are_children_of_its_callers(lab: Lab) -> None:
    a = await two(lab)
    found = await a.run(
        CALL
        + TRACES
        + """
    def span():
        from opentelemetry import baggage, trace
        from opentelemetry.sdk.trace import TracerProvider
        current = trace.get_current_span().get_span_context()
        with TracerProvider().get_tracer("job").start_as_current_span("work") as made:
            parent = made.parent and made.parent.span_id
            return made.get_span_context().trace_id, parent, current.is_remote, baggage.get_baggage("tenant")

    def imported():
        import sys
        return any(name.partition(".")[0] == "opentelemetry" for name in sys.modules)

    result = [await call(imported), (await call(span))[1:]]
    with tracer.start_as_current_span("outer") as outer:
        token = context.attach(baggage.set_baggage("tenant", "t-1"))
        mine = outer.get_span_context()
        result += [(mine.trace_id, mine.span_id, True, "t-1"), await call(span)]
        context.detach(token)
    result += [(await call(span))[1:]]
    """
    )
    assert found[:2] == [False, (None, False, None)]
    assert found[2] == found[3]
    assert found[4] == (None, False, None)


@pytest.mark.skipif(not installed("structlog"), reason="structlog is not installed")
async def test_names_that_structlog_has_bound(lab: Lab) -> None:
    a = await two(lab)
    assert await a.run(
        CALL
        + """
    import structlog
    def imported():
        return "structlog" in sys.modules

    def bound():
        import structlog
        return structlog.contextvars.merge_contextvars(None, "info", {"event": "e"})

    result = [await call(imported)]
    structlog.contextvars.bind_contextvars(request="r-1", tries=[1, {"a": 2}])
    result += [await call(bound), await there(bound)]
    structlog.contextvars.clear_contextvars()
    result += [await call(bound)]
    """
    ) == [False, {"event": "e", "request": "r-1", "tries": [1, {"a": 2}]}, {"event": "e"}, {"event": "e"}]


async def test_a_logging_filter_reads_what_was_carried(lab: Lab) -> None:
    a = await two(lab)
    assert await a.run(
        CALL
        + """
    import logging
    request_id = ContextVar("request_id", default="-")

    class WithRequest(logging.Filter):
        def filter(self, record):
            record.request = request_id.get()
            return True

    def work():
        seen = []
        class Seen(logging.Handler):
            def emit(self, record):
                seen.append(f"{record.request} {record.getMessage()}")
        log = logging.Logger("work")
        handler = Seen()
        handler.addFilter(WithRequest())
        log.addHandler(handler)
        log.warning("done")
        return seen

    request_id.set("r-1")
    result = await call(work), await call(work, vars=(request_id,))
    """
    ) == (["- done"], ["r-1 done"])
