"""The inside of a remote prompt: what lines mean, and a session of them."""

from __future__ import annotations

import asyncio
import linecache
import time
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.otp import shell
from beampy.otp.rpc import remote_call
from beampy.otp.shell import Complete, Completions, Done, Evaluate, Interrupt, Ready
from tests.unit.otp.rpc_ground import calling, here
from tests.unit.otp.tidy import process

# --- one input


def run(text: str, names: dict[str, Any] | None = None) -> Any:
    return shell.evaluate(text, shell.namespace() if names is None else names, "<shell t>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1 + 1", "2"),
        ("x = 5\nx * 2", "10"),
        ("x = 5", ""),
        ("None", ""),
        ("", ""),
        ("# nothing", ""),
        ("'a\\nb'", r"'a\nb'"),
        ("import math\nmath.pi", "3.141592653589793"),
        ("def f():\n    return 3\nf()", "3"),
        ("async def f():\n    return 4\nawait f()", "4"),
        ("[n async for n in g()] if 0 else 7", "7"),
        ("bp.self().__class__.__name__", "'Pid'"),
        ("_ = 3\n_", "3"),
    ],
)
async def test_values(text: str, shown: str):
    @process
    async def body() -> None:
        assert await run(text) == ("value", shown)

    await body()


@process
async def test_names_stay_and_underscore_is_the_last_value():
    names = shell.namespace()
    await run("x = 20", names)
    await run("x + 1", names)
    assert await run("_ * 2", names) == ("value", "42")
    assert await run("None", names) == ("value", "")
    assert await run("_", names) == ("value", "42")


@process
async def test_a_traceback_begins_with_the_input():
    how, text = await run("def f():\n    return 1 / 0\n\nf()")
    assert how == "error"
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith('  File "<shell t>", line 4')
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "    return 1 / 0" in text
    how, text = await run("await bp.receive(timeout=0)")
    assert "ReceiveTimeout" in text.splitlines()[-1]


@process
async def test_a_syntax_error_has_no_traceback():
    how, text = await run("x = = 1")
    assert how == "error"
    assert "SyntaxError" in text
    assert "Traceback" not in text
    assert "shell.py" not in text


@pytest.mark.parametrize(
    ("text", "shown"), [("exit()", ""), ("raise SystemExit", ""), ("import sys\nsys.exit(3)", "3")]
)
async def test_leaving(text: str, shown: str):
    @process
    async def body() -> None:
        assert await run(text) == ("exit", shown)

    await body()


@process
async def test_nasty_values_and_errors():
    how, text = await run("class N:\n    def __repr__(self): raise ValueError('no repr')\nN()")
    assert (how, text.splitlines()[-1]) == ("error", "ValueError: no repr")
    how, text = await run("class E(Exception):\n    def __str__(self): raise ValueError\nraise E")
    assert how == "error"
    how, text = await run("raise KeyboardInterrupt")
    assert (how, text.splitlines()[-1]) == ("error", "KeyboardInterrupt")
    how, text = await run("next(iter([]))")
    assert (how, text.splitlines()[-1]) == ("error", "StopIteration")
    how, text = await run("'x' * 1_000_000")
    assert len(text) < shell.SHOWN + 100
    assert text.endswith("characters more)")
    how, text = await run("input()")
    assert "stdin is on your side" in text


@process
async def test_inputs_are_forgotten_some_time():
    for n in range(2 * shell.REMEMBERED):
        await shell.evaluate("1", shell.namespace(), f"<shell many:{n}>")
    assert len([name for name in linecache.cache if name.startswith("<shell many")]) <= shell.REMEMBERED
    assert len(shell._inputs) <= shell.REMEMBERED


@pytest.mark.parametrize(
    ("word", "found"),
    [("shoe", ["shoes"]), ("shoes.si", ["shoes.size"]), ("whi", ["while "]), ("zzz", []), ("1/0.", [])],
)
def test_completions(word: str, found: list[str]):
    class Shoes:
        size = 42

    assert shell.completions({"shoes": Shoes()}, word) == found


def test_completion_survives_properties():
    class Nasty:
        @property
        def boom(self) -> int:
            raise RuntimeError("boom")

    assert shell.completions({"n": Nasty()}, "n.bo") in (["n.boom"], [])


# --- a session


class Client:
    """The client's end of a session on this node."""

    def __init__(self) -> None:
        self.stream = remote_call.stream(here(), "beampy.otp.shell:session")
        self.number = 0

    async def __aenter__(self) -> Client:
        ready = await anext(self.stream)
        assert isinstance(ready, Ready)
        self.pid = ready.session
        self.banner = ready.banner
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.aclose()

    def begin(self, text: str) -> int:
        self.number += 1
        bp.send(self.pid, Evaluate(self.number, text))
        return self.number

    async def end(self) -> Any:
        async with asyncio.timeout(10):
            return await anext(self.stream)

    async def run(self, text: str) -> str:
        number = self.begin(text)
        done = await self.end()
        assert isinstance(done, Done)
        assert (done.number, done.how) == (number, "value")
        return done.text


