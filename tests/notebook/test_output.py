"""What code on other nodes prints, logs and displays: in the cell that made the call, whatever runs meanwhile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

SETUP = """
import beampy as bp, asyncio, contextvars, logging, pathlib, sys, threading, time, warnings
from pathlib import Path
pool = bp.Pool(max=2)

def until_there(path, seconds=30):
    end = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > end: raise TimeoutError(path)
        time.sleep(0.005)

def says(*lines, after=None):
    if after: until_there(after)
    for line in lines: print(line)
    return len(lines)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok(SETUP)
        yield kernel


@pytest.fixture(scope="module")
def b(folder: Path, kernel: Kernel) -> Iterator[Node]:
    with Node(folder, "b", kernel.env) as node:
        yield node


def in_order(ran: Ran) -> list[str]:
    """What stands in a cell from top to bottom: texts, and the plain text of displays and of the value."""
    found: list[str] = []
    for message in ran.messages:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            found += content["text"].splitlines()
        elif kind in ("display_data", "execute_result") and not is_card(content):
            found.append(content["data"]["text/plain"])
    return found


def is_card(display: dict[str, Any]) -> bool:
    """A pool's live card, which comes by itself when a call takes long."""
    return "bp-card" in display["data"].get("text/html", "")


def displays(ran: Ran) -> list[dict[str, Any]]:
    """Without cards, as they stand there now."""
    newest = {update["transient"]["display_id"]: update for update in ran.updates}
    shown = [newest.get((one.get("transient") or {}).get("display_id"), one) for one in ran.displays]
    return [one["data"] for one in shown if not is_card(one)]


def unlabelled(text: str) -> str:
    return re.sub(r"^\[[^\]]+\] ", "", text, flags=re.MULTILINE)


# --- the cell that made the call


def test_it_stands_between_what_the_cell_says_before_and_after(kernel: Kernel):
    ran = kernel.ok("print('before')\npool.call(says, 1, 2, 3).result()\nprint('after')\n'value'")
    assert in_order(ran) == ["before", "[runner-1] 1", "[runner-1] 2", "[runner-1] 3", "after", "'value'"]
    ran = kernel.ok("print('before')\nawait pool.call(says, 1, 2, 3)")
    assert in_order(ran) == ["before", "[runner-1] 1", "[runner-1] 2", "[runner-1] 3", "3"]
    ran = kernel.ok("for n in pool.map(says, ['a', 'b']): print(n)")
    assert sorted(in_order(ran)) == ["1", "1", "[runner-1] a", "[runner-1] b"]
    assert in_order(ran).index("[runner-1] a") < in_order(ran).index("1")


def test_it_stands_before_the_error_of_the_call(kernel: Kernel):
    kernel.ok("def fails():\n    print('so far')\n    raise ValueError('no')")
    ran = kernel.run("await pool.call(fails)")
    kinds = [message["header"]["msg_type"] for message in ran.messages]
    assert (ran.out, ran.error) == ("[runner-1] so far\n", "ValueError: no")
    assert kinds.index("stream") < kinds.index("error")


def test_a_call_of_the_first_cell_that_ends_during_the_third(kernel: Kernel, folder: Path):
    first = kernel.begin(f"late = pool.call(says, 'late', after={str(folder / 'go')!r})")
    ran = kernel.wait(first)
    second = kernel.ok("'nothing here'")
    third = kernel.ok(f"Path({str(folder / 'go')!r}).touch()\nlate.result()\nprint('mine')")
    assert (second.out, third.out, third.value) == ("", "mine\n", None)
    assert kernel.until(first, ran, lambda ran: ran.out).out == "[runner-1] late\n"


def test_two_cells_whose_calls_take_turns(kernel: Kernel, folder: Path):
    kernel.ok(
        "def turns(name, mine, other):\n"
        "    for n in range(20):\n"
        "        Path(f'{mine}-{n}').touch(); until_there(f'{other}-{n}'); print(name, n)"
    )
    a, b = str(folder / "a"), str(folder / "b")
    cells = [
        kernel.begin(f"h1 = pool.call(turns, 'a', {a!r}, {b!r})"),
        kernel.begin(f"h2 = pool.call(turns, 'b', {b!r}, {a!r})"),
    ]
    rans = [kernel.wait(cell) for cell in cells]
    kernel.ok("h1.result(), h2.result()")
    for name, cell, ran in zip("ab", cells, rans, strict=True):
        ran = kernel.until(cell, ran, lambda ran: ran.out.count("\n") == 20)
        assert unlabelled(ran.out).splitlines() == [f"{name} {n}" for n in range(20)]


