"""Local modules of one process run in another: what importlib, inspect and pdb see of them there."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from beampy.testing.cluster import _where_beampy_is
from tests.cluster.origins import Lab, Place

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


async def test_packages_of_every_habit(lab: Lab):
    """Relative and circular imports, package data, a namespace package, lazy attributes, `if __name__`."""
    a = await lab.start(
        "a",
        {
            "shop/__init__.py": """
                with open($log, "a") as log:
                    log.write("shop\\n")
                from .prices import price
                from . import basket

                def __getattr__(name):
                    if name == "lazy":
                        import importlib
                        return importlib.import_module("shop.lazy")
                    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

                def total(names):
                    return basket.Basket(names).total()

                if __name__ == "__main__":
                    raise SystemExit("it is no program")
            """.replace("$log", repr(str(lab.folder / "log"))),
            "shop/prices.py": """
                from importlib.resources import files
                import pkgutil
                TEXT = files(__package__).joinpath("data/prices.txt").read_text()
                PRICES = dict(line.split() for line in TEXT.splitlines())
                assert pkgutil.get_data(__package__, "data/prices.txt").startswith(b"tea")
                def price(name):
                    from .basket import Basket
                    assert Basket
                    return int(PRICES[name])
            """,
            "shop/basket.py": """
                from .prices import price
                from . import prices
                import shop.deep.far as far

                class Basket:
                    def __init__(self, names):
                        self.names = names
                    def total(self):
                        return sum(map(price, self.names)) + far.NOTHING
            """,
            "shop/deep/__init__.py": "",
            "shop/deep/far.py": "from ..prices import PRICES\nfrom .. import basket\nNOTHING = 0\n",
            "shop/lazy.py": "VALUE = 'lazy'\n",
            "shop/data/prices.txt": "tea 3\ncake 4\n",
            "left.py": "import right\ndef one(): return 1\ndef three(): return right.two() + one()\n",
            "right.py": "import left\ndef two(): return left.one() * 2\n",
            "space_without_init/inner.py": "VALUE = 'inner'\n",
        },
    )
    await lab.start("b")
    assert await a.run("""
        import os
        import shop, left
        import space_without_init.inner as inner

        def lazily():
            import shop.lazy as lazy
            import space_without_init.inner as c
            return lazy.VALUE, shop.lazy.VALUE, shop.__getattr__("lazy").VALUE, c.VALUE

        def nothing():
            return hasattr(shop, "nothing")

        result = [
            await there(shop.total, ["tea", "cake"]),
            await there(shop.basket.Basket(["tea"]).total),
            await there(left.three),
            await there(lazily),
            await there(nothing),
            await there(lambda: inner.VALUE),
            await there("shop.total", ["tea", "tea"]),
            shop.__name__,
        ]
    """) == [7, 3, 3, ("lazy", "lazy", "lazy", "inner"), False, "inner", 6, "shop"]
    assert (lab.folder / "log").read_text() == "shop\n" * 2  # once at each


FAULTY = """
    '''A module.'''

    def divide(x):
        y = x - 1
        return x / y  # here it ends

    class Divider:
        def __call__(self, x):
            return divide(x)