@calling
async def test_a_session():
    async with Client() as client:
        assert here() in client.banner
        assert await client.run("x = 6") == ""
        assert await client.run("x * 7") == "42"
        bp.send(client.pid, Complete(99, "bp.spawn_l"))
        assert await client.end() == Completions(99, ["bp.spawn_link("])
        assert await client.run(f"bp.whereis('nobody') or bp.node() == {here()!r}") == "True"


@calling
async def test_its_process_is_one_and_its_mailbox_its_own():
    async with Client() as client:
        me = await client.run("bp.self()")
        assert me != repr(client.pid)
        assert await client.run("bp.send(bp.self(), 'hi')") == ""
        assert await client.run("await bp.receive()") == "'hi'"
        assert await client.run("bp.self()") == me


@calling
async def test_two_sessions_have_variables_of_their_own():
    async with Client() as one, Client() as two:
        await one.run("x = 1")
        two.begin("x")
        assert "NameError" in (await two.end()).text
        assert await one.run("bp.self()") != await two.run("bp.self()")


@calling
async def test_inputs_run_one_after_the_other():
    async with Client() as client:
        for n in range(5):
            client.begin(f"x = {n}\nx")
        assert [(await client.end()).text for _ in range(5)] == ["0", "1", "2", "3", "4"]


@calling
async def test_an_interrupt_ends_the_input_and_not_its_process():
    async with Client() as client:
        me = await client.run("bp.self()")
        number = client.begin("await bp.receive()")
        while not any(info["current_function"].startswith("<module>") for info in await rows()):
            await asyncio.sleep(0.001)
        bp.send(client.pid, Interrupt())
        assert await client.end() == Done(number, "interrupted", "")
        bp.send(client.pid, Interrupt())  # of nothing
        assert await client.run("bp.self()") == me


async def rows() -> list[dict[str, Any]]:
    from beampy.otp import inspect

    found: list[dict[str, Any]] = (await inspect.processes(limit=0))["rows"]
    return found


@pytest.mark.loops("asyncio", "uvloop")  # on the simulator a thread is a delay
@calling
async def test_an_interrupt_ends_what_computes_in_a_thread():
    stop: list[str] = []
    ticks.clear()
    async with Client() as client:
        client.begin("from tests.unit.otp.test_shell import ticks\nwhile True: ticks.append(1)")
        while not ticks:
            await asyncio.sleep(0.001)  # and the loop turns meanwhile
        bp.send(client.pid, Interrupt())
        assert (await client.end()).how == "interrupted"
        assert await client.run("1") == "1"
    before = -1
    deadline = time.monotonic() + 5
    while len(ticks) != before and time.monotonic() < deadline:
        before = len(ticks)
        await asyncio.sleep(0.05)
    assert len(ticks) == before, "its thread goes on"
    assert stop == []


ticks: list[int] = []


@calling
async def test_an_input_that_ends_its_process():
    async with Client() as client:
        await client.run("x = 1")
        me = await client.run("bp.self()")
        number = client.begin("bp.exit('enough')")
        assert await client.end() == Done(number, "died", "'enough'")
        assert await client.run("x") == "1"
        assert await client.run("bp.self()") != me


@calling
async def test_a_link_that_ends_its_process_while_nothing_runs():
    async with Client() as client:
        await client.run("async def f():\n    await bp.receive()\n    bp.exit('gone')")
        await client.run("pid = bp.spawn_link(f)")
        await client.run("_ = bp.send_after(0.05, pid, 1)")
        done = await client.end()
        assert (done.how, done.text) == ("died", "'gone'")
        assert await client.run("2") == "2"


@calling
async def test_exit_ends_the_session():
    async with Client() as client:
        number = client.begin("exit()")
        assert await client.end() == Done(number, "exit", "")
        with pytest.raises(StopAsyncIteration):
            await anext(client.stream)
        assert not bp.is_alive(client.pid)


@calling
async def test_a_client_that_leaves_takes_the_session_along():
    before = set(bp.processes())
    async with Client() as client:
        client.begin("await bp.receive()")
        await asyncio.sleep(0.001)
        session = client.pid
    assert not bp.is_alive(session)
    async with asyncio.timeout(5):
        while set(bp.processes()) - before:
            await asyncio.sleep(0.001)


@calling
async def test_a_session_that_is_killed_leaves_no_process():
    before = set(bp.processes())
    async with Client() as client:
        await client.run("1")
        bp.exit(client.pid, "kill")
        with pytest.raises(bp.errors.CallKilled):
            await client.end()
    async with asyncio.timeout(5):
        while set(bp.processes()) - before:
            await asyncio.sleep(0.001)


@calling
async def test_an_interrupt_is_no_end_of_an_exit_signal():
    """A process that is told to end while its line is interrupted ends."""
    async with Client() as client:
        number = client.begin("await bp.receive()")
        await asyncio.sleep(0.001)
        runner = next(row["pid"] for row in await rows() if row["label"] == "beampy shell: its lines")
        process = api.self_process().node.processes[runner]
        bp.send(client.pid, Interrupt())
        bp.exit(process.pid, "shutdown")
        assert await client.end() in (Done(number, "died", "'shutdown'"), Done(number, "interrupted", ""))