def test_tasks_threads_and_callbacks_of_a_cell_have_it(kernel: Kernel):
    cell = kernel.begin(
        "gate = threading.Event()\n"
        "async def task():\n    await asyncio.to_thread(gate.wait, 30)\n    await pool.call(says, 'of the task')\n"
        "def thread():\n    gate.wait(30); pool.call(says, 'of the thread').result()\n"
        "t = asyncio.create_task(task())\n"
        "th = threading.Thread(target=contextvars.copy_context().run, args=(thread,)); th.start()\n"
        "loop = asyncio.get_running_loop()\n"
        "loop.call_soon_threadsafe(lambda: loop.call_later(0.05, lambda: pool.call(says, 'of the callback')))"
    )
    ran = kernel.wait(cell)
    assert kernel.ok("gate.set()\nawait t\nth.join()").out == ""
    ran = kernel.until(cell, ran, lambda ran: ran.out.count("\n") == 3)
    assert sorted(unlabelled(ran.out).splitlines()) == ["of the callback", "of the task", "of the thread"]


def test_a_bare_thread_has_the_cell_that_runs_when_it_calls(kernel: Kernel):
    kernel.ok(
        "go = threading.Event()\n"
        "th = threading.Thread(target=lambda: (go.wait(30), pool.call(says, 'hi').result())); th.start()"
    )
    assert unlabelled(kernel.ok("go.set(); th.join()").out) == "hi\n"


def test_a_cell_run_by_a_cell_is_the_same_cell(kernel: Kernel):
    ran = kernel.ok("get_ipython().run_cell('pool.call(says, 1).result()')\npool.call(says, 2).result();")
    assert unlabelled(ran.out).splitlines()[-2:] == ["1", "2"] or in_order(ran) == ["[runner-1] 1", "1", "[runner-1] 2"]


def test_cells_have_their_numbers_and_ends(kernel: Kernel):
    ran = kernel.ok(
        "from beampy.notebook.cells import current_cell\nc = current_cell(); c.number, c.ended, c is current_cell()"
    )
    number = next(m["content"]["execution_count"] for m in ran.messages if m["header"]["msg_type"] == "execute_input")
    assert ran.value == f"({number}, False, True)"
    assert kernel.ok("c.ended, current_cell() is c").value == "(True, False)"
    assert kernel.ok("1").others == []


# --- what comes


def test_threads_of_the_runner_logs_warnings_and_both_streams(kernel: Kernel):
    ran = kernel.ok("""
def all_kinds():
    th = threading.Thread(target=contextvars.copy_context().run, args=(print, 'from a thread')); th.start(); th.join()
    print('badly', file=sys.stderr)
    logging.getLogger('app').warning('careful %d', 7)
    logging.getLogger('app').info('not this')
    try: 1 / 0
    except ZeroDivisionError: logging.getLogger('app').exception('it broke')
    warnings.warn('mind the gap')
pool.call(all_kinds).result()
""")
    assert unlabelled(ran.out) == "from a thread\n"
    err = ran.err.splitlines()
    assert all(line.startswith("[runner-1] ") for line in err)
    assert err[:3] == ["[runner-1] badly", "[runner-1] WARNING app: careful 7", "[runner-1] ERROR app: it broke"]
    assert err[3] == "[runner-1] Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in ran.err
    assert "UserWarning: mind the gap" in ran.err


def test_log_records_go_to_handlers_that_the_user_has_set_up(kernel: Kernel):
    ran = kernel.ok("""
def logs(): logging.getLogger('app').warning('careful')
class Seen(logging.Handler):
    def emit(self, record): seen.append((record.getMessage(), record.runner, threading.current_thread().name))
seen = []; handler = Seen(); logging.getLogger().addHandler(handler)
stream = logging.StreamHandler(sys.stdout); logging.getLogger('app').addHandler(stream)
pool.call(logs).result()
logging.getLogger().removeHandler(handler); logging.getLogger('app').removeHandler(stream)
seen
""")
    assert (ran.out, ran.err) == ("[runner-1] careful\n", "")
    assert (ran.value is not None and ran.value.startswith("[('[runner-1] careful', 'runner-1@")) or "runner-1" in str(
        ran.value
    )


