"""What is written in a cell here runs on a node in another process, which started in an empty directory."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.code.repair import keep_instances
from beampy.errors import EncodeError, RemoteError, VersionSkew
from beampy.testing.cluster import Cluster
from tests.unit.code.cells_classes import CLASSES, OPTIONAL
from tests.unit.code.cells_functions import FUNCTIONS
from tests.unit.code.cells_ground import Notebook, notebook

__all__ = ["notebook"]

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nodes of these tests keep code in a directory of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEAMPY_CODE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[str]:
    """The name of a node that has nothing of ours."""
    async with Cluster() as cluster, bp.Node(ME):
        yield (await cluster.start("b", bare=tmp_path)).name


async def test_cells_do_there_what_they_do_here(b: str, notebook: Notebook) -> None:
    cells = {**FUNCTIONS, **CLASSES}
    cells.update({name: cell for name, cell in OPTIONAL.items() if _installed(name)})
    del cells["async"]  # its loop is its own
    wrong = {}
    for name, cell in cells.items():
        check = notebook.run(cell)["check"]
        there = await bp.remote_call(b, check)
        if there != check():
            wrong[name] = there
    assert wrong == {}


def _installed(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


async def test_async_functions_and_generators(b: str, notebook: Notebook) -> None:
    notebook.run(
        """
        import asyncio
        def half(x): return x / 2
        async def co(x):
            await asyncio.sleep(0)
            return half(x)
        async def steps(n):
            for i in range(n):
                yield await co(i)
        """
    )
    assert await bp.remote_call(b, notebook["co"], 3) == 1.5
    assert [x async for x in bp.remote_call(b, notebook["steps"], 3)] == [0, 0.5, 1]


async def test_state_stays_on_the_node_until_the_code_changes(b: str, notebook: Notebook) -> None:
    cell = """
        import functools, os
        class Counter:
            n = {}
            def inc(self):
                type(self).n += 1
                return self.n
        @functools.lru_cache
        def where(x): return os.getpid(), len(seen)
        seen = []
        def remember(x):
            seen.append(x)
            return len(seen)
        """
    notebook.run(cell.format(0))
    assert [await bp.remote_call(b, notebook["Counter"]().inc) for _ in range(3)] == [1, 2, 3]
    first = await bp.remote_call(b, notebook["where"], 1)
    assert [await bp.remote_call(b, notebook["remember"], x) for x in "ab"] == [1, 2]
    assert await bp.remote_call(b, notebook["where"], 1) == first
    assert await bp.remote_call(b, notebook["where"], 2) == (first[0], 2)
    notebook.run(cell.format(0))
    assert await bp.remote_call(b, notebook["Counter"]().inc) == 4
    notebook.run(cell.format(10))
    assert await bp.remote_call(b, notebook["Counter"]().inc) == 11
    assert notebook["Counter"].n == 10


async def test_the_next_call_runs_what_was_defined_last_and_running_ones_keep_theirs(
    b: str, notebook: Notebook
) -> None:
    notebook.run(
        """
        import beampy as bp
        def helper(): return 1
        async def twice(who):
            before = helper()
            bp.send(who, bp.self())
            await bp.receive()
            return before, helper()
        def once(): return helper()
        """
    )
    said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def listens() -> None:
        said.set_result(await bp.receive())

    running = asyncio.ensure_future(_call(b, notebook["twice"], bp.spawn(listens)))
    there = await asyncio.wait_for(said, 20)
    notebook.run("def helper(): return 2")
    assert await bp.remote_call(b, notebook["once"]) == 2
    bp.send(there, "go on")
    assert await running == (1, 1)


async def _call(node: str, fn: Any, *args: Any) -> Any:
    return await bp.remote_call(node, fn, *args)


async def test_classes_come_home_as_what_they_were(b: str, notebook: Notebook) -> None:
    notebook.run(
        """
        import dataclasses, enum
        class Color(enum.Enum):
            RED = 1
        @dataclasses.dataclass
        class Point:
            x: int
            color: Color = Color.RED
        def moved(p): return dataclasses.replace(p, x=p.x + 1), type(p), p.color is Color.RED
        class Odd(Exception):
            def __init__(self, a, b):
                super().__init__(f"{a}-{b}")
                self.a = a
        class Even(Exception): pass
        def fails(kind, *args): raise kind(*args)
        """
    )
    point, kind, same = await bp.remote_call(b, notebook["moved"], notebook["Point"](1))
    assert point == notebook["Point"](2)
    assert point.color is notebook["Color"].RED
    assert kind is notebook["Point"]
    assert same
    with pytest.raises(notebook["Even"], match="why"):
        await bp.remote_call(b, notebook["fails"], notebook["Even"], "why")
    with pytest.raises(RemoteError, match="Odd: 1-2"):
        await bp.remote_call(b, notebook["fails"], notebook["Odd"], 1, 2)


async def test_a_traceback_shows_the_lines_of_the_cell(b: str, notebook: Notebook) -> None:
    notebook.run(
        """
        import inspect, traceback
        def wrong(x):
            return 1 / x  # this line
        def told():
            try: wrong(0)
            except ZeroDivisionError: return traceback.format_exc(), inspect.getsource(wrong)
        """
    )
    text, source = await bp.remote_call(b, notebook["told"])
    assert "return 1 / x  # this line" in text
    assert source == "def wrong(x):\n    return 1 / x  # this line\n"


async def test_a_server_of_a_cell_is_started_there_and_another_version_beside_it(b: str, notebook: Notebook) -> None:
    cell = """
        import beampy as bp
        class Account(bp.Server):
            def __init__(self, amount=0): self.amount = amount
            @bp.call
            async def add(self, n: int) -> int:
                self.amount += n * {}
                return self.amount
        """
    notebook.run(cell.format(1))
    one = await notebook["Account"].start(5, node=b)
    assert await one.add(3) == 8
    notebook.run(cell.format(10))
    two = await notebook["Account"].start(5, node=b)
    assert (await one.add(1), await two.add(1)) == (9, 15)


async def test_a_function_is_passed_on_and_comes_home(tmp_path: Path, notebook: Notebook) -> None:
    notebook.run(
        """
        import beampy as bp
        class Point:
            def __init__(self, x): self.x = x
        def work(p): return Point(p.x + 1), Point
        async def relay(node, fn, *args): return await bp.remote_call(node, fn, *args)
        """
    )
    async with Cluster() as cluster, bp.Node(ME):
        nodes = [await cluster.start(name, bare=tmp_path) for name in ("b", "c")]
        point = notebook["Point"](1)
        got, kind = await bp.remote_call(nodes[0].name, notebook["relay"], nodes[1].name, notebook["work"], point)
        assert (type(got), got.x, kind) == (notebook["Point"], 2, notebook["Point"])
        direct = await bp.remote_call(nodes[1].name, notebook["work"], point)
        assert (type(direct[0]), direct[1]) == (notebook["Point"], notebook["Point"])


async def test_what_cannot_travel_is_named_and_the_next_call_is_fine(b: str, notebook: Notebook) -> None:
    notebook.run("import threading\nlock = threading.Lock()\ndef f(): return lock.locked()")
    for _ in range(2):
        with pytest.raises(EncodeError, match="the global 'lock' of function f"):
            await bp.remote_call(b, notebook["f"])
    notebook.run("def f(): return threading.Lock().locked()")
    assert await bp.remote_call(b, notebook["f"]) is False


async def test_many_calls_at_once_from_the_loop_and_from_threads(b: str, notebook: Notebook) -> None:
    notebook.run("class P: pass\ndef f(n): return n, P")

    def in_a_thread(n: int) -> Any:
        return [bp.remote_call(b, notebook["f"], n).result(20) for _ in range(10)]

    many = await asyncio.gather(
        *(_call(b, notebook["f"], n) for n in range(50)), *(asyncio.to_thread(in_a_thread, n) for n in range(3))
    )
    assert many[:50] == [(n, notebook["P"]) for n in range(50)]
    assert many[50:] == [[(n, notebook["P"])] * 10 for n in range(3)]


async def test_instances_there_follow_their_class_where_that_is_wanted(b: str, notebook: Notebook) -> None:
    notebook.run("kept = []\ndef keep(a): kept.append(a)\ndef values(): return [a.v() for a in kept]")
    cell = "class A:\n    def v(self): return {}"
    notebook.run(cell.format(1))
    await bp.remote_call(b, notebook["keep"], notebook["A"]())
    await bp.remote_call(b, keep_instances)
    notebook.run(cell.format(2))
    await bp.remote_call(b, notebook["keep"], notebook["A"]())
    assert await bp.remote_call(b, notebook["values"]) == [2, 2]
    await bp.remote_call(b, keep_instances, False)
    notebook.run(cell.format(3))
    await bp.remote_call(b, notebook["keep"], notebook["A"]())
    assert await bp.remote_call(b, notebook["values"]) == [2, 2, 3]


# another Python


def other_python() -> str | None:
    """Another minor version of Python, from $BEAMPY_OTHER_PYTHON or the path; None: there is none that runs beampy."""
    names = [f"python3.{minor}" for minor in (12, 13, 11) if minor != sys.version_info[1]]
    for name in [os.environ.get("BEAMPY_OTHER_PYTHON", ""), *names]:
        path = shutil.which(name) if name else None
        if path is not None:
            script = "import sys, cloudpickle; print(sys.version_info[1])"
            done = subprocess.run([path, "-c", script], capture_output=True, text=True, timeout=30, check=False)
            if done.returncode == 0 and int(done.stdout) != sys.version_info[1]:
                return path
    return None


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[str]:
    """The name of a node of another Python."""
    python = other_python()
    if python is None:
        pytest.skip("there is no other Python")
    async with Cluster() as cluster, bp.Node(ME):
        yield (await cluster.start("other", bare=tmp_path, python=python)).name


async def test_a_cell_runs_on_another_python_from_its_source(other: str, notebook: Notebook) -> None:
    notebook.run(
        """
        import sys, functools
        class Shape:
            def __init__(self, n): self.n = n
            def area(self):
                return [k * self.n for k in range(3)]
        class Square(Shape):
            def area(self): return super().area()[-1], (lambda x: x + self.n)(1)
        def counted(fn):
            @functools.wraps(fn)
            def wrapper(*args): return fn(*args), sys.version_info[1]
            return wrapper
        @counted
        def work(x, *, k=(1, 2)):
            try:
                return sum(y for y in k) + x
            except* ValueError:
                pass
        async def co(shape): return shape.area(), type(shape)
        """
    )
    got, minor = await bp.remote_call(other, notebook["work"], 4)
    assert got == 7
    assert minor != sys.version_info[1]
    area, kind = await bp.remote_call(other, notebook["co"], notebook["Square"](3))
    assert (area, kind) == ((6, 4), notebook["Square"])


async def test_without_its_source_another_python_says_so(other: str, notebook: Notebook) -> None:
    exec("def f(): return 1", notebook.names)
    with pytest.raises(VersionSkew, match=r"f \(<string>:1\)' cannot be used"):
        await bp.remote_call(other, notebook["f"])
    notebook.run("def f(): return 2")
    assert await bp.remote_call(other, notebook["f"]) == 2
