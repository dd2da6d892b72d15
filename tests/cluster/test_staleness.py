"""Code that changes at its origin: what runs elsewhere at the next call, and what goes on as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.origins import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

CHAIN = {
    "top.py": "import mid\ndef value():\n    return 'top', *mid.value()\n",
    "mid.py": "import deep\ndef value():\n    return 'mid', deep.VALUE\n",
    "deep.py": "VALUE = 1\n",
    "apart.py": "TOKEN = object()\ndef same(token=[]):\n    token.append(id(TOKEN))\n    return len(set(token)) == 1\n",
}


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


async def test_an_edit_and_a_reload(lab: Lab):
    a, b = await lab.start("a", CHAIN), await lab.start("b")
    assert await a.run("""
        import importlib
        import top, mid, deep, apart

        def held():
            return top.value()

        def inside():
            import top
            from deep import VALUE
            return (*top.value(), VALUE)

        async def awaited():
            import top
            return top.value()

        result = [await there(each) for each in (top.value, held, inside, awaited, apart.same)]
    """) == [("top", "mid", 1), ("top", "mid", 1), ("top", "mid", 1, 1), ("top", "mid", 1), True]
    a.write({"deep.py": "VALUE = 'two'\n"})
    assert await a.run("""
        importlib.reload(deep)
        result = [await there(each) for each in (top.value, held, inside, awaited, apart.same)]
    """) == [("top", "mid", "two"), ("top", "mid", "two"), ("top", "mid", "two", "two"), ("top", "mid", "two"), True]
    a.write({"top.py": "import mid\ndef value():\n    return 'TOP', *mid.value()\n"})
    await b.ask("asked")
    assert await a.run("""
        importlib.reload(top)
        result = await there(inside)
    """) == ("TOP", "mid", "two", "two")
    assert len(await b.ask("asked")) == 2  # what there is, and its source
    assert await a.run("""
        importlib.reload(deep)  # nothing was edited
        result = await there(top.value), await there(inside)
    """) == (("TOP", "mid", "two"), ("TOP", "mid", "two", "two"))
    assert [each.split()[0] for each in await b.ask("asked")] == ["entries"]
    assert await a.run("result = await there(top.value), await there(inside)")
    assert await b.ask("asked") == []
    assert await a.ask("warned") == []


async def test_only_in_the_body_of_a_function(lab: Lab):
    """A module that only functions sent elsewhere import: it cannot be reloaded here, so its file counts."""
    a = await lab.start("a", {"remote_only.py": "VALUE = 1\n"})
    await lab.start("b")
    assert await a.run("""
        import sys
        def use():
            import remote_only
            return remote_only.VALUE
        async def use_too():
            from remote_only import VALUE
            return VALUE
        result = await there(use), await there(use_too), "remote_only" in sys.modules
    """) == (1, 1, False)
    a.write({"remote_only.py": "VALUE = 'two'\n"})
    assert await a.run("result = await there(use), await there(use_too)") == ("two", "two")


async def test_an_edit_without_a_reload(lab: Lab):
    """The old code runs there as it does here, and the origin says so once."""
    a = await lab.start("a", CHAIN)
    await lab.start("b")
    assert await a.run("""
        import top, mid, deep
        result = await there(top.value)
    """) == ("top", "mid", 1)
    a.write({"top.py": "import mid\ndef value():\n    return 'edited', *mid.value()\n", "deep.py": "VALUE = 'two'\n"})
    assert await a.run("""
        import asyncio
        found = []
        for _ in range(4):
            found.append(await there(top.value) == top.value())
            await asyncio.sleep(0.3)  # longer than a look at a file is good for
        result = found, top.value()
    """) == ([True] * 4, ("top", "mid", 1))
    warned = await a.ask("warned")
    assert len([each for each in warned if each.startswith("top (")]) == 1
    assert "was edited after it was imported" in warned[0]
    assert "importlib.reload(top) sends the new code" in warned[0]
    assert len(warned) <= 2


async def test_a_function_by_its_name(lab: Lab):
    """By its name it runs as its file is now: as it does where nobody has imported it."""
    a = await lab.start("a", {"named.py": "def value():\n    return 1\n", "loaded.py": "def value():\n    return 1\n"})
    await lab.start("b")
    assert await a.run("""
        import importlib
        import loaded
        result = await there("named.value"), await there("named:value"), await there("loaded.value")
    """) == (1, 1, 1)
    a.write({"named.py": "def value():\n    return 'two'\n", "loaded.py": "def value():\n    return 'two'\n"})
    assert await a.run("""
        result = await there("named.value"), await there("named:value")
    """) == ("two", "two")
    # As itself it is what was imported; by its name, what the file is: both, one beside the other, for as long.
    assert await a.run("""
        import asyncio
        await asyncio.sleep(0.3)  # longer than a look at a file is good for
        result = await there("loaded.value"), await there(loaded.value), await there("loaded:value")
    """) == ("two", 1, "two")
    assert [each.split()[0] for each in await a.ask("warned")] == ["loaded"]
    assert await a.run("""result = importlib.reload(loaded) and await there("loaded.value")""") == "two"


async def test_taken_out_of_sys_modules_and_imported_again(lab: Lab):
    a = await lab.start("a", CHAIN)
    await lab.start("b")
    assert await a.run("""
        import sys
        import top
        result = await there(top.value)
    """) == ("top", "mid", 1)
    a.write({"deep.py": "VALUE = 'two'\n", "top.py": "import mid\ndef value():\n    return 'TOP', *mid.value()\n"})
    assert await a.run("""
        for name in ("top", "mid", "deep"):
            del sys.modules[name]
        import top
        result = await there(top.value)
    """) == ("TOP", "mid", "two")


async def test_what_was_imported_from_a_module_before_its_reload(lab: Lab):
    """It goes on as it does here: the old function, in the globals of the module that is there now."""
    a = await lab.start(
        "a",
        {"kept.py": "VALUE = 1\ndef f():\n    return 'old', VALUE\nclass C:\n    def f(self):\n        return 'old'\n"},
    )
    await lab.start("b")
    source = "VALUE = 'two'\ndef f():\n    return 'new', VALUE\nclass C:\n    def f(self):\n        return 'new'\n"
    assert await a.run("""
        import importlib
        import kept
        from kept import f, C
        instance = C()
        def use():
            return f(), C().f()
        result = await there(f), await there(use), await there(instance.f)
    """) == (("old", 1), (("old", 1), "old"), "old")
    a.write({"kept.py": source})
    assert await a.run("""
        importlib.reload(kept)
        def kinds(one):
            return isinstance(one, kept.C), isinstance(one, C), one.f()
        result = [
            [await there(f), f()],
            [await there(use), use()],
            [await there(instance.f), instance.f()],
            [await there(kept.f), kept.f()],
            [await there(kinds, instance), kinds(instance)],
            [await there(kinds, kept.C()), kinds(kept.C())],
        ]
    """) == [
        [("old", "two")] * 2,
        [(("old", "two"), "old")] * 2,
        ["old"] * 2,
        [("new", "two")] * 2,
        [(False, True, "old")] * 2,
        [(True, False, "new")] * 2,
    ]


async def test_running_calls_and_servers_keep_what_they_have(lab: Lab):
    a = await lab.start(
        "a",
        {
            "slow.py": """
                import asyncio, os, time
                import beampy as bp
                VALUE = 1
                def more():
                    return VALUE
                async def wait(path):
                    before = VALUE
                    while not os.path.exists(path):
                        await asyncio.sleep(0.01)
                    return before, VALUE, more()
                def wait_in_a_thread(path):
                    before = VALUE
                    while not os.path.exists(path):
                        time.sleep(0.01)
                    return before, VALUE, more()
                class Counter(bp.Server):
                    def __init__(self):
                        self.count = 0
                    @bp.call
                    async def add(self):
                        self.count += VALUE
                        return self.count, more()
            """
        },
    )
    await lab.start("b")
    flag = str(lab.folder / "flag")
    assert await a.run(
        """
        import importlib, pathlib
        import slow
        B = "b@127.0.0.1"
        waiting = [bp.remote_call.options(timeout=60)(B, fn, $flag) for fn in (slow.wait, slow.wait_in_a_thread)]
        counter = await slow.Counter.start(node=B)
        first = await counter.add(), await there(slow.more)
        path = pathlib.Path("slow.py")
        path.write_text(path.read_text().replace("VALUE = 1\\n", "VALUE = 100\\n"))
        importlib.reload(slow)
        newer = await slow.Counter.start(node=B)
        second = await there(slow.more), await counter.add(), await newer.add(), await counter.add()
        pathlib.Path($flag).touch()
        result = first, second, [await each for each in waiting]
    """,
        flag=flag,
    ) == (((1, 1), 1), (100, (2, 1), (100, 100), (3, 1)), [(1, 1, 1), (1, 1, 1)])


async def test_old_versions_are_freed(lab: Lab):
    text = """
        class Token:
            pass
        class Held{number}(Token):
            def me(self):
                return {number}
        TOKEN = Held{number}()
        def me():
            return TOKEN.me()
    """
    a = await lab.start("a", {"freed.py": text.format(number=0)})
    b = await lab.start("b")
    assert await a.run("""
        import importlib
        import freed
        def use():
            import freed
            return freed.me()
        result = await there(freed.me), await there(use)
    """) == (0, 0)
    for number in range(1, 4):
        a.write({"freed.py": text.format(number=number)})
        assert await a.run("importlib.reload(freed); result = await there(freed.me), await there(use)") == (number,) * 2
    assert [await b.ask("alive", f"Held{number}") for number in range(4)] == [0, 0, 0, 1]
    for number in range(4):
        assert (
            await a.run(
                """
            class Cell{number}:
                pass
            KEPT = [Cell{number}()]
            def me(KEPT=None):
                return len(globals()["KEPT"]) if KEPT else len(HERE)
            HERE = KEPT
            result = await there(me)
        """.replace("{number}", str(number))
            )
            == 1
        )
    assert [await b.ask("alive", f"Cell{number}") for number in range(4)] == [0, 0, 0, 1]


async def test_redefined_before_the_first_call_returns(lab: Lab):
    a = await lab.start("a", {"quick.py": "def value():\n    return 1\n"})
    await lab.start("b")
    assert await a.run("""
        import asyncio
        B, calls = "b@127.0.0.1", []
        for number in range(6):
            exec(f"def helper(): return {number}\\ndef f(): return helper()", globals())
            calls.append(bp.remote_call.options(timeout=60)(B, f))
        result = [await each for each in calls]
    """) == list(range(6))
    sent = await a.run("""
        import importlib, os, pathlib
        import quick
        sent = []
        for number in range(2, 5):
            sent.append(bp.remote_call.options(timeout=60)(B, quick.value))
            pathlib.Path("quick.py").write_text("def value():\\n    return " + "0" * 0 + str(10 ** number) + "\\n")
            importlib.reload(quick)
        sent.append(bp.remote_call.options(timeout=60)(B, quick.value))
        result = [await each for each in sent]
    """)
    assert sent[-1] == 10_000
    assert set(sent) <= {1, 100, 1000, 10_000}
    assert sent == sorted(sent)


async def test_attributes_that_were_replaced_from_outside(lab: Lab):
    """A function that was put into a module goes as what it is; the module itself goes as its source."""
    a = await lab.start("a", {"patched.py": "LIMIT = 1\ndef f():\n    return 'own'\ndef g():\n    return f(), LIMIT\n"})
    await lab.start("b")
    assert await a.run("""
        import patched
        first = await there(patched.f), await there(patched.g)
        def other():
            return "other"
        patched.f = other
        patched.LIMIT = 2
        def use():
            return patched.f()
        result = first, await there(patched.f), await there(patched.g), patched.g()
    """) == (("own", ("own", 1)), "other", ("own", 1), ("other", 2))


async def test_a_module_that_is_written_after_it_was_missed(lab: Lab):
    """What was not there a moment ago is asked for again, as an import statement looks again here."""
    a = await lab.start("a", {"pack/__init__.py": "", "other.py": "VALUE = 0\n"})
    b = await lab.start("b")
    await b.ask("remember_misses", 0.0)
    assert await a.run("""
        import pack
        def use():
            try:
                import written
                from pack import later
            except ImportError as error:
                return error.name
            return written.VALUE, later.VALUE
        result = await there(use), use()
    """) == ("written", "written")
    a.write({"written.py": "import other\nVALUE = 1 + other.VALUE\n"})
    found = await a.run("""
        import importlib
        importlib.invalidate_caches()
        result = await there(use), use()
    """)
    assert found == ("pack", "pack")
    a.write({"pack/later.py": "VALUE = 2\n"})
    assert await a.run("importlib.invalidate_caches(); result = await there(use), use()") == ((1, 2), (1, 2))


async def test_reloads_while_many_call(lab: Lab):
    """Whoever calls while a module changes gets one of its versions, and no error."""
    a = await lab.start(
        "a", {**CHAIN, "busy.py": "import deep\nfrom deep import VALUE\ndef value():\n    return VALUE\n"}
    )
    await lab.start("b")
    found = await a.run("""
        import asyncio, importlib, pathlib
        import busy, deep, top

        def inside():
            import busy
            from deep import VALUE
            return busy.value()

        found, going = [], True
        async def calls(fn):
            while going:
                found.append((await there(fn))[-1] if fn is top.value else await there(fn))

        async def edits():
            global going
            for number in range(2, 22):
                # Each text longer than the one before: Python takes compiled code of this second and size as it is.
                pathlib.Path("deep.py").write_text(f"VALUE = {number ** 5}  # {'=' * number}\\n")
                importlib.reload(deep)
                importlib.reload(busy)
                await asyncio.sleep(0.02)
            going = False

        await asyncio.gather(edits(), *(calls(fn) for fn in (busy.value, inside, lambda: deep.VALUE, inside)))
        result = found, await there(busy.value), await there(inside), await there(lambda: deep.VALUE)
    """)
    assert found[1:] == (21**5,) * 3
    assert set(found[0]) <= {number**5 for number in range(1, 22)}
    assert len(set(found[0])) > 3
