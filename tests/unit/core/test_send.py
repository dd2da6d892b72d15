"""send: every way a message may take comes to the same: each once, in order, to whoever waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.state import ANY, NOT_WAITING, SELECTIVE
from beampy.errors import NotInNode, NotRegistered
from beampy.testing import harness

LONG = 30.0


def state(pid: bp.Pid) -> int:
    process = api.self_process().node.find(pid)
    assert process is not None
    return process._waiting


# receivers, by what they do when the message comes


async def waits(to: bp.Pid) -> None:
    bp.send(to, ("got", await bp.receive(), await bp.receive()))


async def selects(to: bp.Pid) -> None:
    bp.send(to, ("got", await bp.receive(lambda _: True), await bp.receive(lambda _: True)))


async def selects_for_a_while(to: bp.Pid) -> None:
    bp.send(to, ("got", await bp.receive(timeout=LONG), await bp.receive(timeout=LONG)))


async def sleeps(to: bp.Pid) -> None:
    await asyncio.sleep(0.001)
    bp.send(to, ("got", await bp.receive(), await bp.receive()))


async def has_a_backlog(to: bp.Pid) -> None:
    me = bp.self()
    bp.send(me, "older")
    await asyncio.sleep(0.001)
    assert await bp.receive() == "older"
    bp.send(to, ("got", await bp.receive(), await bp.receive()))


async def has_saved_messages(to: bp.Pid) -> None:
    me = bp.self()
    bp.send(me, "saved")
    found = await bp.receive(lambda m: m != "saved")
    assert await bp.receive() == "saved"
    bp.send(to, ("got", found, await bp.receive()))


RECEIVERS = [waits, selects, selects_for_a_while, sleeps, has_a_backlog, has_saved_messages]

# ways


def directly(pid: bp.Pid, message: Any) -> None:
    bp.send(pid, message)


def by_name(pid: bp.Pid, message: Any) -> None:
    bp.send("receiver", message)


def by_name_and_node(pid: bp.Pid, message: Any) -> None:
    bp.send(("receiver", pid.node), message)


def by_a_copy(pid: bp.Pid, message: Any) -> None:
    bp.send(bp.Pid(pid.node, pid.serial, pid.creation), message)


def by_the_node(pid: bp.Pid, message: Any) -> None:
    node = api.self_process().node
    node.send_quietly(pid, message)


WAYS = [directly, by_name, by_name_and_node, by_a_copy, by_the_node]


@pytest.mark.parametrize("message", ["text", None])
@pytest.mark.parametrize("way", WAYS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda f: f.__name__)
async def test_each_way_to_each_receiver(receiver: Any, way: Any, message: Any) -> None:
    async def body() -> None:
        pid = bp.spawn(receiver, bp.self(), name="receiver")
        await asyncio.sleep(0)
        way(pid, message)
        way(pid, "second")
        assert await harness.expect(("got", ..., ...)) == ("got", message, "second")

    for options in ({}, {"strict": True}):
        await harness.run(body, **options)


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda f: f.__name__)
async def test_with_a_tracer(receiver: Any) -> None:
    async def body() -> None:
        seen: list[Any] = []
        node = api.self_process().node
        pid = bp.spawn(receiver, bp.self())
        await asyncio.sleep(0)
        node.trace(lambda event, _, detail: seen.append((event, *detail)) if event == "send" else None)
        bp.send(pid, 1)
        bp.send(pid, 2)
        assert await harness.expect(("got", ..., ...)) == ("got", 1, 2)
        node.trace(None)
        assert seen[:2] == [("send", pid, 1), ("send", pid, 2)]

    await harness.run(body)


async def test_what_a_receiver_waits_for_is_known() -> None:
    async def body() -> None:
        me = bp.self()
        any_one, some, busy = bp.spawn(waits, me), bp.spawn(selects, me), bp.spawn(sleeps, me)
        assert state(any_one) == NOT_WAITING
        await asyncio.sleep(0)
        assert (state(any_one), state(some), state(busy)) == (ANY, SELECTIVE, NOT_WAITING)
        bp.send(any_one, "x")
        bp.send(some, "x")
        assert (state(any_one), state(some)) == (NOT_WAITING, NOT_WAITING)
        for pid in (any_one, some, busy):
            bp.send(pid, "x")
            bp.send(pid, "x")
            await harness.expect(("got", ..., ...))

    await harness.run(body)


async def test_a_message_is_the_object_itself_and_a_copy_on_a_strict_node() -> None:
    async def body() -> bool:
        message = ["x"]
        bp.send(bp.self(), message)
        found = await bp.receive()
        assert found == message
        return found is message

    assert await harness.run(body)
    assert not await harness.run(body, strict=True)


async def test_what_a_task_sends_is_its_processes() -> None:
    async def body() -> None:
        me = bp.self()
        events: list[Any] = []
        api.self_process().node.trace(lambda *event: events.append(event))

        async def task() -> None:
            bp.send(me, "from a task")

        await asyncio.create_task(task())
        assert await bp.receive() == "from a task"
        assert events[0] == ("send", me, (me, "from a task"))

    await harness.run(body)


# senders that have ended


async def test_what_the_dead_send_is_dropped() -> None:
    async def body() -> None:
        me = bp.self()
        late: list[Any] = []

        async def task() -> None:
            try:
                await asyncio.sleep(LONG)
            finally:
                late.append("a task sends at its end")
                bp.send(me, "from the dead")
                bp.send("nobody", "from the dead")

        async def short() -> None:
            late.append(asyncio.create_task(task()))
            await asyncio.sleep(0)

        await harness.ended(bp.spawn(short))
        await asyncio.wait([late[0]])
        assert late[1:] == ["a task sends at its end"]
        await harness.nothing()

    await harness.run(body)


async def test_what_a_closed_coroutine_sends_is_dropped() -> None:
    async def body() -> None:
        me = bp.self()
        closed: list[Any] = []

        async def killed() -> None:
            try:
                await bp.receive()
            finally:
                closed.append("closed")
                bp.send(me, "from the dead")

        pid = bp.spawn(killed)
        await asyncio.sleep(0)
        bp.exit(pid, "kill")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert closed == ["closed"]
        await harness.nothing()

    await harness.run(body)


# threads


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_thread_of_the_process_sends_in_order() -> None:
    async def body() -> list[int]:
        me = bp.self()

        def work() -> None:
            for n in range(1000):
                bp.send(me, n)

        await asyncio.to_thread(work)
        return [await harness.expect(int) for _ in range(1000)]

    assert await harness.run(body) == list(range(1000))


@pytest.mark.loops("asyncio", "uvloop")
async def test_threads_send_at_once_and_nothing_is_lost() -> None:
    async def body() -> None:
        me = bp.self()

        def work(name: str) -> None:
            for n in range(300):
                bp.send(me, (name, n))

        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(asyncio.to_thread(work, name))
        seen: dict[str, list[int]] = {name: [] for name in "abcd"}
        for _ in range(1200):
            name, n = await harness.expect((str, int))
            seen[name].append(n)
        assert all(numbers == list(range(300)) for numbers in seen.values())

    await harness.run(body)


@pytest.mark.loops("asyncio", "uvloop")
async def test_a_name_that_goes_while_a_thread_sends_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        me = bp.self()
        bp.register("name", me)
        sent = threading.Event()

        def work() -> None:
            with pytest.raises(NotRegistered):
                bp.send("nobody", "x")
            bp.send("name", "lost on the way")
            sent.set()

        made = asyncio.get_running_loop().run_in_executor(None, copied(work))
        assert sent.wait(5)  # this thread does not go on before: the message is on its way
        bp.unregister("name")
        await made
        await harness.nothing()

    with caplog.at_level(logging.ERROR):
        await harness.run(body)
    assert "a send from a thread was lost: no process is registered as 'name'" in caplog.text


def copied(fn: Any) -> Any:
    """What asyncio.to_thread does: the function runs in a copy of this context."""
    import contextvars
    import functools

    return functools.partial(contextvars.copy_context().run, fn)


@pytest.mark.loops("asyncio")
def test_a_thread_that_outlives_its_loop_is_told() -> None:
    kept: list[Any] = []

    async def main() -> None:
        me = bp.self()
        kept.append(copied(lambda: bp.send(me, "x")))

    bp.run(main)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            kept[0]()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert not errors or isinstance(errors[0], NotInNode)
