"""Code that is on its way when a process dies or stands still, many that ask at once, and caches that are broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from beampy.errors import NodeDown
from tests.cluster.origins import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

HUNDRED = {f"hundred/m{at:03}.py": f"from . import m{at // 2:03}\ndef f():\n    return {at}\n" for at in range(1, 100)}
HUNDRED |= {"hundred/m000.py": "def f():\n    return 0\n", "hundred/__init__.py": ""}
ONE_BY_ONE = """
    def one_by_one(say=False):
        import importlib, sys
        total = 0
        for at in range(100):
            total += importlib.import_module(f"hundred.m{at:03}").f()
            if say and at == 20:
                sys.__stdout__.write("twenty\\n")
                sys.__stdout__.flush()
        return total
"""
SLOWLY = ONE_BY_ONE.replace("        return total", "            import time; time.sleep(0.02)\n        return total")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


async def test_an_origin_that_is_killed_while_it_is_asked(lab: Lab):
    a, b, c = (
        await lab.start("a", HUNDRED),
        await lab.start("b"),
        await lab.start("c", {**HUNDRED, "mine.py": "X = 1\n"}),
    )
    asking = asyncio.ensure_future(a.run(SLOWLY + "    result = await there(one_by_one, True)"))
    await b.node.says("twenty", 30)
    a.node.kill()
    with pytest.raises(NodeDown):
        await asking
    assert await c.run(ONE_BY_ONE + "    import mine\n    result = await there(one_by_one)") == sum(range(100))
    assert await c.run("result = await there(lambda: mine.X)") == 1
    again = await lab.start("a", {**HUNDRED, "hundred/m099.py": "def f():\n    return 1000\n"})
    assert await again.run(ONE_BY_ONE + "    result = await there(one_by_one)") == sum(range(99)) + 1000
    assert b.node.alive


async def test_a_node_that_is_killed_while_it_asks(lab: Lab):
    a, b = await lab.start("a", HUNDRED), await lab.start("b")
    asking = asyncio.ensure_future(
        a.run(
            SLOWLY
            + """
    from beampy.errors import NodeDown
    try:
        result = await there(one_by_one, True)
    except NodeDown as error:
        result = "lost"
    """
        )
    )
    await b.node.says("twenty", 30)
    b.node.kill()
    assert await asking == "lost"
    await lab.start("c")
    assert await a.run(ONE_BY_ONE + "    result = await there(one_by_one, node='c')") == sum(range(100))
    again = await lab.start("b", folder="again")
    assert await a.run("result = await there(one_by_one)") == sum(range(100))
    assert again.node.alive


async def test_an_origin_that_stands_still(lab: Lab):
    """Who needs its code waits for a time that has an end, and has it when the origin goes on."""
    a, b = await lab.start("a", {"later.py": "VALUE = 1\n", "on_the_loop.py": "VALUE = 2\n"}), await lab.start("b")
    await b.ask("wait_less", 1.0)
    asking = asyncio.ensure_future(
        a.run(
            """
        def stubborn():
            import importlib, sys
            lost = 0
            while True:
                try:
                    return lost, importlib.import_module("later").VALUE
                except Exception as error:
                    if type(error).__name__ != "OriginLost" or lost > 20:
                        raise
                    assert "later" in str(error) and "a@127.0.0.1" in str(error), str(error)
                    lost += 1
                    sys.__stdout__.write("lost\\n")
                    sys.__stdout__.flush()

        async def stubborn_on_the_loop():
            import asyncio, importlib, sys
            lost = 0
            while True:
                try:
                    return lost, importlib.import_module("on_the" + "_loop").VALUE
                except Exception as error:
                    if type(error).__name__ != "OriginLost" or lost > 20:
                        raise
                    lost += 1
                    sys.__stdout__.write("lost on the loop\\n")
                    sys.__stdout__.flush()
                    await asyncio.sleep(0.01)

        def ready(path):
            import sys, time, os
            sys.__stdout__.write("ready to stop\\n")
            sys.__stdout__.flush()
            while not os.path.exists(path):
                time.sleep(0.01)
            return stubborn()

        async def ready_too(path):
            import asyncio, sys, time, os
            sys.__stdout__.write("ready to stop\\n")
            sys.__stdout__.flush()
            while not os.path.exists(path):
                await asyncio.sleep(0.01)
            return await stubborn_on_the_loop()

        first = await there(ready, $path + "1")
        result = first, await there(ready_too, $path + "2")
    """,
            path=str(lab.folder / "flag"),
        )
    )
    for number, said in ((1, "lost"), (2, "lost on the loop")):
        await b.node.says("ready to stop", 30, count=number)
        await asyncio.sleep(0.1)
        a.node.stop()
        (lab.folder / f"flag{number}").touch()
        await b.node.says(said, 30)
        a.node.cont()
    first, second = await asking
    assert first[0] >= 1
    assert first[1] == 1
    assert second[0] >= 1
    assert second[1] == 2


@pytest.mark.parametrize("cache", ["", "shared"])
async def test_four_nodes_ask_at_once(lab: Lab, cache: str):
    a = await lab.start("a", HUNDRED)
    names = ["b", "c", "d", "e"]
    nodes = await asyncio.gather(*(lab.start(name, cache=cache) for name in names))
    source = (
        ONE_BY_ONE
        + """
    def all_at_once():
        import hundred.m099, hundred.m098
        return one_by_one()
    import asyncio
    import hundred.m099
    result = await asyncio.gather(*(there(all_at_once, node=name) for name in $names))
    """
    )
    assert await a.run(source, names=names) == [sum(range(100))] * 4
    for node in nodes:
        assert len([each for each in await node.ask("asked") if each.startswith("contents")]) <= 100


async def test_a_cache_that_was_broken(lab: Lab):
    """What it has is checked when it is read: broken entries are asked for again."""
    a = await lab.start("a", HUNDRED)
    b = await lab.start("b", cache="shared")
    cell = ONE_BY_ONE + "    import hundred.m099\n    result = await there(one_by_one)"
    assert await a.run(cell) == sum(range(100))
    assert any(each.startswith("contents") for each in await b.ask("asked"))
    b.node.terminate()
    await b.node.wait(20)
    whole = await lab.start("c", cache="shared")
    assert await a.run("result = await there(one_by_one, node='c')") == sum(range(100))
    assert not any(each.startswith("contents") for each in await whole.ask("asked"))
    files = [path for path in (lab.folder / "cache-shared").rglob("*") if path.is_file()]
    assert len(files) > 100
    for at, path in enumerate(files):
        content = path.read_bytes()
        if at % 3 == 0:
            path.write_bytes(content[: len(content) // 2])
        elif at % 3 == 1:
            path.write_bytes(bytes(len(content)))
        else:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")
    broken = await lab.start("d", cache="shared")
    assert await a.run("result = await there(one_by_one, node='d')") == sum(range(100))
    assert any(each.startswith("contents") for each in await broken.ask("asked"))


async def test_an_origin_that_is_gone(lab: Lab):
    """What was fetched works; what was not is OriginLost, with the module's and the node's name."""
    a, b = await lab.start("a", {"had.py": "VALUE = 1\n", "never.py": "VALUE = 2\n"}), await lab.start("b")
    await a.run("""
        async def stay(parent):
            import had, importlib
            bp.register("stay", bp.self())
            bp.send(parent, had.VALUE)
            async for asker in bp.mailbox():
                try:
                    found = importlib.import_module("nev" + "er").VALUE
                except ImportError as error:
                    found = type(error).__name__, str(error)
                bp.send(asker, (had.VALUE, importlib.import_module("had").VALUE, found))
        await bp.spawn(stay, bp.self(), node="b@127.0.0.1")
        result = await bp.receive()
    """)
    a.node.kill()
    await a.node.wait()
    had, again, (kind, said) = await b.run("""bp.send("stay", bp.self()); result = await bp.receive()""")
    assert (had, again, kind) == (1, 1, "OriginLost")
    assert "never" in said
    assert "a@127.0.0.1" in said
