"""Cells of IPython on another node: what is run again, what autoreload has brought up to date, what people look at."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.origins import Lab, Place

pytest.importorskip("IPython")
pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

HELPERS = """
    import threading
    LOCK = threading.Lock()
    LIMIT = 1

    def scale(x):
        return x * 2

    class Model:
        factor = 3

        def predict(self, x):
            return scale(x) * self.factor + LIMIT
"""


class Notebook:
    """One that runs cells, and the node that they call."""

    def __init__(self, a: Place, b: Place) -> None:
        self.a = a
        self.b = b

    async def cell(self, source: str) -> Any:
        return await self.a.ask("run_in_notebook", textwrap.dedent(source).strip("\n"))


@pytest.fixture
async def notebook(tmp_path: Path) -> AsyncIterator[Notebook]:
    async with Lab(tmp_path) as lab:
        files = {
            "helpers.py": HELPERS,
            "user.py": "import helpers as h\nfrom helpers import scale\ndef use(x):\n    return h.scale(x), scale(x)\n",
        }
        yield Notebook(await lab.start("a", files, app="notebook"), await lab.start("b"))


IDENTITY = """
    import sys
    FACTOR = {factor}

    class Point:
        def __init__(self, x):
            self.x = x

    def helper(x):
        return x * FACTOR

    def scaled(point):
        return Point(helper(point.x)), id(sys._getframe().f_code), id(Point), id(helper.__code__)
"""


async def test_cells_that_are_run_again(notebook: Notebook):
    cell = notebook.cell
    await cell(IDENTITY.format(factor=2))
    call = """
        point, *identity = await there(scaled, Point(2))
        assert type(point) is Point
        result = point.x, identity
    """
    value, identity = await cell(call)
    assert value == 4
    await cell(IDENTITY.format(factor=2))  # unchanged
    assert await cell(call) == (4, identity)
    await cell("\n\n# a line above\n" + textwrap.dedent(IDENTITY.format(factor=2)))
    assert await cell(call) == (4, identity)
    await notebook.b.ask("asked")
    assert await cell(call) == (4, identity)
    assert await notebook.b.ask("asked") == []
    await cell(IDENTITY.format(factor=5))  # changed
    assert (await cell(call))[0] == 10
    await cell("def helper(x):\n    return 'other'")
    assert (await cell(call))[0] == "other"


async def test_magics_and_await(notebook: Notebook):
    cell = notebook.cell
    await cell("""
        %%time
        import asyncio
        text = !echo hello
        %alias_magic t time
        def timed(x):
            return x, text[0], __name__
    """)
    await cell("%%capture out\nprint('captured')")
    assert await cell("result = await there(timed, 1), out.stdout") == ((1, "hello", "__main__"), "captured\n")
    assert await cell("""
        async def awaited(x):
            import helpers
            await asyncio.sleep(0)
            return helpers.scale(x)
        found = await asyncio.gather(*(there(awaited, x) for x in range(3)))
        async with asyncio.timeout(20):
            found.append(await there(lambda: awaited.__name__))
        result = found
    """) == [0, 2, 4, "awaited"]


async def test_files_that_cells_write_and_run(notebook: Notebook):
    cell = notebook.cell
    await cell("%%writefile made.py\ndef f():\n    return 1\n")
    assert await cell("""
        import importlib, made
        def use():
            return made.f()
        result = await there(made.f), await there(use)
    """) == (1, 1)
    await cell("%%writefile made.py\ndef f():\n    return 'two'\n")
    await cell("importlib.reload(made)")
    assert await cell("result = await there(made.f), await there(use)") == ("two", "two")
    await cell("%%writefile program.py\nimport made\nX = 5\ndef g():\n    return made.f(), X\n")
    await cell("%run program.py")
    assert await cell("result = await there(g)") == ("two", 5)


async def test_what_people_look_at(notebook: Notebook):
    cell = notebook.cell
    await cell("""
        # a comment above
        def fails(x):
            y = x - 1
            return 1 / y  # the line that fails

        class Thing:
            '''A thing.'''
            def method(self):
                return fails(1)
    """)
    source, method, shown, said = await cell("""
        import inspect, traceback
        def formatted():
            try:
                Thing().method()
            except ZeroDivisionError:
                return traceback.format_exc()
        try:
            await there(Thing().method)
        except ZeroDivisionError as error:
            said = "".join(traceback.format_exception(error))
        sources = [await there(inspect.getsource, each) for each in (fails, Thing.method)]
        result = *sources, await there(formatted), said
    """)
    assert source == "def fails(x):\n    y = x - 1\n    return 1 / y  # the line that fails\n"
    assert method == "    def method(self):\n        return fails(1)\n"
    for each in (shown, said):
        assert "in fails\n    return 1 / y  # the line that fails\n" in each
        assert "in method\n    return fails(1)\n" in each


@pytest.mark.parametrize("mode", ["2", "1", "complete", "explicit"])
async def test_autoreload(notebook: Notebook, mode: str):
    """What is edited is run at the next cell, there as here; whether it was patched in place or reloaded."""
    cell, a = notebook.cell, notebook.a
    await cell(f"%load_ext autoreload\n%autoreload {mode}")
    if mode in ("1", "explicit"):
        await cell("%aimport helpers\n%aimport user")
    await cell("""
        import helpers
        import user
        from helpers import Model, scale
        import asyncio
        model = Model()
        def mine(x):
            return helpers.scale(x)
        def inside(x):
            import helpers
            return helpers.scale(x), helpers.LIMIT
        async def both():
            here = [mine(1), user.use(1), helpers.scale(1), helpers.Model().predict(1), helpers.LIMIT, inside(1)]
            there_ = [await there(each, 1) for each in (mine, user.use, helpers.scale, helpers.Model().predict)]
            there_ += [await there(lambda: helpers.LIMIT), await there(inside, 1)]
            return here, there_
    """)
    call = "result = await both()"
    here, there = await cell(call)
    assert there == here == [2, (2, 2), 2, 7, 1, (2, 1)]
    text = textwrap.dedent(HELPERS)
    edits = {
        "a body": (text := text.replace("x * 2", "x * 20"), 20, 61, 1),
        "a method": (text := text.replace("+ LIMIT", "+ LIMIT + 1000"), 20, 1061, 1),
        "a value": (text := text.replace("LIMIT = 1\n", "LIMIT = 7\n"), 20, 1067, 7),
        "a new function": (
            text := text.replace("    return x * 20\n", "    return other(x)\n\ndef other(x):\n    return x * 30\n"),
            *(30, 1097, 7),
        ),
        "a comment": (text := text + "# the end\n", 30, 1097, 7),
        "all": (text.replace("x * 30", "x * 40").replace("LIMIT = 7", "LIMIT = 8\nMORE = 1"), 40, 1128, 8),
    }
    for what, (content, scaled, predicted, limit) in edits.items():
        await asyncio.sleep(0.25)  # longer than a look at a file is good for
        a.write({"helpers.py": content})
        here, there = await cell(call)
        assert here[2:5] == [scaled, predicted, limit], what
        assert there == here, what
    a.write({"helpers.py": "def scale(:\n"})
    await cell("1")  # IPython shows the error
    here, there = await cell(call)
    assert there == here
    await asyncio.sleep(0.25)
    a.write({"helpers.py": textwrap.dedent(HELPERS).replace("x * 2", "x * 50")})
    here, there = await cell(call)
    assert here[0] == 50
    assert there == here
