"""`%%on` in a real kernel, with a real node beside it and with pools: as a frontend has it, by Jupyter's protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("on")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel for all tests that leave it as it was."""
    with Kernel(folder, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok("import beampy as bp")
        yield kernel


@pytest.fixture(scope="module")
def b(folder: Path, kernel: Kernel) -> Iterator[Node]:
    """The node `b@localhost`, in a folder of its own."""
    with Node(folder, "b", kernel.env) as node:
        yield node


@pytest.fixture(scope="module")
def pool(kernel: Kernel) -> None:
    """A variable `pool` of the notebook."""
    kernel.ok("pool = bp.Pool(max=1, idle_shutdown_after=None)\nawait pool.call(len, '')")


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def one_line(ran: Ran) -> str:
    """What a cell said that was not right: one line of stderr, and nothing else."""
    assert ran.status == "error"
    [line] = [line for line in plain(ran.err).splitlines() if line.startswith("UsageError")]
    assert (ran.out, ran.displays, ran.traceback) == ("", [], "")
    return line.removeprefix("UsageError: ")


# --- what runs there


def test_a_cell_runs_there_and_its_output_has_the_nodes_name(kernel: Kernel, b: Node):
    ran = kernel.ok("%%on b\nimport os, sys\nprint('said')\nprint('badly', file=sys.stderr)\nos.getpid()")
    assert (ran.out, ran.err) == ("[b] said\n", "[b] badly\n")
    assert ran.shown() == [f"[b] {b.process.pid}"]
    assert ran.value is None  # it is no value of this notebook
    assert kernel.ok("'os' in globals()").value == "False"


def test_variables_in_and_out(kernel: Kernel, b: Node):
    kernel.ok("rows = [3, 1, 2]\ndef best_of(rows): return best(rows)\ndef best(rows): return min(rows)")
    ran = kernel.ok("%%on b@localhost -i rows,best_of -o found\nfound = best_of(rows)\nrows.append(4)")
    assert (ran.out, ran.displays) == ("", [])
    assert kernel.ok("found, rows").value == "(1, [3, 1, 2])"
    assert kernel.ok("%%on b\nrows, found").shown() == ["[b] ([3, 1, 2, 4], 1)"]


def test_definitions_of_there_come_home_and_go_back(kernel: Kernel, b: Node):
    kernel.ok("%%on b\nclass P:\n    def __init__(self, x): self.x = x\n    def twice(self): return 2 * self.x")
    kernel.ok("%%on b -o p,P2\np, P2 = P(4), P\n")
    assert kernel.ok("p.twice(), isinstance(p, P2), P2(5).twice()").value == "(8, True, 10)"
    assert kernel.ok("%%on b -i p\nisinstance(p, P), p.twice()").shown() == ["[b] (True, 8)"]


def test_references_stay_references(kernel: Kernel, b: Node):
    kernel.ok("ref = await bp.put([1, 2, 3], node='b@localhost')")
    kernel.ok("%%on b -i ref -o kind,total\nkind = type(ref).__name__\ntotal = sum(await ref.get())")
    assert kernel.ok("kind, total").value == "('RemoteRef', 6)"
    kernel.ok("%%on b -o there\nimport beampy as bp\nthere = await bp.put([5])")
    assert kernel.ok("there.node, await there.get()").value == "('b@localhost', [5])"


@pytest.mark.parametrize("where", ["b", "pool"])
def test_modules_of_the_notebook_are_imported_there(kernel: Kernel, b: Node, pool: None, where: str):
    (kernel.folder / f"helper_{where}.py").write_text("import os\ndef pid(): return os.getpid()\n")
    kernel.ok(f"%%on {where} -o pid,get\nfrom helper_{where} import pid as get\npid = get()")
    assert kernel.ok("import os; pid != os.getpid(), get() == os.getpid()").value == "(True, True)"
    ran = kernel.run(f"%%on {where}\nimport no_such_module")
    assert ran.error == "ModuleNotFoundError: No module named 'no_such_module'"
    assert "evaluator" not in ran.traceback


@pytest.mark.parametrize("target", ["where", "pid", "ref", "nodes[0]", "'b@localhost'"])
def test_targets(kernel: Kernel, b: Node, target: str):
    kernel.ok("where, nodes = 'b', ['b@localhost']\nref = await bp.put(1, node='b@localhost')")
    kernel.ok("async def sleeps(): await bp.receive()\npid = await bp.spawn(sleeps, node='b@localhost')")
    ran = kernel.ok(f"%%on {target}\nimport os; os.getpid()")
    assert ran.shown() == [f"[b] {b.process.pid}"]


def test_the_notebooks_own_node(kernel: Kernel):
    kernel.ok("here = bp.node()")
    ran = kernel.ok("%%on here -o mine\nimport os\nprint('mine')\nmine = os.getpid()")
    assert re.fullmatch(r"\[notebook-\w+\] mine\n", ran.out)
    assert kernel.ok("import os; mine == os.getpid()").value == "True"


def test_awaiting_cells(kernel: Kernel, b: Node):
    ran = kernel.ok("%%on b\nimport asyncio\nprint('one')\nawait asyncio.sleep(0.01)\nprint('two')\n'three'")
    assert (ran.out, ran.shown()) == ("[b] one\n[b] two\n", ["[b] 'three'"])


def test_output_comes_while_it_runs(kernel: Kernel, b: Node):
    cell = kernel.begin("%%on b\nimport asyncio\ngo = asyncio.Event()\nprint('begun')\nawait go.wait()\nprint('gone')")
    ran = kernel.until(cell, Ran(), lambda ran: "begun" in ran.out)
    assert "gone" not in ran.out
    kernel.interrupt()
    assert kernel.wait(cell).status == "error"


def test_rich_displays(kernel: Kernel, b: Node):
    code = """
        class Page:
            def __repr__(self): return "Page()"
            def _repr_html_(self): return "<b>page</b>"
            def _repr_png_(self): return b"picture"
        print("before")
        display(Page())
        print("after")
        Page()
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    ran = kernel.ok(f"%%on b{lines}")
    kinds = [m["header"]["msg_type"] for m in ran.messages if m["header"]["msg_type"] in ("stream", "display_data")]
    assert kinds == ["stream", "display_data", "stream", "display_data"]
    assert ran.shown() == ["[b] Page()"] * 2
    assert all("[b]" in page and page.endswith("<b>page</b>") for page in ran.shown("text/html"))
    assert ran.shown("image/png")[0].strip() == "cGljdHVyZQ=="


def test_displays_of_libraries_and_updates(kernel: Kernel, b: Node):
    ran = kernel.ok(
        "%%on b\nfrom IPython.display import HTML, display as show\n"
        "handle = show(HTML('<i>one</i>'), display_id=True)\nhandle.update(HTML('<i>two</i>'));"
    )
    assert [page[-10:] for page in ran.shown("text/html")] == ["<i>two</i>"]


def test_logs_and_warnings(kernel: Kernel, b: Node):
    ran = kernel.ok("%%on b\nimport logging, warnings\nlogging.warning('logged')\nwarnings.warn('warned')")
    assert "logged" in ran.err
    assert "UserWarning: warned" in ran.err
    assert "logged" not in b.said


def test_a_semicolon_is_quiet(kernel: Kernel, b: Node):
    ran = kernel.ok("%%on b\n5;")
    assert (ran.out, ran.displays) == ("", [])


def test_what_a_thread_prints_later_is_of_its_cell(kernel: Kernel, b: Node):
    cell = kernel.begin(
        "%%on b\nimport contextvars, threading\ngo = threading.Event()\n"
        "def late():\n    go.wait(30)\n    print('late')\n"
        "threading.Thread(target=contextvars.copy_context().run, args=(late,)).start()"
    )
    ran = kernel.wait(cell)
    then = kernel.ok("%%on b\ngo.set()")
    assert then.out == ""
    for message in then.others:
        if message["parent_header"].get("msg_id") == cell:
            ran.take(message)
    kernel.until(cell, ran, lambda ran: ran.out == "[b] late\n")


# --- what it looks like in the notebook


def test_history_has_the_cell_as_it_was_written(kernel: Kernel, b: Node):
    kernel.ok("%%on b\n'in history'", store_history=True)
    assert "%%on b\n'in history'" in kernel.ok("%history -l 1", store_history=True).out
    kernel.ok("%%on b\n'again'", store_history=True)
    assert kernel.ok("%rerun").shown() == ["[b] 'again'"]
    assert kernel.ok("In[-2]", store_history=True).value is not None
    assert kernel.ok("exec_of_in = [cell for cell in In if 'again' in cell][0]\n'%%on b' in exec_of_in").value == "True"


def test_prompts_that_were_pasted_and_indented_cells(kernel: Kernel, b: Node):
    assert kernel.ok("In [3]: %%on b\n   ...: x = 7\n   ...: x").shown() == ["[b] 7"]
    assert kernel.ok("    %%on b\n    x = 8\n    x").shown() == ["[b] 8"]


def test_as_a_magic_that_is_called(kernel: Kernel, b: Node):
    assert kernel.ok("get_ipython().run_cell_magic('on', 'b', '2 * 3')").shown() == ["[b] 6"]
    assert kernel.ok("'NODE|pool' in get_ipython().find_cell_magic('on').__doc__").value == "True"


# --- what is wrong


def test_an_exception_comes_as_itself_with_the_lines_of_the_cell(kernel: Kernel, b: Node):
    ran = kernel.run("\n# why\n%%on b\ndef f(x):\n    return 1 / x\nf(0)")
    assert ran.error == "ZeroDivisionError: division by zero"
    shown = plain(ran.traceback)
    assert shown.startswith("Traceback of b@localhost (most recent call last):\n")
    assert re.search(r'File "<cell \d+ of notebook-\w+ on b@localhost>", line 6, in <module>\n    f\(0\)', shown)
    assert re.search(r'File "<cell \d+ of notebook-\w+ on b@localhost>", line 5, in f\n    return 1 / x', shown)
    assert "evaluator" not in shown
    assert kernel.ok("1").value == "1"


def test_a_group_of_exceptions(kernel: Kernel, b: Node):
    ran = kernel.run("%%on b\nraise ExceptionGroup('both', [ValueError(1), KeyError(2)])")
    assert ran.error == "ExceptionGroup: both (2 sub-exceptions)"
    assert "Traceback of b@localhost" in plain(ran.traceback)
    assert "| ValueError: 1" in plain(ran.traceback)
    assert "evaluator" not in ran.traceback + ran.err


def test_a_syntax_error_shows_the_line(kernel: Kernel, b: Node):
    ran = kernel.run("%%on b\nx = 1\nx = = 2")
    assert ran.error == "SyntaxError: invalid syntax"
    shown = plain(ran.traceback)
    assert re.match(r' *File "<cell \d+ .*>", line 3\n    x = = 2\n        \^\nSyntaxError', shown)


def test_a_name_of_the_notebook_that_was_not_sent(kernel: Kernel, b: Node):
    kernel.ok("only_here = 1")
    ran = kernel.run("%%on b\nonly_here + 1")
    assert ran.error == "NameError: name 'only_here' is not defined on b@localhost; `-i only_here` sends it from here"
    assert kernel.run("%%on b\nnowhere").error == "NameError: name 'nowhere' is not defined on b@localhost"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%on", "usage: %%on NODE|pool [-i NAMES] [-o NAMES] [-t SECONDS]"),
        ("%%on\n1", "usage: %%on NODE|pool [-i NAMES] [-o NAMES] [-t SECONDS]"),
        ("%%on b", "%%on b: there is no code below it; usage"),
        ("%%on b -q\n1", "%%on has no option '-q'; usage"),
        ("%%on b -i absent\n1", "%%on: -i absent: there is no variable of that name in this notebook"),
        ("%%on 5\n1", "%%on: '5'"),
        ("%%on print\n1", "%%on: there is no 'print' here, and no connection to print@localhost"),
        ("%%on nobody\n1", "%%on: there is no 'nobody' here, and no connection to nobody@localhost"),
        ("%%time\n%%on b\n1", "%%on has to come first: %%time above it would run here and not there"),
    ],
)
def test_one_line_says_what_is_wrong(kernel: Kernel, b: Node, cell: str, said: str):
    if cell == "%%on 5\n1":
        said = "%%on: there is no '5' here, and no connection to 5@localhost"
    assert one_line(kernel.run(cell)).startswith(said)


def test_a_variable_that_is_no_target(kernel: Kernel):
    kernel.ok("number = 5")
    assert one_line(kernel.run("%%on number\n1")).startswith(
        "%%on: 'number' is an int here, and no target; say the name"
    )


def test_a_name_that_the_cell_has_not_set(kernel: Kernel, b: Node):
    ran = kernel.run("%%on b -o set_there,unset\nset_there = 3")
    assert one_line(ran) == "%%on: -o unset: the cell has run on b@localhost, and has not set it"
    assert kernel.ok("set_there").value == "3"


def test_what_cannot_travel_is_named(kernel: Kernel, b: Node):
    kernel.ok("import threading; lock = threading.Lock()")
    ran = kernel.run("%%on b -i lock\n1")
    assert (ran.error or "").startswith("EncodeError: %%on: -i lock, lock <unlocked")
    ran = kernel.run("%%on b -o its_lock\nimport threading; its_lock = threading.Lock()")
    assert (ran.error or "").startswith("EncodeError: %%on: -o its_lock, lock <unlocked")
    assert kernel.ok("'its_lock' in globals()").value == "False"


def test_large_values_are_told_of(kernel: Kernel, b: Node):
    kernel.ok("large = bytes(20_000_000)")
    ran = kernel.ok("%%on b -i large -o larger\nlarger = large + bytes(10_000_000)\nsmall = 1")
    assert ran.err.startswith("%%on: large is 20 MB, and all of it goes along, each time; ")
    assert "[b] larger is 30 MB, and all of it goes to the notebook; larger = await bp.put(larger) keeps" in ran.err
    assert kernel.ok("len(larger)").value == "30000000"


def test_a_deadline(kernel: Kernel, b: Node):
    ran = kernel.run("%%on b -t 0.2\nimport asyncio\nawait asyncio.sleep(3600)")
    assert (ran.error or "").startswith("CallTimeout: this cell on b@localhost did not answer within 0.2 s")


@pytest.mark.parametrize(
    "loop",
    ["import time\n    while True: time.sleep(0.01)", "import asyncio\n    while True: await asyncio.sleep(3600)"],
)
def test_an_interrupt_cancels_it_there(kernel: Kernel, b: Node, loop: str):
    kernel.ok("%%on b\nended = False")
    cell = kernel.begin(f"%%on b\ntry:\n    print('begun')\n    {loop}\nfinally:\n    ended = True")
    ran = kernel.until(cell, Ran(), lambda ran: "begun" in ran.out)
    kernel.interrupt()
    ran = kernel.wait(cell)
    assert ran.status == "error"
    kernel.ok("%%on b -o ended\nimport asyncio\nwhile not ended: await asyncio.sleep(0.01)")
    assert kernel.ok("ended").value == "True"


def test_the_kernels_loop_is_free_meanwhile(kernel: Kernel, b: Node):
    kernel.ok(
        "import asyncio\nticks = 0\nasync def tick():\n    global ticks\n    while True:\n"
        "        await asyncio.sleep(0)\n        ticks += 1\nticking = asyncio.ensure_future(tick())"
    )
    kernel.ok("before = ticks")
    kernel.ok("%%on b\nimport time; time.sleep(0.1)")
    assert kernel.ok("ticking.cancel(); ticks > before").value == "True"


# --- completion


def completions(kernel: Kernel, text: str) -> list[str]:
    """What Tab offers at the end of the first line."""
    found = kernel.complete(text, len(text.partition("\n")[0]))
    matches: list[str] = found["matches"]
    return matches


def test_arguments_complete(kernel: Kernel, b: Node, pool: None):
    kernel.ok("%%on b\n1;")
    kernel.ok("rows_of_mine = 1")
    offered = completions(kernel, "%%on ")
    assert "b@localhost" in offered
    assert "pool" in offered
    assert "rows_of_mine" not in offered
    assert completions(kernel, "%%on b@lo") == ["b@localhost"]
    assert completions(kernel, "%%on b -i rows_of") == ["rows_of_mine"]
    assert completions(kernel, "%%on b -o \nbest = 1\nworst = 2") == ["best", "worst"]
    assert completions(kernel, "%%on b --t") == ["--timeout"]


# --- pools


def test_a_cell_on_a_pool(kernel: Kernel, pool: None):
    kernel.ok("factor = 3\ndef scaled(x): return x * factor")
    ran = kernel.ok("%%on pool -i scaled -o pid\nimport os\nprint('there')\npid = os.getpid()\nscaled(2)")
    assert ran.out == "[runner-1] there\n"
    assert ran.shown() == ["[runner-1] 6"]
    assert kernel.ok("import os; pid != os.getpid()").value == "True"


def test_each_cell_on_a_pool_begins_anew(kernel: Kernel, pool: None):
    kernel.ok("%%on pool\nleft = 1")
    ran = kernel.run("%%on pool\nleft")
    assert (ran.error or "").startswith(
        "NameError: name 'left' is not defined on a runner of the pool, where each cell"
    )
    ran = kernel.run("%%on pool\n1 / 0")
    assert plain(ran.traceback).startswith('Traceback of a runner of the pool (most recent call last):\n  File "<cell')


def test_classes_of_a_pools_cell_come_home(kernel: Kernel, pool: None):
    kernel.ok("%%on pool -o q\nclass Q:\n    x = 5\nq = Q()")
    assert kernel.ok("q.x").value == "5"
    kernel.ok("%%on pool -i q -o same\nsame = q")
    assert kernel.ok("type(same) is type(q)").value == "True"


def test_options_and_deadlines_on_a_pool(kernel: Kernel, pool: None):
    assert kernel.ok("%%on pool.options(priority=3)\n'as ever'").shown() == ["[runner-1] 'as ever'"]
    ran = kernel.run("%%on pool -t 0.2\nimport asyncio\nawait asyncio.sleep(3600)")
    assert (ran.error or "").startswith("PoolTimeout: ")
    assert "this cell" in (ran.error or "")
    assert (ran.error or "").endswith("%%on … -t SECONDS gives it another deadline")


def test_a_pool_whose_runners_are_processes(kernel: Kernel):
    kernel.ok("forked = bp.Pool(max=1, isolation='process')\nawait forked.call(len, '')")
    ran = kernel.ok("%%on forked -o x\nprint('there')\nx = 6 * 7\nx")
    assert (ran.out, ran.shown()) == ("[runner-1] there\n", ["[runner-1] 42"])
    assert kernel.ok("x").value == "42"


def test_an_interrupt_on_a_pool(kernel: Kernel, pool: None):
    cell = kernel.begin("%%on pool\nimport asyncio\nprint('begun')\nawait asyncio.sleep(3600)")
    kernel.until(cell, Ran(), lambda ran: "begun" in ran.out)
    kernel.interrupt()
    assert kernel.wait(cell).status == "error"
    assert kernel.ok("%%on pool\n'usable'").shown() == ["[runner-1] 'usable'"]