def test_100_000_lines_are_cut_and_the_cell_says_so(kernel: Kernel):
    ran = kernel.ok("def much():\n    for n in range(100_000): print('line', n)\npool.call(much).result();")
    shown = [line for line in unlabelled(ran.out).splitlines() if line.startswith("line ")]
    dropped = [int(found.replace(" ", "").replace(",", "")) for found in re.findall(r"… ([\d ,]+) characters", ran.err)]
    assert 500 < len(shown) < 60_000
    whole = sum(len(f"line {n}\n") for n in range(100_000))
    assert sum(dropped) + len(unlabelled(ran.out)) >= whole * 0.99
    assert kernel.ok("1 + 1").value == "2"


def test_a_cell_shows_ten_megabytes_and_says_so(kernel: Kernel):
    ran = kernel.ok("""
from beampy.notebook import cells
keep = cells.RATE, cells.TOGETHER
cell = current_cell(); cell._allowance.rate = 1 << 30; cells._together.rate = 1 << 30
for n in range(260):
    cell.text(1, ('x' * 49_999 + '\\n'), 'r')
    cell.catch_up(at_end=True)
cells._together.rate = keep[1]
""")
    assert 9_900_000 < len(ran.out) <= 10_100_000
    assert ran.err.count("the rest is left out") == 1
    assert unlabelled(kernel.ok("pool.call(says, 'next').result();").out) == "next\n"


def test_text_that_no_encoding_has(kernel: Kernel):
    ran = kernel.ok("pool.call(says, 'a\\ud800b', '\\x1b[31mred\\x1b[0m', 'ünïcödé 🐈').result();")
    assert unlabelled(ran.out).splitlines()[1:] == ["\x1b[31mred\x1b[0m", "ünïcödé 🐈"]


def test_lines_without_an_end_go_on_where_they_stand(kernel: Kernel, folder: Path):
    go = str(folder / "dots")
    kernel.ok("def dots(go):\n    print('.', end=''); print('.', end=''); until_there(go); print('!')")
    cell = kernel.begin(f"h = pool.call(dots, {go!r})")
    ran = kernel.wait(cell)
    assert kernel.until(cell, ran, lambda ran: ran.out).out == "[runner-1] .."
    Path(go).touch()
    assert kernel.until(cell, ran, lambda ran: "\n" in ran.out).out == "[runner-1] ..!\n"
    kernel.ok("h.result()")


def test_progress_bars_of_two_runners_have_a_row_each(kernel: Kernel):
    """As tqdm writes them: each bar over itself, with nothing of it among the lines."""
    ran = kernel.ok("""
def bar(name):
    for n in range(11):
        sys.stderr.write(f'\\r{name}: {n * 10:3d}%|{"#" * n:10s}|'); sys.stderr.flush(); time.sleep(0.02)
    sys.stderr.write('\\n')
    print('done', name)
h1, h2 = pool.call(bar, 'one'), pool.call(bar, 'two')
h1.result(), h2.result()
""")
    assert ran.err == ""
    assert sorted(unlabelled(ran.out).splitlines()) == ["done one", "done two"]
    kernel.ok("1")
    cell = ran.messages[0]["parent_header"]["msg_id"]
    ran = kernel.until(cell, ran, lambda ran: displays(ran) and displays(ran)[0]["text/plain"].count("100%") == 2)
    rows = sorted(unlabelled(displays(ran)[0]["text/plain"]).splitlines())
    assert rows == ["one: 100%|##########|", "two: 100%|##########|"]
    assert len(displays(ran)) == 2  # the bars, and the value


def test_output_is_captured_where_the_cell_captures(kernel: Kernel):
    assert kernel.ok("%%capture caught\npool.call(says, 'x').result()").out == ""
    assert kernel.ok("print(caught.stdout)").out == "[runner-1] x\n\n"


# --- other ways to run code elsewhere


