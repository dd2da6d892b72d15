"""What is written in cells, and beside them, runs on runners that have none of it: they began in an empty directory."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import WAIT, Kernel
from tests.unit.code.wheels import wheel

pytestmark = [pytest.mark.cluster]

BEGIN = """
import asyncio, os
import beampy as bp

os.chdir({empty!r})
pool = bp.Pool("cells", max=1, idle_shutdown_after=None)
assert await pool.call(os.getpid) != os.getpid()
os.chdir({folder!r})
"""
EMPTY = """
import sys
def surroundings():
    return os.listdir(), [path for path in sys.path if {folder!r} in path]
assert await pool.call(surroundings) == ([], [])
"""


class Notebook:
    """A notebook in a folder of its own, with a runner that began in an empty one."""

    def __init__(self, kernel: Kernel, folder: Path) -> None:
        self.kernel = kernel
        self.folder = folder

    def cell(self, source: str) -> Any:
        """Run a cell that must not fail. What it gave."""
        return self.kernel.ok(source)

    def file(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    yield from opened(tmp_path)


def opened(tmp_path: Path, python: str = sys.executable) -> Iterator[Notebook]:
    folder, empty = tmp_path / "notebook", tmp_path / "empty"
    folder.mkdir()
    empty.mkdir()
    with Kernel(folder, python=python, BEAMPY_CODE_CACHE=str(tmp_path / "cache")) as kernel:
        kernel.ok(BEGIN.format(empty=str(empty), folder=str(folder)))
        yield Notebook(kernel, folder)
        kernel.ok(EMPTY.format(folder=str(folder)))  # nothing was put there on the way
        assert list(empty.iterdir()) == []


def test_functions_and_what_they_refer_to(notebook: Notebook):
    cell = notebook.cell
    cell("""
        RATE = 3

        def helper(n):
            return n * RATE

        def price(n):
            return helper(n) + 1
    """)
    cell("assert await pool.call(price, 5) == 16")
    cell("RATE = 4")  # a constant
    cell("assert await pool.call(price, 5) == 21")
    cell("def helper(n):\n    return -n")  # a cell that is run again with another text
    cell("assert await pool.call(price, 5) == -4")
    cell("del helper")
    assert notebook.kernel.run("await pool.call(price, 5)").error == "NameError: name 'helper' is not defined"
    cell("from math import sqrt as helper")
    cell("assert await pool.call(price, 9) == 4.0")
    cell("assert await pool.map(lambda n: price(n) + RATE, [4, 16]) == [7.0, 9.0]")


def test_functions_of_every_kind(notebook: Notebook):
    cell = notebook.cell
    cell("""
        import functools, contextlib

        def twice(fn):
            @functools.wraps(fn)
            def wrapper(*args):
                "doc of the wrapper"
                return fn(fn(*args))
            return wrapper

        @twice
        def increment(n):
            return n + 1

        def adder(by):
            def add(n, *, scale=1):
                return (n + by) * scale
            return add

        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)

        async def later(n):
            await asyncio.sleep(0)
            return n, asyncio.current_task() is not None

        async def countdown(n):
            while n:
                yield n
                n -= 1

        @contextlib.contextmanager
        def doubled(n):
            yield 2 * n

        def managed(n):
            with doubled(n) as found:
                return found
    """)
    cell("assert await pool.call(increment, 1) == 3")
    cell("assert await pool.call(adder(2), 1, scale=10) == 30")
    cell("assert [await pool.call(even, n) for n in (4, 5)] == [True, False]")
    cell("assert await pool.call(later, 7) == (7, True)")
    cell("assert [n async for n in pool.stream(countdown, 3)] == [3, 2, 1]")
    cell("assert await pool.call(functools.partial(adder(1), scale=3), 1) == 6")
    cell("assert await pool.call(managed, 4) == 8")
    cell("assert pool.call(increment, 5).result() == 7")  # as plain code writes it


def test_a_cache_is_the_runners_own_and_lasts(notebook: Notebook):
    notebook.cell("""
        import functools

        worked = []

        @functools.lru_cache(maxsize=None)
        def slow(n):
            worked.append(n)
            return n * n

        def through(n):
            return slow(n), list(worked), slow.cache_info().hits
    """)
    notebook.cell("assert await pool.call(through, 3) == (9, [3], 0)")
    notebook.cell("assert await pool.call(through, 3) == (9, [3], 1)")
    notebook.cell("assert await pool.call(slow, 3) == 9")
    notebook.cell("assert worked == [] and slow.cache_info().currsize == 0")


def test_classes_are_the_same_when_their_objects_come_home(notebook: Notebook):
    cell = notebook.cell
    cell("""
        import abc, enum, dataclasses, typing

        class Colour(enum.Enum):
            RED = 1
            BLUE = 2

        @dataclasses.dataclass(slots=True, frozen=True)
        class Point:
            x: int
            colour: Colour = Colour.RED

        class Pair(typing.NamedTuple):
            left: Point
            right: Point

        class Shape(abc.ABC):
            made = 0

            def __init__(self, name):
                type(self).made += 1
                self.name = name

            @abc.abstractmethod
            def area(self): ...

        class Square(Shape):
            def __init__(self, side):
                super().__init__("square")
                self.side = side

            @property
            def doubled(self):
                return Square(2 * self.side)

            def area(self):
                return self.side ** 2

        def work(pair):
            assert isinstance(pair, Pair) and pair.right.colour is Colour.BLUE
            square = Square(pair.left.x)
            return dataclasses.replace(pair.left, colour=Colour.BLUE), square.doubled, Square.made
    """)
    cell("""
        point, square, made = await pool.call(work, Pair(Point(3), Point(4, Colour.BLUE)))
        assert type(point) is Point and point == Point(3, Colour.BLUE) and point.colour is Colour.BLUE
        assert type(square) is Square and square.area() == 36
        assert (made, Square.made) == (2, 0)
        assert await pool.call(square.area) == 36
    """)
    cell("assert (await pool.call(work, Pair(Point(1), Point(4, Colour.BLUE))))[2] == 4")  # it is the same class there
    cell("""
        class Square(Shape):
            def __init__(self, side):
                super().__init__("square of another kind")
                self.side = side
            doubled = property(lambda self: self)
            def area(self):
                return -1
    """)
    cell("""
        older, (_, newer, _) = square, await pool.call(work, Pair(Point(3), Point(4, Colour.BLUE)))
        assert type(newer) is Square and newer.area() == -1 and newer.name.endswith("another kind")
        assert type(older) is not Square and older.area() == 36
        assert await pool.call(older.area) == 36  # an object of the class as it was still works there
    """)


def test_errors_of_cells_come_home_as_themselves(notebook: Notebook):
    cell = notebook.cell
    cell("""
        class Refused(Exception):
            def __init__(self, code, why="no room"):
                super().__init__(code, why)
                self.code, self.why = code, why

            def __str__(self):
                return f"{self.why} ({self.code})"

        def refuse(code):
            error = Refused(code)
            error.add_note("and a note")
            raise error  # the line that fails
    """)
    cell("""
        try:
            await pool.call(refuse, 7)
        except Refused as error:
            caught = error
        assert type(caught) is Refused
        assert (caught.code, caught.why, str(caught)) == (7, "no room", "no room (7)")
        assert "and a note" in caught.__notes__
    """)
    shown = notebook.kernel.run("await pool.call(refuse, 8)")
    assert shown.error == "Refused: no room (8)"
    assert "the line that fails" in shown.traceback


def test_an_error_that_nobody_can_rebuild_is_told_in_full(notebook: Notebook):
    """pickle cannot make one whose `__init__` wants what its `args` do not have."""
    notebook.cell("""
        class Picky(ValueError):
            def __init__(self, *, why):
                super().__init__(f"picky: {why}")

        def pick():
            raise Picky(why="too small")  # the line that fails
    """)
    shown = notebook.kernel.run("await pool.call(pick)")
    assert shown.error is not None
    assert shown.error.startswith("RemoteError")
    assert "Picky: picky: too small" in shown.error
    assert "the line that fails" in shown.traceback


def test_what_cannot_travel_is_named_and_the_notebook_goes_on(notebook: Notebook):
    notebook.cell("import threading\nLOCK = threading.Lock()\ndef locked():\n    with LOCK:\n        return 1")
    failed = notebook.kernel.run("await pool.call(locked)")
    assert failed.error is not None
    assert failed.error.startswith("EncodeError")
    assert {"LOCK", "locked"} <= set(re.findall(r"\w+", failed.error))
    notebook.cell("def locked():\n    with threading.Lock():\n        return 1")
    notebook.cell("assert await pool.call(locked) == 1")


def test_helper_modules_beside_the_notebook(notebook: Notebook):
    cell, file = notebook.cell, notebook.file
    file(
        "helper.py",
        "LIMIT = 1\ncount = 0\ndef scale(n):\n    global count\n    count += 1\n    return n * 2 + LIMIT, count\n",
    )
    file("lab/__init__.py", "from .words import split\n")
    file(
        "lab/words.py",
        "from importlib.resources import files\n\ndef split(text):\n    return text.split()\n\n"
        "def stop():\n    return files('lab').joinpath('stop.txt').read_text().split()\n",
    )
    file("lab/stop.txt", "the a\n")
    cell("""
        import helper

        def use(n):
            import lab.words
            from helper import scale
            return scale(n)[0], lab.split("a b"), lab.words.stop(), helper.__name__
    """)
    cell("assert await pool.call(use, 2) == (5, ['a', 'b'], ['the', 'a'], 'helper')")
    cell("assert [await pool.call(helper.scale, 1) for _ in range(2)] == [(3, 2), (3, 3)]")  # its state lasts there
    cell("assert helper.count == 0")

    file("helper.py", "LIMIT = 100\ndef scale(n):\n    return n * 2 + LIMIT, 'edited'\n")
    warned = ""
    deadline = time.monotonic() + WAIT
    while "importlib.reload(helper) sends the new code" not in warned:
        assert time.monotonic() < deadline, "nobody said that the file was edited"
        old = notebook.kernel.ok("(await pool.call(use, 2))[0]")
        assert old.value == "5"  # what is imported here counts, until it is reloaded
        warned += old.err
    cell("import importlib\nimportlib.reload(helper)")
    cell("assert (await pool.call(use, 2))[0] == 104")
    cell("assert await pool.call(helper.scale, 0) == (100, 'edited')")

    cell("%load_ext autoreload\n%autoreload 2")
    file("helper.py", "LIMIT = 100\ndef scale(n):\n    return 'edited again, and longer than before', LIMIT\n")
    deadline = time.monotonic() + WAIT
    while "edited again" not in (notebook.cell("(await pool.call(use, 2))[0]").value or ""):
        assert time.monotonic() < deadline, "autoreload's edit is not seen"  # files are looked at every 0.2 s
    cell("%%writefile written.py\ndef f():\n    return 'of a cell'\n")
    cell("import written\nassert await pool.call(written.f) == 'of a cell'")


def test_cells_with_magics(notebook: Notebook):
    cell = notebook.cell
    cell("%%time\nlisted = !echo one two\ndef timed():\n    return listed[0], __name__")
    cell("assert (await pool.call(timed))[0] == 'one two'")
    cell("%%capture said\nprint('captured', pool.call(len, 'abc').result())")
    cell("assert said.stdout == 'captured 3\\n'")
    cell("""
        import numpy as np

        WEIGHTS = np.arange(6.0).reshape(2, 3)

        def weighted(x):
            return WEIGHTS @ x
    """)
    cell("assert (await pool.call(weighted, np.ones(3))).tolist() == [3.0, 12.0]")
    cell("WEIGHTS[0] = 0")  # changed in place
    cell("assert (await pool.call(weighted, np.ones(3))).tolist() == [0.0, 12.0]")


def test_a_fresh_runner_gets_the_code_as_well(notebook: Notebook):
    notebook.file("helper.py", "def f(n):\n    return n + 1\n")
    notebook.cell("import helper\ndef g(n):\n    return helper.f(n), os.getpid()")
    notebook.cell("value, first = await pool.call(g, 1)\nassert value == 2")
    notebook.cell("""
        import signal
        (runner,) = pool.runners()
        assert runner["os_pid"] == first
        os.kill(first, signal.SIGKILL)
        value, second = await pool.options(retries=3).call(g, 2)
        assert value == 3 and second not in (first, os.getpid())
        os.chdir(os.path.dirname(os.getcwd()) + "/empty")
    """)


def test_a_package_that_is_installed_in_the_middle(notebook: Notebook, tmp_path: Path):
    """Somewhere that only the notebook looks at."""
    pytest.importorskip("pip")
    files = {
        "shapes/__init__.py": "from .sizes import area\n",
        "shapes/sizes.py": "def area(n):\n    return 3 * n * n\n",
    }
    made = wheel(tmp_path / "wheels", "shapes", "1.2", files)
    target = tmp_path / "target"
    notebook.cell(f"import sys\nsys.path.append({str(target)!r})")
    missing = notebook.kernel.run("await pool.call(lambda: __import__('shapes').area(2))")
    assert missing.error == "ModuleNotFoundError: No module named 'shapes'"
    notebook.cell(f"%pip install --quiet --no-index --no-deps --target {target} {made}")
    notebook.cell("""
        import importlib
        importlib.invalidate_caches()
        import shapes

        def area(n):
            from shapes.sizes import area
            return area(n), shapes.area(n)
    """)
    notebook.cell("assert await pool.call(area, 2) == (12, 12)")


def test_a_package_that_is_installed_into_the_environment(tmp_path: Path):
    """Where the runners, which have been up for a while, look as well."""
    pytest.importorskip("pip")
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "tests.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")
    made = wheel(tmp_path / "wheels", "shapes", "1.2", {"shapes.py": "def area(n):\n    return 3 * n * n\n"})
    for notebook in opened(tmp_path, str(home / "bin" / "python")):
        notebook.cell("def area(n):\n    import shapes\n    return shapes.area(n)")
        assert notebook.kernel.run("await pool.call(area, 2)").error == "ModuleNotFoundError: No module named 'shapes'"
        notebook.cell(f"%pip install --quiet --no-index --no-deps {made}")
        assert (site / "shapes.py").exists()
        notebook.cell("assert await pool.call(area, 2) == 12")
        notebook.cell("import shapes\nassert await pool.call(shapes.area, 3) == 27")
