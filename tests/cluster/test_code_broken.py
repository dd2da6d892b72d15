"""Code that travels where something stands in its way: values larger than what is kept in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import beampy as bp
from beampy.code import table as table_module
from beampy.otp.rpc import remote_call
from beampy.testing.cluster import Cluster
from tests.unit.code.cells_ground import Notebook, notebook

__all__ = ["notebook"]

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

call = remote_call.options(timeout=30.0)


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[str]:
    """The name of a node that has nothing of ours."""
    async with Cluster() as cluster, bp.Node("test@127.0.0.1"):
        yield (await cluster.start("b", bare=tmp_path)).name


async def test_a_captured_value_that_is_larger_than_all_that_is_kept_in_memory(b: str, notebook: Notebook):
    large = table_module.MEMORY + 1
    notebook.run(f"large = bytearray({large})\ndef size(): return len(large)")
    assert await call(b, notebook["size"]) == large
    assert await call(b, notebook["size"]) == large


LARGE = "data = bytes(300_000) + {tail!r}\ndef size(): return len(data)"  # more than goes along: it is asked for


async def test_two_nodes_that_send_each_other_code_at_once(b: str, notebook: Notebook):
    """Each is asked by the other for code while it waits for the other's."""
    notebook.run("import beampy as bp")
    notebook.run("""
async def back(home, tail):
    scope = {"__name__": "__main__"}
    exec(f"data = bytes(300_000) + {tail!r}\\ndef size(): return len(data)", scope)
    return await bp.remote_call.options(timeout=20)(home, scope["size"])
""")
    back = notebook["back"]
    sizes = []
    for number in range(4):
        tail = str(number).encode()
        notebook.run(LARGE.format(tail=tail))
        sizes.append(call(b, back, "test@127.0.0.1", tail))
        sizes.append(call(b, notebook["size"]))
    assert [await size for size in sizes] == [300_001] * 8


async def test_a_slow_import_holds_up_no_other_call(
    b: str, notebook: Notebook, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path_factory.mktemp("home")
    gate = home / "gate"
    (home / "slow_module.py").write_text(
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists():\n    time.sleep(0.01)\n"
        "def value():\n    return 'imported'\n"
    )
    monkeypatch.syspath_prepend(str(home))
    gate.touch()
    import slow_module  # type: ignore[import-not-found]

    try:
        gate.unlink()
        waiting = call(b, slow_module.value)
        notebook.run("def pong(): return 'pong'")
        assert await call(b, notebook["pong"]) == "pong"
        gate.touch()
        assert await waiting == "imported"
    finally:
        del sys.modules["slow_module"]


async def test_many_that_wait_for_code_leave_room_for_the_answers(b: str, notebook: Notebook):
    """More calls that have to fetch than an event loop's executor has threads."""
    calls = []
    for number in range(40):
        notebook.run(LARGE.format(tail=str(number + 100).encode()))
        calls.append(call(b, notebook["size"]))
    assert [await size for size in calls] == [300_003] * 40


async def test_a_call_that_is_given_up_while_its_code_is_fetched_does_not_run(
    b: str, notebook: Notebook, tmp_path: Path
):
    ran = tmp_path / "ran"
    notebook.run(
        f"data = bytes(400_000)\ndef mark(): open({str(ran)!r}, 'w').write(str(len(data)))\ndef pong(): return 1"
    )
    given_up = call(b, notebook["mark"])
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert await call(b, notebook["pong"]) == 1
    await asyncio.sleep(0.3)
    assert not ran.exists()
