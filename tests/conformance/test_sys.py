"""sys: looking into and suspending a server that does not know about it: beam.md 3.8, 4.50."""

from __future__ import annotations

from typing import Any

import beampy as bp
from beampy.errors import CallTimeout, NoProcess
from beampy.otp import debug
from beampy.otp.statem import StateMachine
from beampy.testing import harness
from tests.conformance.vectors import probe
from tests.conformance.vocabulary import absent, ca, dead, get1, idle, reason


class Probed(bp.Server):
    """The server of probes_server.erl: requests are functions of its state."""

    trap_exit = False

    def __init__(self, state: Any = "st", tell: bp.Pid | None = None, trap: bool = False) -> None:
        self.state = state
        self.tell = tell
        bp.trap_exit(trap)

    async def handle_call(self, request: Any, from_: Any) -> Any:
        return "pong" if request == "ping" else await request(self)

    async def handle_cast(self, request: Any) -> Any:
        return request(self)

    async def handle_info(self, message: Any) -> Any:
        answer = message(self)
        return await answer if hasattr(answer, "__await__") else answer

    async def terminate(self, why: Any) -> None:
        if self.tell is not None:
            bp.send(self.tell, ("terminate_called", why))


async def start(*args: Any, **kwargs: Any) -> bp.Pid:
    return (await Probed.start(*args, **kwargs)).pid


async def state(server: bp.Pid) -> Any:
    return (await debug.get_state(server))["state"]


async def replace(server: bp.Pid, fn: Any) -> Any:
    return (await debug.replace_state(server, lambda all: {**all, "state": fn(all["state"])}))["state"]


async def running(server: bp.Pid) -> str:
    return (await debug.get_status(server)).status


@probe
async def test_sys_get_state():
    return await state(await start())


@probe
async def test_sys_replace_state():
    return await replace(await start(), lambda _: "replaced")


@probe
async def test_sys_replace_state_stays():
    server = await start(1)
    return [await replace(server, lambda n: n + 1), await state(server)]


FAILED = ("error", ("callback_failed", ("gen_server", "system_replace_state"), ("error", "boom")))


@probe({FAILED: RuntimeError})
async def test_sys_replace_state_crashes():
    def boom(_: Any) -> Any:
        raise RuntimeError("boom")

    server = await start()
    return await ca(replace(server, boom)), await state(server), bp.is_alive(server)


@probe({("exit", "timeout"): CallTimeout})
async def test_sys_suspend_queues():
    server = await start(name="gs5")
    await debug.suspend("gs5")
    late = await ca(bp.call("gs5", "ping", timeout=0.05))
    await debug.resume("gs5")
    return late, await bp.call(server, "ping")


@probe
async def test_sys_suspend_keeps_order():
    server, me = await start(), bp.self()

    def say(what: int) -> Any:
        return lambda _: bp.send(me, what)

    await debug.suspend(server)
    bp.cast(server, say(1))
    bp.send(server, say(2))
    bp.cast(server, say(3))
    bp.send(server, say(4))
    meanwhile = await absent()
    await debug.resume(server)
    return [meanwhile, *[await get1() for _ in range(4)]]


@probe({"ok": None})
async def test_sys_suspend_twice():
    server = await start()
    return [
        await debug.suspend(server),
        await debug.suspend(server),
        await debug.resume(server),
        await bp.call(server, "ping"),
        await debug.resume(server),
    ]


@probe
async def test_sys_suspended_answers_system():
    server = await start(1)
    await debug.suspend(server)
    status = (await debug.get_status(server)).__class__.__name__.lower()
    return [await state(server), await replace(server, lambda n: n + 1), status, await running(server)]


@probe
async def test_sys_suspended_late_call_handled():
    server, me = await start(), bp.self()

    async def handle(_: Any) -> str:
        bp.send(me, "handled")
        return "late"

    await debug.suspend(server)
    await ca(bp.call(server, handle, timeout=0.02))
    await debug.resume(server)
    return [await get1(), await absent()]


@probe
async def test_sys_status_running():
    server = await start()
    before = await running(server)
    await debug.suspend(server)
    return [before, await running(server)]


DEAD = {("exit", "noproc", verb): NoProcess for verb in ("get_state", "suspend")}


@probe(DEAD)
async def test_sys_dead():
    gone = await dead()
    return [await ca(verb(server)) for verb in (debug.get_state, debug.suspend) for server in (gone, "nobody")]


@probe({("exit", "timeout", "get_state"): CallTimeout})
async def test_sys_timeout():
    server = await start()

    async def busy(_: Any) -> None:
        await bp.receive(("go",))

    bp.send(server, busy)
    return await ca(debug.get_state(server, timeout=0.02))


@probe
async def test_sys_get_state_behind_messages():
    def up(server: Any) -> None:
        server.state += 1

    server = await start(1)
    bp.cast(server, up)
    return await state(server)


@probe
async def test_sys_terminate():
    server = await start(tell=bp.self())
    ref = bp.monitor(server)
    value = await bp.stop(server, "oops")
    return "ok" if value is None else value, await reason(ref), await get1()


@probe
async def test_sys_terminate_suspended():
    server = await start(tell=bp.self())
    ref = bp.monitor(server)
    await debug.suspend(server)
    value = await bp.stop(server)
    return "ok" if value is None else value, await reason(ref), await get1()


@probe
async def test_sys_suspended_parent_exit():
    me = bp.self()

    async def parent() -> None:
        bp.send(me, (await Probed.start_link(tell=me, trap=True)).pid)
        await idle()

    starter = bp.spawn(parent)
    server = await harness.expect(bp.Pid)
    ref = bp.monitor(server)
    await debug.suspend(server)
    bp.send(starter, ("exit", "oops"))
    return await reason(ref), await get1()


@probe
async def test_sys_suspended_EXIT_signal():
    server = await start()
    ref = bp.monitor(server)
    await debug.suspend(server)
    bp.exit(server, "oops")
    return await reason(ref)


@probe
async def test_sys_statistics():
    server = await start()
    await debug.statistics(server, True)
    await bp.call(server, "ping")
    await bp.call(server, "ping")
    bp.cast(server, lambda _: None)
    counted = await debug.statistics(server, "get")
    assert counted is not None
    return [("messages_in", counted.messages_in), ("messages_out", counted.messages_out)]


@probe
async def test_sys_log():
    server = await start()
    await debug.events(server, True)
    await bp.call(server, "ping")
    return [event for event, _ in await debug.events(server) or ()]


class Machine(StateMachine):
    def __init__(self) -> None:
        self.data = "data"

    def init(self) -> str:
        return "a"

    def handle_event(self, kind: Any, content: Any, state: Any) -> None:
        return None


@probe
async def test_sys_get_state_statem():
    machine = await Machine.start()
    state, attributes = await debug.get_state(machine)
    new_state, new = await debug.replace_state(machine, lambda old: (old[0], {**old[1], "data": "new"}))
    return [(state, attributes["data"]), (new_state, new["data"])]
