"""A process is a good asyncio citizen: what works in a task works in a process, the same way.

DESIGN §4 promises it; each promise has a test here. Those that open sockets run on the loops that have them.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
import threading

import aiohttp
import aiohttp.web
import anyio
import httpx
import pytest

import beampy as bp
from beampy import api
from beampy.testing import harness
from tests.conformance import one_node

SHORT = 0.02
LONG = 30.0

real_sockets = pytest.mark.loops("asyncio", "uvloop")


async def test_timeout_around_receive() -> None:
    async def body() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await bp.receive()
        bp.send(bp.self(), "after")
        return await bp.receive()

    assert await harness.run(body) == "after"


async def test_timeout_around_a_future_and_a_sleep() -> None:
    async def body() -> None:
        for never in (asyncio.get_running_loop().create_future, lambda: asyncio.sleep(LONG)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await never()

    await harness.run(body)


async def test_nested_timeouts_end_the_right_one() -> None:
    async def body() -> list[str]:
        seen = []
        try:
            async with asyncio.timeout(SHORT):
                try:
                    async with asyncio.timeout(LONG):
                        await bp.receive()
                except TimeoutError:
                    seen.append("inner")
        except TimeoutError:
            seen.append("outer")
        return seen

    assert await harness.run(body) == ["outer"]


@one_node.AT_ONCE
async def test_a_timeout_that_comes_with_a_message_loses_nothing() -> None:
    """The message is handed over and the timeout fires in one tick: the message is still there afterwards."""

    async def body() -> object:
        me = bp.self()
        loop = asyncio.get_running_loop()

        async def both() -> None:
            bp.send(me, "message")
            timeout.reschedule(loop.time() - 1)

        try:
            async with asyncio.timeout(LONG) as timeout:
                bp.spawn(both)
                first = await bp.receive()
                await asyncio.sleep(LONG)
        except TimeoutError:
            pass
        else:
            raise AssertionError("the timeout did not fire")
        return await bp.receive(timeout=0, default=None) if "first" not in locals() else first

    assert await harness.run(body) == "message"


@pytest.mark.parametrize("message", ["text", None])
async def test_cancelling_a_process_that_was_handed_a_message_keeps_it(message: object) -> None:
    async def receiver(to: bp.Pid) -> None:
        task = asyncio.current_task()
        assert task is not None
        bp.send(to, task)
        try:
            await bp.receive()
        except asyncio.CancelledError:
            task.uncancel()
            bp.send(to, ("kept", await bp.receive()))

    async def body() -> object:
        pid = bp.spawn(receiver, bp.self())
        task = await bp.receive()
        await harness_idle(pid)
        bp.send(pid, message)
        task.cancel()
        return await bp.receive()

    assert await harness.run(body) == ("kept", message)


async def harness_idle(pid: bp.Pid) -> None:
    """Wait until a process waits."""
    while (info := bp.process_info(pid)) is not None and info.status != "waiting":
        await asyncio.sleep(0)


async def test_wait_for() -> None:
    async def body() -> object:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(LONG), SHORT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), SHORT)
        return await asyncio.wait_for(asyncio.sleep(0, "value"), LONG)

    assert await harness.run(body) == "value"


async def test_task_group_results_and_failure() -> None:
    async def fail() -> None:
        raise ValueError("x")

    async def body() -> tuple[int, bool, int]:
        async with asyncio.TaskGroup() as group:
            a = group.create_task(asyncio.sleep(SHORT, 1))
            b = group.create_task(asyncio.sleep(0, 2))
        cancelled = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                try:
                    await bp.receive()
                except asyncio.CancelledError:
                    cancelled = True
                    raise
        except* ValueError:
            pass
        task = asyncio.current_task()
        assert task is not None
        return a.result() + b.result(), cancelled, task.cancelling()

    assert await harness.run(body) == (3, True, 0)


async def test_gather_wait_and_as_completed() -> None:
    async def body() -> tuple[list[int], int]:
        values = await asyncio.gather(asyncio.sleep(SHORT, 1), asyncio.sleep(0, 2))
        done, _ = await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0, 3))])
        total = sum([await each for each in asyncio.as_completed([asyncio.sleep(0, 4), asyncio.sleep(SHORT, 5)])])
        return values, total + done.pop().result()

    assert await harness.run(body) == ([1, 2], 12)


async def test_gather_of_calls() -> None:
    class Doubler(bp.Server):
        @bp.call
        async def double(self, n: int) -> int:
            return n * 2

    async def body() -> list[int]:
        doubler = await Doubler.start()
        return await asyncio.gather(*(doubler.double(n) for n in range(5)))

    assert await harness.run(body) == [0, 2, 4, 6, 8]


async def test_to_thread_runs_elsewhere_and_knows_its_process() -> None:
    async def body() -> tuple[bool, bool, object]:
        me, here = bp.self(), threading.get_ident()

        def work() -> tuple[bool, bool]:
            bp.send(me, "from the thread")
            return bp.self() == me, threading.get_ident() != here

        same, elsewhere = await asyncio.to_thread(work)
        return same, elsewhere, await bp.receive()

    assert (await harness.run(body))[::2] == (True, "from the thread")


async def test_locks_events_queues_and_shield() -> None:
    async def body() -> object:
        lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue[str]()

        async def other() -> None:
            async with lock:
                event.set()
            await queue.put("item")

        bp.spawn(other)
        await event.wait()
        async with lock:
            item = await queue.get()
        return await asyncio.shield(asyncio.sleep(0, item))

    assert await harness.run(body) == "item"


async def test_sleep_zero_lets_others_run() -> None:
    async def body() -> list[str]:
        order = []

        async def other() -> None:
            order.append("other")

        bp.spawn(other)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        order.append("me")
        return order

    assert await harness.run(body) == ["other", "me"]


async def test_current_task_is_the_process_and_looks_like_a_task() -> None:
    async def body() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert not task.done()
        assert task.cancelling() == 0
        assert task.get_coro() is not None
        assert task.get_loop() is asyncio.get_running_loop()
        assert "body" in task.get_name()
        task.set_name("a name")
        assert task.get_name().startswith("a name")
        assert task.get_stack()
        with pytest.raises(asyncio.InvalidStateError):
            task.result()

    await harness.run(body)


async def test_the_cancel_message_arrives() -> None:
    async def body() -> tuple[object, ...]:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel, "why")
        try:
            await bp.receive()
        except asyncio.CancelledError as error:
            task.uncancel()
            return error.args
        raise AssertionError("not cancelled")

    assert await harness.run(body) == ("why",)


async def test_cancelling_itself_shows_at_the_next_await() -> None:
    async def body() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.uncancel()
            return "cancelled"
        return "not"

    assert await harness.run(body) == "cancelled"


async def test_an_uncaught_cancellation_ends_a_process_with_reason_cancelled() -> None:
    async def worker(to: bp.Pid) -> None:
        bp.send(to, asyncio.current_task())
        await bp.receive()

    async def body() -> object:
        pid, _ref = bp.spawn_monitor(worker, bp.self())
        (await bp.receive()).cancel()
        return (await harness.expect(bp.Down)).reason, bp.is_alive(pid)

    assert await harness.run(body) == ("cancelled", False)


async def test_self_in_tasks_sends_calls_and_monitors_for_the_process() -> None:
    class Echo(bp.Server):
        async def handle_call(self, request: object, from_: object) -> object:
            return request

    async def body() -> tuple[bool, object, object]:
        me = bp.self()
        echo = await Echo.start()

        async def task() -> object:
            assert bp.self() == me
            bp.send(me, "sent")
            bp.monitor(echo.pid)
            return await bp.call(echo, "called")

        answer = await asyncio.create_task(task())
        await echo.stop()
        return await bp.receive() == "sent", answer, (await bp.receive()).reason

    assert await harness.run(body) == (True, "called", "normal")


async def test_receive_raises_in_a_task_and_takes_nothing() -> None:
    async def body() -> tuple[type, type, object]:
        bp.send(bp.self(), "mine")

        async def task(*args: object, **kwargs: object) -> type:
            try:
                await bp.receive(*args, **kwargs)
            except bp.errors.NotInProcess as error:
                return type(error)
            raise AssertionError("a task has received")

        plain = await asyncio.create_task(task())
        timed = await asyncio.create_task(task(str, timeout=1))
        return plain, timed, await bp.receive()

    assert await harness.run(body) == (bp.errors.NotInProcess, bp.errors.NotInProcess, "mine")


@pytest.mark.parametrize("ending", ["normal", "crash", "kill", "exit"])
async def test_tasks_end_with_their_process(ending: str, caplog: pytest.LogCaptureFixture) -> None:
    async def worker(to: bp.Pid) -> None:
        async def task() -> None:
            try:
                bp.send(to, "started")
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                done.set_result("cancelled")
                bp.send(to, "a task of a dead process has no voice")
                raise

        keep = asyncio.create_task(task())
        await bp.receive()
        assert not keep.done()
        if ending == "crash":
            raise ValueError("crash")

    async def body() -> object:
        pid = bp.spawn(worker, bp.self())
        await harness.expect("started")
        bp.exit(pid, "kill" if ending == "kill" else "stop" if ending == "exit" else "normal")
        bp.send(pid, "go on")
        result = await asyncio.wait_for(done, LONG)
        await harness.nothing()
        return result

    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    assert await harness.run(body) == "cancelled"


async def test_tasks_that_are_nobodys_are_left_alone() -> None:
    async def outsider() -> str:
        await asyncio.sleep(SHORT * 3)
        return "done"

    loop = asyncio.get_running_loop()
    factory = loop.get_task_factory()
    task = asyncio.create_task(outsider())

    async def body() -> None:
        await asyncio.sleep(0)

    await harness.run(body)
    assert await task == "done"
    assert loop.get_task_factory() is factory


async def test_context_variables_are_inherited_and_private() -> None:
    var = contextvars.ContextVar("var", default="unset")

    async def child(to: bp.Pid) -> None:
        inherited = var.get()
        var.set("child's")
        await asyncio.sleep(0)
        bp.send(to, (inherited, var.get()))

    async def body() -> tuple[object, str, str]:
        var.set("parent's")
        bp.spawn(child, bp.self())
        seen = await bp.receive()
        in_task = await asyncio.create_task(_get(var))
        return seen, var.get(), in_task

    var.set("outside")
    assert await harness.run(body) == (("parent's", "child's"), "parent's", "parent's")
    assert var.get() == "outside"


async def _get(var: contextvars.ContextVar[str]) -> str:
    return var.get()


async def test_async_generators_and_context_managers() -> None:
    async def numbers() -> object:
        try:
            for n in range(3):
                yield n
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    closed: list[bool] = []

    async def body() -> list[object]:
        return [n async for n in numbers()]

    assert await harness.run(body) == [0, 1, 2]
    assert closed == [True]


async def test_waiting_for_nonsense_is_an_error_in_the_process() -> None:
    class Nonsense:
        def __await__(self) -> object:
            yield "nonsense"

    async def body() -> str:
        try:
            await Nonsense()
        except RuntimeError as error:
            return str(error)
        return "nothing raised"

    assert "nonsense" in await harness.run(body)


@pytest.mark.loops("asyncio", "sim")  # uvloop 0.23 hands the factory an argument that Python 3.13.0's does not take
@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
async def test_eager_tasks() -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)

    async def body() -> tuple[object, type]:
        me = bp.self()

        async def task() -> object:
            assert bp.self() == me
            try:
                await bp.receive()
            except bp.errors.NotInProcess as error:
                return type(error)
            raise AssertionError("an eager task has received")

        bp.send(me, "mine")
        refused = await asyncio.create_task(task())
        return await bp.receive(), refused

    try:
        assert await harness.run(body) == ("mine", bp.errors.NotInProcess)
        assert loop.get_task_factory() is asyncio.eager_task_factory
    finally:
        loop.set_task_factory(None)


# other people's libraries


async def test_anyio_cancel_scopes_and_task_groups() -> None:
    async def body() -> tuple[bool, bool, list[int]]:
        with anyio.move_on_after(SHORT) as on_receive:
            await bp.receive()
        with anyio.move_on_after(SHORT) as on_sleep:
            await anyio.sleep(LONG)
        seen: list[int] = []

        async def note(n: int) -> None:
            await anyio.sleep(0)
            seen.append(n)

        async with anyio.create_task_group() as group:
            group.start_soon(note, 1)
            group.start_soon(note, 2)
        with pytest.raises(TimeoutError):
            with anyio.fail_after(SHORT):
                await anyio.sleep_forever()
        return on_receive.cancelled_caught, on_sleep.cancelled_caught, sorted(seen)

    assert await harness.run(body) == (True, True, [1, 2])


async def test_anyio_threads_streams_and_cancellation_of_a_group() -> None:
    async def body() -> tuple[int, list[int]]:
        send, receive = anyio.create_memory_object_stream[int](1)
        got: list[int] = []

        async def produce() -> None:
            async with send:
                for n in range(3):
                    await send.send(n)

        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            async with receive:
                got.extend([n async for n in receive])
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.cancel()
        return len(got), got

    assert await harness.run(body) == (3, [0, 1, 2])


@real_sockets
async def test_aiohttp_server_and_client_and_httpx() -> None:
    """A server in one process, clients in others; its handlers are tasks that speak for the server's process."""

    async def serve(to: bp.Pid) -> None:
        async def handle(request: aiohttp.web.Request) -> aiohttp.web.Response:
            return aiohttp.web.Response(text=f"{request.path} for {bp.self().serial}")

        app = aiohttp.web.Application()
        app.router.add_get("/{tail:.*}", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        try:
            site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            bp.send(to, runner.addresses[0][1])
            await bp.receive()
        finally:
            await runner.cleanup()

    async def by_aiohttp(to: bp.Pid, port: int) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/a") as answer:
            bp.send(to, ("aiohttp", await answer.text()))

    async def by_httpx(to: bp.Pid, port: int) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            bp.send(to, ("httpx", (await client.get(f"http://127.0.0.1:{port}/b")).text))

    async def body() -> None:
        server, ref = bp.spawn_monitor(serve, bp.self())
        port = await harness.expect(int)
        bp.spawn(by_aiohttp, bp.self(), port)
        bp.spawn(by_httpx, bp.self(), port)
        await harness.expect(("aiohttp", f"/a for {server.serial}"))
        await harness.expect(("httpx", f"/b for {server.serial}"))
        bp.exit(server, "shutdown")  # the cleanup awaits
        assert (await harness.expect((ref, ..., ..., ...))).reason == "shutdown"

    await harness.run(body)


@real_sockets
async def test_killing_a_process_that_waits_for_a_socket() -> None:
    """The future it waited for is cancelled, so the loop no longer watches the socket."""

    async def body() -> object:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)

        async def reader(to: bp.Pid) -> None:
            bp.send(to, "reading")
            await asyncio.get_running_loop().sock_recv(ours, 1)

        with ours, theirs:
            pid, _ = bp.spawn_monitor(reader, bp.self())
            await harness.expect("reading")
            bp.exit(pid, "kill")
            reason = (await harness.expect(bp.Down)).reason
            await asyncio.sleep(0)
            theirs.send(b"x")
            return reason, await asyncio.get_running_loop().sock_recv(ours, 1)

    assert await harness.run(body) == ("killed", b"x")


