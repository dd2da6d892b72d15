"""Rounds of everything that makes and drops processes, in a program of its own: memory and tables come back.

Each body runs once to warm up and then twice; what the second half adds to the process's memory must be less than
SLACK, and the node's tables must be as they were.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLACK = 3_000_000  # bytes: the allocator's own ups and downs; one leaked object of 56 bytes a round would be 5 600 000

PROGRAM = """
    import asyncio, gc, logging
    import beampy as bp
    from beampy import api

    logging.disable()

    def rss():
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    def tables():
        node = api.self_process().node
        found = node.statistics()
        return {k: found[k] for k in ("processes", "timers", "deadlines", "names", "zombies", "runnable")}

    async def settle():
        while api.self_process().node.statistics()["runnable"]:
            await asyncio.sleep(0)

    async def nothing(): pass
    async def crash(): raise ValueError("again")
    async def wait(): await bp.receive()

    class Echo(bp.Server):
        @bp.call
        async def echo(self, value): return value

    BODY

    async def main():
        await rounds(100_000)
        await settle()
        before, began = tables(), rss()
        await rounds(100_000)
        await settle()
        grown = rss() - began
        print(grown, tables() == before, tables(), before)

    bp.run(main)
"""

BODIES = {
    "spawn and exit": """
        async def rounds(n):
            for _ in range(n):
                _, ref = bp.spawn_monitor(nothing)
                await bp.receive()
    """,
    "crash": """
        async def rounds(n):
            for _ in range(n // 4):
                _, ref = bp.spawn_monitor(crash)
                await bp.receive()
    """,
    "kill": """
        async def rounds(n):
            for _ in range(n // 2):
                pid, ref = bp.spawn_monitor(wait)
                bp.exit(pid, "kill")
                await bp.receive()
    """,
    "exit signals over links": """
        async def rounds(n):
            bp.trap_exit()
            for _ in range(n // 2):
                pid = bp.spawn_link(wait)
                bp.exit(pid, "stop")
                await bp.receive()
    """,
    "calls": """
        async def rounds(n):
            echo = await Echo.start()
            for i in range(n):
                await echo.echo(i)
            await echo.stop()
    """,
    "calls that time out": """
        async def rounds(n):
            pid = bp.spawn(wait)
            for i in range(n // 4):
                try:
                    await bp.call(pid, "x", timeout=0)
                except TimeoutError:
                    pass
            bp.exit(pid, "kill")
    """,
    "monitors and demonitors": """
        async def rounds(n):
            pid = bp.spawn(wait)
            for i in range(n):
                bp.demonitor(bp.monitor(pid), flush=True)
            bp.exit(pid, "kill")
    """,
    "links and unlinks": """
        async def rounds(n):
            pid = bp.spawn(wait)
            for i in range(n):
                bp.link(pid)
                bp.unlink(pid)
            bp.exit(pid, "kill")
    """,
    "aliases": """
        async def rounds(n):
            for i in range(n):
                alias = bp.alias("reply")
                bp.send(alias, i)
                await bp.receive()
    """,
    "timers": """
        async def rounds(n):
            for i in range(n):
                bp.cancel_timer(bp.send_after(60, bp.self(), i))
                if i % 100 == 0:
                    await asyncio.sleep(0)  # uvloop frees a cancelled timer in the next turn of the loop
    """,
    "references": """
        async def rounds(n):
            for i in range(n // 10):
                ref = bp.remote([i])
                kept = await ref.keep.copy()
                assert await kept.get() == [i]
                assert await ref.do.__len__() == 1
            del ref, kept
            from beampy.refs.service import refs_of
            while refs_of(api.self_process().node).objects:
                await asyncio.sleep(0.01)
    """,
    "timed receives": """
        async def rounds(n):
            for i in range(n):
                bp.send(bp.self(), i)
                await bp.receive(timeout=60)
    """,
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("name", BODIES)
def test_rounds_leave_nothing(name: str) -> None:
    program = textwrap.dedent(PROGRAM).replace("BODY", textwrap.dedent(BODIES[name]))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=55,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    grown, same, rest = done.stdout.split(maxsplit=2)
    assert same == "True", rest
    assert int(grown) < SLACK
