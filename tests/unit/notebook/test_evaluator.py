"""The evaluator: what cells do on the node that runs them, by way of a call as the notebook makes it."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core.group_leader import STDERR, Bundle
from beampy.errors import CallKilled, CodeRefused, RemoteError
from beampy.notebook import evaluator
from beampy.notebook.evaluator import Cell, Gave, Owner, ends_quietly, module_name, namespace_of
from beampy.otp.rpc import remote_call
from tests.unit.core.test_group_leader import until
from tests.unit.otp.leader_ground import leading

NOTEBOOK = Owner("notebook-1@localhost", 7)
EVALUATE = "beampy.notebook.evaluator:evaluate"


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No namespace, no module and no line of one cell outlives its test."""

    async def watched(owner: Owner) -> None:
        """The notebook's node is there for all of the test."""

    monkeypatch.setattr(evaluator, "watch", watched)
    yield
    for spaces in (evaluator._kept, evaluator._fresh):
        while spaces:
            spaces.popitem()[1].end()
    assert not [name for name in sys.modules if name.startswith("cells_of_")]
    assert not [name for name in linecache.cache if name.startswith("<cell ")]


async def run(
    body: str, *receive: str, owner: Owner = NOTEBOOK, keep: bool = True, number: int = 3, **send: Any
) -> Gave:
    """Run a cell on this node."""
    cell = Cell(f"# a comment\n%%on b\n{body}", 2, number, send, receive)
    gave: Gave = await remote_call(bp.node(), EVALUATE, cell, owner, keep)
    return gave


def shown(recorder: Any) -> list[str]:
    """The text of what was displayed."""
    return [message.data["text/plain"] for message in recorder.got if isinstance(message, Bundle)]


# --- values


@leading
async def test_the_last_expression_is_shown_and_what_is_asked_for_comes_back(recorder):
    assert await run("y = x + 1\ny * 2", "y", x=1) == Gave({"y": 2}, ())
    assert shown(recorder) == ["4"]
    assert await run("_", "_") == Gave({"_": 4}, ())


@leading
async def test_names_stay_from_cell_to_cell(recorder):
    await run("def f(): return g() + 1")
    await run("def g(): return 1")
    assert (await run("x = f()", "x")).values == {"x": 2}
    assert namespace_of(NOTEBOOK.node)["x"] == 2  # type: ignore[index]
    assert namespace_of("another@localhost") is None


@leading
async def test_notebooks_do_not_see_each_other(recorder):
    await run("x = 1")
    with pytest.raises(NameError, match="'x'"):
        await run("x", owner=Owner("notebook-2@localhost", 7))
    with pytest.raises(NameError, match="'x'"):  # a kernel of the same name, started again
        await run("x", owner=NOTEBOOK._replace(creation=8))


@leading
async def test_without_keeping_each_cell_begins_anew(recorder):
    assert (await run("class P: pass\np = P()", "p", keep=False)).values["p"].__class__.__name__ == "P"
    with pytest.raises(NameError, match="'p'"):
        await run("p", keep=False)
    assert namespace_of(NOTEBOOK.node) is None


@leading
async def test_what_was_asked_for_and_not_made_is_named(recorder):
    assert await run("a = 1", "a", "b") == Gave({"a": 1}, ("b",))


@pytest.mark.parametrize("body", ["", "# nothing", "None", "x = 1", "5;", "5; # said", "await_ = 5;\n\n"])
async def test_what_shows_nothing(body: str):
    @leading
    async def shows_nothing(recorder):
        await run(body)
        assert recorder.got == []

    await shows_nothing()


@pytest.mark.parametrize(
    ("body", "quiet"),
    [("x;", True), ("x ;  # c", True), ("x", False), ("';'", False), ("x # ;", False), ("x;\n\n", True), ("(;", False)],
)
def test_a_semicolon_at_the_end(body: str, quiet: bool):
    assert ends_quietly(body) is quiet


# --- where it runs


@leading
async def test_code_runs_in_a_thread_and_awaiting_code_on_the_loop(recorder):
    thread = "import threading\nhere = threading.get_ident()"
    assert (await run(f"{thread}\nimport asyncio\nawait asyncio.sleep(0)", "here")).values["here"] == (
        threading.get_ident()
    )
    if not hasattr(api.self_process().node.loop, "scheduler_clock"):  # the simulated loop has no threads
        assert (await run(thread, "here")).values["here"] != threading.get_ident()


@leading
async def test_await_in_any_place(recorder):
    await run("import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x")
    assert (await run("x = await f(2)\nx", "x")).values == {"x": 2}
    assert (await run("y = 1\nawait f(y)", "_")).values == {"_": 1}
    assert (await run("async with asyncio.timeout(9):\n    z = [await f(i) for i in range(3)]", "z")).values["z"] == (
        [0, 1, 2]
    )
    assert (await run("f(1).close()\nf", "f")).values["f"].__name__ == "f"