# fairness


def bp_node_figures() -> tuple[int, int]:
    """Ticks and steps of the current node's scheduler."""
    statistics = api.self_process().node.statistics()
    return statistics["ticks"], statistics["steps"]


async def test_a_process_that_never_awaits_io_does_not_starve_timers_and_sockets() -> None:
    """Two processes send to each other without end; timers and a socket are served meanwhile."""

    async def spin(peer: bp.Pid | None) -> None:
        if peer is not None:
            bp.send(peer, bp.self())
        while True:
            bp.send(await bp.receive(), bp.self())

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)  # type: ignore[attr-defined]

    async def body() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        if hasattr(loop, "pass_cost"):
            loop.pass_cost = 0.001  # in the simulator a tick takes no time unless it is told to
        a = bp.spawn(spin, None)
        b = bp.spawn(spin, a)
        server = await loop.create_server(Echo, "127.0.0.1", 0)
        start = loop.time()
        await asyncio.sleep(SHORT)
        slept = loop.time() - start
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"alive")
        data = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        ticks, steps = bp_node_figures()
        bp.exit(a, "kill")
        bp.exit(b, "kill")
        await harness.ended(a)
        assert steps / ticks <= 2_100  # TICK_STEPS, and the slice that was under way
        return data, slept

    data, slept = await asyncio.wait_for(harness.run(body), LONG)
    assert data == b"alive"
    assert slept >= SHORT * 0.9