def test_remote_calls_casts_and_processes_on_a_named_node(kernel: Kernel, b: Node, folder: Path):
    ran = kernel.ok("bp.remote_call('b@localhost', says, 'called').result()")
    assert ran.out == "[b@localhost] called\n"
    cell = kernel.begin(f"bp.remote_cast('b@localhost', says, 'cast', after={str(folder / 'cast')!r})")
    ran = kernel.wait(cell)
    Path(folder / "cast").touch()
    assert kernel.ok("2").out == ""
    assert kernel.until(cell, ran, lambda ran: ran.out).out == "[b@localhost] cast\n"
    kernel.ok(
        "async def stays(go):\n    while not Path(go).exists(): await asyncio.sleep(0.01)\n"
        "    print('from a process')\n"
        "async def spawns(go):\n    bp.spawn(stays, go); print('spawned')"
    )
    cell = kernel.begin(f"bp.remote_call('b@localhost', spawns, {str(folder / 'proc')!r}).result()")
    ran = kernel.wait(cell)
    assert ran.out == "[b@localhost] spawned\n"
    Path(folder / "proc").touch()
    ran = kernel.until(cell, ran, lambda ran: ran.out.count("\n") == 2)
    assert ran.out == "[b@localhost] spawned\n[b@localhost] from a process\n"


def test_placed_children_and_streams(kernel: Kernel, folder: Path):
    kernel.ok(
        "async def child(go):\n    print('begun')\n    while not Path(go).exists(): await asyncio.sleep(0.01)\n"
        "    print('over')\n"
        "def rows(n):\n    for i in range(n): print('row', i); yield i"
    )
    cell = kernel.begin(f"placed = pool.place_child(child, {str(folder / 'child')!r}).result()")
    ran = kernel.wait(cell)
    kernel.until(cell, ran, lambda ran: "begun" in ran.out)
    Path(folder / "child").touch()
    assert unlabelled(kernel.until(cell, ran, lambda ran: "over" in ran.out).out) == "begun\nover\n"
    ran = kernel.ok("for i in pool.stream(rows, 3): print(i)")
    assert [line for line in unlabelled(ran.out).splitlines() if "row" in line] == ["row 0", "row 1", "row 2"]


def test_rich_displays_come_in_order_and_with_the_name_of_their_node(kernel: Kernel):
    ran = kernel.ok("""
def shows():
    from beampy.core.group_leader import leader
    print('before')
    leader.get().bundle({'text/plain': 'P', 'image/png': b'\\x89PNG' + bytes(3_000_000)}, display_id='d1')
    leader.get().bundle({'text/plain': 'P2', 'text/html': '<b>2</b>'}, display_id='d1', update=True)
    try: leader.get().bundle({'text/plain': 'x' * 11_000_000})
    except ValueError as error: print(error)
pool.call(shows).result()
""")
    ran.displays = [one for one in ran.displays if not is_card(one)]
    assert ran.shown() == ["[runner-1] P2"]
    assert ran.displays[0]["data"]["text/plain"] == "[runner-1] P"
    assert ran.displays[0]["data"]["image/png"].startswith("iVBORwAAAA")
    assert len(ran.displays[0]["data"]["image/png"]) == 4_000_008
    assert "runner-1" in ran.shown("text/html")[0]
    assert ran.out.splitlines()[0] == "[runner-1] before"
    assert "10,485,760" in ran.out


def test_a_forked_child_of_a_cell_says_nothing_as_the_kernel(kernel: Kernel):
    ran = kernel.ok("""
import os
cell = current_cell()
pid = os.fork()
if not pid:
    try:
        cell.text(1, 'from the child\\n', 'x')
    finally:
        os._exit(0)
os.waitpid(pid, 0)[1]
""")
    assert ran.value == "0"
    assert kernel.ok("pool.call(says, 'still').result()").value == "1"


def test_without_the_extension_it_is_as_anywhere(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok("%unload_ext beampy")
        assert kernel.ok("from beampy.core import group_leader\ngroup_leader.screen_now()").value is None
        assert kernel.ok("logging.lastResort.__class__.__name__").value == "'_StderrHandler'"


@pytest.mark.skipif(not os.environ.get("BEAMPY_OLD_KERNEL"), reason="BEAMPY_OLD_KERNEL: a Python with ipykernel 6.29")
def test_an_older_kernel(tmp_path: Path):
    with Kernel(tmp_path, python=os.environ["BEAMPY_OLD_KERNEL"]) as kernel:
        kernel.ok(SETUP)
        first = kernel.begin(f"late = pool.call(says, 'late', after={str(tmp_path / 'go')!r})")
        ran = kernel.wait(first)
        assert kernel.ok(f"Path({str(tmp_path / 'go')!r}).touch()\nlate.result()\nprint('mine')").out == "mine\n"
        assert kernel.until(first, ran, lambda ran: ran.out).out == "[runner-1] late\n"