"""


async def test_tracebacks_sources_and_breakpoints(lab: Lab):
    a = await lab.start("a", {"faulty.py": FAULTY})
    b = await lab.start("b")
    assert not (b.folder / "faulty.py").exists()
    found = await a.run("""
        import bdb, inspect, sys, traceback
        import faulty

        def look():
            import faulty
            return inspect.getsource(faulty.divide), inspect.getsource(faulty), inspect.getsourcefile(faulty.divide)

        def cell(x):
            return faulty.Divider()(x)  # a line of a cell

        def stop(path, line):
            class Stopper(bdb.Bdb):
                stopped = ()
                def user_line(self, frame):
                    if self.break_here(frame):
                        self.stopped += ((frame.f_code.co_filename, frame.f_lineno, frame.f_locals["x"]),)
                    self.set_continue()
            stopper = Stopper()
            failed = stopper.set_break(path, line)
            try:
                answer = stopper.runcall(faulty.divide, 3)
            finally:
                stopper.clear_all_breaks()
            return failed, stopper.stopped, answer

        def formatted(fn, x):
            try:
                fn(x)
            except ZeroDivisionError:
                return traceback.format_exc()

        try:
            await there(faulty.divide, 1)
        except ZeroDivisionError as error:
            seen = "".join(traceback.format_exception(error))
        result = {
            "source": await there(look),
            "file": faulty.__file__,
            "seen": seen,
            "there": await there(formatted, cell, 1),
            "stopped": await there(stop, faulty.__file__, 5),
            "getsource": await there(inspect.getsource, formatted),
        }
    """)
    path = str(a.folder / "faulty.py")
    assert found["file"] == path
    divide, whole, file = found["source"]
    assert divide == "def divide(x):\n    y = x - 1\n    return x / y  # here it ends\n"
    assert (whole, file) == (textwrap.dedent(FAULTY).lstrip(), path)
    assert f'File "{path}", line 5, in divide\n    return x / y  # here it ends' in found["seen"]
    assert f'File "{path}", line 5, in divide\n    return x / y  # here it ends' in found["there"]
    assert "in cell\n    return faulty.Divider()(x)  # a line of a cell" in found["there"]
    assert found["stopped"] == (None, ((path, 5, 3),), 1.5)
    assert found["getsource"].startswith("def formatted(fn, x):\n    try:\n")


async def test_eight_threads_at_once(lab: Lab):
    """Each module runs once, whoever wants it, and nobody sees half of it."""
    files = {
        f"many/m{at}.py": f"""
            import time
            with open({str(lab.folder / "log")!r}, "a") as log:
                log.write("m{at}\\n")
            from . import m{(at + 1) % 12} as other
            time.sleep(0.01)
            VALUE = {at}
        """
        for at in range(12)
    }
    a = await lab.start("a", {"many/__init__.py": "", **files})
    await lab.start("b")
    assert await a.run("""
        import asyncio
        def value(at):
            import importlib, threading
            found, errors = [], []
            together = threading.Barrier(8)
            def one(at):
                together.wait(20)
                try:
                    module = importlib.import_module(f"many.m{at}")
                    found.append((at, module.VALUE))
                except BaseException as error:
                    errors.append(repr(error))
            threads = [threading.Thread(target=one, args=(at % 12,)) for at in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join(30)
            return sorted(found), errors
        def direct(at):
            # threads of their own have no shipped code above them but their own
            import importlib
            return importlib.import_module(f"many.m{at}").VALUE
        async def alone(at):
            return await there(direct, at)
        singly = await asyncio.gather(*(alone(at) for at in range(8)))
        result = singly, await there(value, 0)
    """) == (list(range(8)), ([(at, at) for at in range(8)], []))
    ran = (lab.folder / "log").read_text().split()
    assert sorted(ran) == sorted(f"m{at}" for at in range(12))  # it never ran at the origin


async def test_a_module_whose_import_raises(lab: Lab):
    a = await lab.start("a", {"settings.py": "LIMIT = 1\n", "broken.py": "VALUE = 1\n"})
    b = await lab.start("b")
    await a.run("""
        import broken, importlib, traceback, pathlib
        def use():
            import broken
            return broken.VALUE
        result = await there(use)
    """)
    a.write(
        {
            "broken.py": """
                import settings, os
                if os.getcwd().endswith("b"):
                    raise LookupError("not on " + "b")
                VALUE = 2
            """
        }
    )
    said = await a.run("""
        importlib.reload(broken)
        said = []
        for _ in range(2):
            try:
                await there(use)
            except LookupError as error:
                said.append("".join(traceback.format_exception(error)))
        result = said
    """)
    for one in said:
        assert f'File "{a.folder / "broken.py"}", line 3, in <module>\n    raise LookupError("not on " + "b")' in one
        assert "\nLookupError: not on b\n" in one
    assert len(said) == 2
    assert "broken" not in await b.ask("modules", "broken")
    a.write({"broken.py": "import settings\nVALUE = 3 + settings.LIMIT\n"})
    assert await a.run("importlib.reload(broken); result = await there(use)") == 4


LOOPS: Any = [{}, {"unix": False}, {"unix": False, "tls": True}]


@pytest.mark.parametrize("options", LOOPS, ids=["unix", "tcp", "tls"])
async def test_nothing_is_imported_on_the_loop(tmp_path: Path, options: dict[str, Any]):
    who = "import threading\nTHREAD = threading.get_ident()\n"
    async with Lab(tmp_path, **options) as lab:
        a = await lab.start(
            "a",
            {
                "first.py": who + "import deeper\n",
                "deeper.py": who,
                "second.py": who,
                "third.py": who,
                "dynamic.py": who + "import beyond\nfrom importlib.resources import files\n",
                "beyond.py": who,
            },
        )
        await lab.start("b")
        loop, first, deeper, second, third, dynamic, beyond = await a.run("""
            import importlib
            from threading import get_ident

            async def by_statement():
                import first
                from deeper import THREAD
                return get_ident(), first.THREAD, THREAD

            class Server(bp.Server):
                def __init__(self):
                    import second
                    self.second = second.THREAD
                @bp.call
                async def threads(self):
                    import third
                    return self.second, third.THREAD

            async def computed():
                module = importlib.import_module("dyna" + "mic")
                return module.THREAD, module.beyond.THREAD

            loop, first, deeper = await there(by_statement)
            server = await Server.start(node="b@127.0.0.1")
            second, third = await server.threads()
            result = loop, first, deeper, second, third, *await there(computed)
        """)
        assert loop not in (first, deeper)
        assert third != loop
        assert second != 0
        assert (dynamic, beyond) == (loop, loop)  # nobody could know, so the loop waits for it, on a socket of its own


async def test_nor_while_another_call_has_it_imported(lab: Lab):
    """The first call's imports are fetched over the connection, by the loop: a second one that waited there for them
    held up what both wait for, until the question had its timeout. Here that is longer than a cell may take."""
    a = await lab.start("a", {"wide.py": "import threading\nTHREAD = threading.get_ident()\n"})
    b = await lab.start("b")
    await b.run("from beampy.code import link\nlink.TIMEOUT, result = 1000.0, None")
    found = await a.run("""
        import asyncio
        from threading import get_ident

        async def where():
            import wide
            return get_ident(), wide.THREAD

        async def outer():
            return await where()

        result = await asyncio.gather(*(there(fn) for fn in (where, where, outer)))
    """)
    [(loop, imported)] = {*found}
    assert loop != imported


async def test_a_name_that_nobody_has(lab: Lab):
    a = await lab.start(
        "a", {"present.py": "try:\n    import absent_there\nexcept ImportError as error:\n    WHY = error.name\n"}
    )
    b = await lab.start("b")
    await b.ask("remember_misses", 60.0)
    assert await a.run("""
        import present
        def missing():
            try:
                import nobody_has_this
            except ModuleNotFoundError as error:
                return error.name
        result = await there(lambda: present.WHY), await there(missing)
    """) == ("absent_there", "nobody_has_this")
    await b.ask("asked")
    assert await a.run("""
        def again():
            import importlib
            said = []
            for name in ("nobody_has_this", "nobody_has_that", "nobody_has_that"):
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError as error:
                    said.append(error.name)
            return said
        result = await there(again)
    """) == ["nobody_has_this", "nobody_has_that", "nobody_has_that"]
    assert await b.ask("asked") == ["entries nobody_has_that"]


async def test_what_an_async_function_can_do_without(lab: Lab):
    """An import that fails is not tried again at each call: that would hold the event loop up."""
    a, b = await lab.start("a"), await lab.start("b")
    await b.ask("remember_misses", 0.0)
    assert await a.run("""
        async def optional():
            try:
                import nobody_has_this
            except ImportError as error:
                return error.name
        result = await there(optional), await there(optional)
    """) == ("nobody_has_this", "nobody_has_this")
    asked = await b.ask("asked")
    assert [each for each in asked if each.endswith("on a socket")] == []
    assert "entries nobody_has_this" in asked


async def test_two_hundred_modules_in_few_questions(lab: Lab):
    files = {
        f"big/m{at:03}.py": f"{f'from . import m{at - 1:03}' if at % 10 else ''}\ndef f{at}(x):\n    return x + {at}\n"
        for at in range(200)
    }
    files["big/__init__.py"] = "".join(f"from . import m{at:03}\n" for at in range(200))
    a, b = await lab.start("a", files), await lab.start("b")
    before = await b.ask("counted")
    warm = """
        result = await there(use, 1)
    """
    assert (
        await a.run("""
        import big
        def use(x):
            return big.m199.f199(x) + len([name for name in vars(big) if name.startswith("m")])
        result = await there(use, 1)
    """)
        == 400
    )
    first = await b.ask("counted")
    assert first[1] - before[1] <= 4
    assert await a.run(warm) == 400
    second = await b.ask("counted")
    # What one more round with plain data costs, from the test and from the origin.
    assert await a.run("result = await there(max, 200, 400)") == 400
    plain = await b.ask("counted")
    assert second[1] == first[1]
    assert first[0] - before[0] > 20_000
    assert second[0] - first[0] <= plain[0] - second[0] + 100


class Script(Place):
    """A folder with a script or a program in it, that is run as people run it."""

    async def output(self, lab: Lab, *arguments: str) -> str:
        env = os.environ | {"PYTHONPATH": _where_beampy_is(), "BEAMPY_COOKIE": lab.cluster.cookie}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=self.folder, env=env, stdout=PIPE
        )
        try:
            return (await asyncio.wait_for(process.communicate(), 30))[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_script_and_its_guard(lab: Lab):
    """Functions of a real script run there, and the script itself does not."""
    b = await lab.start("b")
    script = Script(lab.folder / "script")
    script.write(
        {
            "helper.py": "def double(x):\n    return x * 2\n",
            "script.py": """
                import os
                import beampy as bp
                import helper

                FACTOR = 3
                with open("runs", "a") as runs:
                    runs.write("run\\n")

                def work(x):
                    return helper.double(x) * FACTOR, __name__, os.getpid()

                async def main():
                    *found, pid = await bp.remote_call("b@127.0.0.1", work, 7)
                    print(found, pid == os.getpid(), flush=True)

                if __name__ == "__main__":
                    bp.run(main, name="script@127.0.0.1")
            """,
        }
    )
    assert await script.output(lab, "script.py") == "[42, '__main__'] False\n"
    assert (script.folder / "runs").read_text() == "run\n"
    assert not (b.folder / "runs").exists()


@pytest.mark.parametrize("clash", [False, True])
async def test_a_package_that_is_run_as_a_program(lab: Lab, clash: bool):
    """Its `__main__` imports relatively, in functions too."""
    b = await lab.start("b", {"program/__init__.py": "", "program/words.py": "W = 'no'\n"} if clash else {})
    if clash:
        assert await b.run("import program.words; result = program.words.W") == "no"
    script = Script(lab.folder / "script")
    script.write(
        {
            "program/__init__.py": "",
            "program/words.py": "W = 5\ndef double(x):\n    return x * 2\n",
            "program/other.py": "from . import words\nV = words.W + 1\n",
            "program/__main__.py": """
                import beampy as bp
                from .words import double
                from . import words

                def work(x):
                    from .other import V
                    from . import other
                    import program.other as third
                    return words.double(x), double(x), V, other.V, third.V

                async def later(x):
                    from .words import W
                    return W + x

                async def main():
                    call = bp.remote_call.options(timeout=30)
                    print(await call("b@127.0.0.1", later, 7), await call("b@127.0.0.1", work, 7), flush=True)

                bp.run(main, name="script@127.0.0.1")
            """,
        }
    )
    assert await script.output(lab, "-m", "program") == "12 (14, 14, 6, 6, 6)\n"