@leading
async def test_a_coroutine_as_a_value_is_shown_and_not_run(recorder):
    await run("async def f(): pass\nc = f()\nc")
    assert shown(recorder)[0].startswith("<coroutine object f")
    await run("c.close()")


@leading
async def test_cancelling_reaches_awaiting_code(recorder):
    cell = Cell(
        "%%on b\nimport asyncio\nstep = 1\ntry:\n    await asyncio.sleep(3600)\nfinally:\n    step = 2", 1, 1, {}, ()
    )
    call = remote_call(bp.node(), EVALUATE, cell, NOTEBOOK, True)
    await until(lambda: (namespace_of(NOTEBOOK.node) or {}).get("step") == 1)
    call.cancel()
    await until(lambda: namespace_of(NOTEBOOK.node)["step"] == 2)


@pytest.mark.loops("asyncio", "uvloop")  # threads
@leading
async def test_cancelling_reaches_a_loop_in_a_thread(recorder):
    cell = Cell("%%on b\ntry:\n    step = 0\n    while True: step += 1\nfinally:\n    ended = True", 1, 1, {}, ())
    call = remote_call(bp.node(), EVALUATE, cell, NOTEBOOK, True)
    await until(lambda: (namespace_of(NOTEBOOK.node) or {}).get("step", 0) > 100)
    call.cancel()
    await until(lambda: "ended" in namespace_of(NOTEBOOK.node))


# --- what is wrong


@leading
async def test_lines_are_those_of_the_cell(recorder):
    with pytest.raises(ZeroDivisionError) as raised:
        await run("x = 1\ndef f():\n    return x / 0\nf()", number=9)
    text = str(raised.value.__cause__)
    file = f"<cell 9 of notebook-1 on {bp.node()}>"
    assert f'File "{file}", line 6, in <module>\n    f()' in text
    assert f'File "{file}", line 5, in f\n    return x / 0' in text


@leading
async def test_a_syntax_error_names_the_line_of_the_cell(recorder):
    with pytest.raises(SyntaxError) as raised:
        await run("x = 1\ny = = 2")
    assert (raised.value.lineno, (raised.value.text or "").rstrip()) == (4, "y = = 2")
    with pytest.raises(SyntaxError, match="outside function") as raised:
        await run("return 1")
    assert raised.value.lineno == 3


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("%time x", "%time"),
        ("!ls -l", "!ls"),
        ("%%time", "%%time"),
        ("!{command} -l", "!{command}"),
        ("files = !ls -l", "!ls"),
        ("a, b['c'] = !ls", "!ls"),
        ("t = %time f(x)", "%time"),
        ("if x: %time f(x)", None),
        ("for a in b:\n    %time f(a)", "%time"),
        ("x.y?", "x.y?"),
        ("??x", "??x"),
    ],
)
async def test_magics_are_the_notebooks(line: str, named: str | None):
    @leading
    async def refuses(recorder):
        with pytest.raises(SyntaxError) as raised:
            await run(f"x = 1\n{line}")
        where = f"do not work in a cell that runs on {bp.node()}"
        told = f"{named} is IPython's: magics and lines of the shell {where}"
        assert raised.value.msg == ("invalid syntax" if named is None else told)
        *_, wrong = line.split("\n")
        assert (raised.value.lineno, (raised.value.text or "").rstrip("\n")) == (4 + line.count("\n"), wrong)
        if named is not None:
            assert wrong[(raised.value.offset or 0) - 1 :].startswith(named)

    await refuses()


@pytest.mark.parametrize("line", ["x = = 2", "x = {a: !b}", "x != = 2", "f(?)", "x = y !z", "1 %% 2"])
async def test_what_is_just_wrong_is_no_magic(line: str):
    @leading
    async def refuses(recorder):
        with pytest.raises(SyntaxError) as raised:
            await run(line)
        assert "IPython" not in raised.value.msg

    await refuses()


@leading
async def test_percent_signs_and_exclamation_marks_of_python(recorder):
    assert (await run("x = (7\n% 4)\ny = '''\n!ls\n'''\nz = x != 2", "x", "z")).values == {"x": 3, "z": True}


@leading
async def test_nobody_sits_there(recorder):
    with pytest.raises(RuntimeError, match=r"input\(\) asks who sits at the notebook"):
        await run("input('name? ')")


@leading
async def test_a_failed_cell_keeps_what_it_has_done(recorder):
    with pytest.raises(ZeroDivisionError):
        await run("done = 1\n1 / 0\ndone = 2")
    assert (await run("", "done")).values == {"done": 1}


@leading
async def test_exits_are_the_cells_own(recorder):
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        await run("import sys\nsys.exit(3)")
    with pytest.raises(CallKilled, match="'bye'"):
        await run("import beampy as bp\nbp.exit('bye')")
    assert (await run("x = 1", "x")).values == {"x": 1}


@leading
async def test_a_node_that_takes_no_code_takes_no_cells(recorder, monkeypatch: pytest.MonkeyPatch):
    class Refusing:
        accept = False

        def __getattr__(self, name: str) -> Any:
            return getattr(code, name)

    node = api.self_process().node
    code = node.code
    cell = Cell("%%on b\nx = 1", 1, 1, {}, ())
    monkeypatch.setattr(node, "code", Refusing())
    with pytest.raises(CodeRefused, match="accepts no code"):
        evaluator.evaluate(cell, NOTEBOOK, True)
    assert namespace_of(NOTEBOOK.node) is None


@leading
async def test_the_nodes_own_log_says_whose_code_runs(recorder, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "beampy.notebook"):
        await run("1;")
    assert [record.getMessage() for record in caplog.records] == ["cell 3 of notebook-1@localhost runs here"]
    assert recorder.got == []


# --- definitions


@leading
async def test_definitions_have_a_module_and_a_source(recorder):
    await run("def f(x):\n    return x  # here\n")
    await run("class P:\n    def twice(self):\n        return 2\n")  # with the same number
    names = namespace_of(NOTEBOOK.node) or {}
    assert names["f"].__module__ == names["P"].__module__ == names["__name__"] == "cells_of_notebook_1"
    assert sys.modules["cells_of_notebook_1"].__dict__ is names
    assert inspect.getsource(names["f"]) == "def f(x):\n    return x  # here\n"
    assert inspect.getsource(names["P"].twice) == "    def twice(self):\n        return 2\n"


@leading
async def test_modules_are_named_after_the_notebooks_node(recorder):
    assert module_name("notebook-5fd0@localhost") == "cells_of_notebook_5fd0"
    assert module_name("a@10.0.0.2") == "cells_of_a_10_0_0_2"


@leading
async def test_future_imports_last_from_cell_to_cell(recorder):
    await run("from __future__ import annotations\n1")
    await run("def f(x: unknown): pass")
    assert (await run("a = f.__annotations__", "a")).values == {"a": {"x": "unknown"}}
    with pytest.raises(NameError, match="unknown"):
        await run("def f(x: unknown): pass", keep=False)


# --- bounds and ends


@leading
async def test_a_namespace_ends(recorder):
    await run("class P: pass")
    evaluator.forget(NOTEBOOK._replace(creation=8))  # another one
    assert namespace_of(NOTEBOOK.node) is not None
    evaluator.forget(NOTEBOOK)
    evaluator.forget(NOTEBOOK)
    assert namespace_of(NOTEBOOK.node) is None
    assert "cells_of_notebook_1" not in sys.modules
    assert not [name for name in linecache.cache if name.startswith("<cell ")]


@leading
async def test_the_namespaces_of_one_node_are_bounded(recorder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evaluator, "NAMESPACES", 2)
    monkeypatch.setattr(evaluator, "FRESH", 2)
    monkeypatch.setattr(evaluator, "SOURCES", 2)
    for number in range(4):
        await run("x = 1", owner=Owner(f"n{number}@localhost", 1), number=number)
        await run("x = 1", number=number, keep=False)
    assert list(evaluator._kept) == ["n2@localhost", "n3@localhost"]
    assert len(evaluator._fresh) == 2
    assert sum(name.startswith("cells_of_") for name in sys.modules) == 4
    for number in range(10, 15):
        await run("x = 1", owner=Owner("n3@localhost", 1), number=number)
    mine = [name for name in linecache.cache if name.startswith("<cell ") and " of n3 " in name]
    assert [name.split()[1] for name in mine] == ["13", "14"]


@leading
async def test_a_large_value_is_told_of_before_it_travels(recorder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evaluator, "LARGE", 1000)
    await run("small, large = b'', bytes(2000)", "small", "large")
    assert recorder.text(STDERR) == (
        "large is 2 kB, and all of it goes to the notebook; large = await bp.put(large) keeps it here, and sends a "
        "reference\n"
    )


@pytest.mark.loops("asyncio", "uvloop")  # threads
@leading
async def test_cells_of_one_notebook_may_run_at_once(recorder):
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(_one(number))
    names = namespace_of(NOTEBOOK.node) or {}
    assert all(names[f"x{number}"] == number for number in range(20))


async def _one(number: int) -> None:
    await run(f"x{number} = {number}", number=number)
