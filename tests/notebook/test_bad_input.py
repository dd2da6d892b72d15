"""What a user gets wrong, and what the cluster does to him: one clear line in the cell, and the kernel goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import Node, free_port
from tests.notebook.pages import Notebook

pytestmark = [pytest.mark.cluster]


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def one_line(kernel: Kernel, cell: str, *words: str) -> Ran:
    """Run a cell that fails: what stands there is one line with these words, and the kernel goes on."""
    ran = kernel.run(cell)
    assert ran.status == "error", cell
    shown = plain(ran.traceback)
    assert len(shown.splitlines()) == 1, shown
    for word in words:
        assert word in shown, shown
    assert "%tb shows all of it" in shown
    assert (ran.out, ran.err) == ("", ""), "and nothing else"
    assert kernel.ok("6 * 7").value == "42"
    return ran


def test_a_wrong_cookie(tmp_path: Path):
    other = {"BEAMPY_COOKIE": "another-one-that-is-not-yours"}
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel, Node(tmp_path, "b", kernel.env | other):
        kernel.ok("import beampy as bp")
        ran = one_line(kernel, "await bp.connect('b@localhost')", "CookieMismatch", "b@localhost", "cookie")
        assert (ran.error or "").startswith("CookieMismatch: no connection to b@localhost: ")
        one_line(kernel, "await bp.remote_call('b@localhost', pow, 2, 3)", "NodeDown", "b@localhost", "cookie")
        one_line(kernel, "bp.remote_call('b@localhost', pow, 2, 3).result()", "NodeDown", "b@localhost", "cookie")
        assert "remote_call" in plain(kernel.ok("%tb").traceback)


def test_a_dead_node(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok("import beampy as bp, time")
        one_line(kernel, "await bp.remote_call('b@localhost', pow, 2, 3)", "NodeDown: no connection to b@localhost: ")
        one_line(kernel, "await bp.connect('b@localhost')", "UnknownNode: no connection to b@localhost: ")
        with Node(tmp_path, "b", kernel.env) as node:
            assert kernel.ok("await bp.remote_call('b@localhost', pow, 2, 3)").value == "8"
            kernel.ok("handle = bp.remote_call('b@localhost', time.sleep, 1000)\nbp.nodes('hidden')")
            node.kill()
            one_line(kernel, "x = 1\nawait handle", "NodeDown (line 2): ", "b@localhost")
        one_line(kernel, "await bp.remote_call('b@localhost', pow, 2, 3)", "NodeDown", "b@localhost")


def test_a_runner_that_is_lost(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, os\npool = bp.Pool(max=1)")
        one_line(kernel, "await pool.call(os._exit, 3)", "RunnerLost: runner pool-", "3")
        assert kernel.ok("await pool.call(pow, 2, 3)").value == "8"


def test_a_machine_that_does_not_come_up(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\nfrom beampy.pool.backends.local import LocalBackend")
        kernel.ok(
            "class Broken(LocalBackend):\n"
            "    async def boot(self, order): raise OSError('no machine left\\nand a long log')\n"
            "pool = bp.Pool(max=1, backend=Broken(), boot_rounds=1, backoff=0.01)"
        )
        ran = kernel.run("await pool.call(pow, 2, 3)")
        shown = plain(ran.traceback)
        assert shown.startswith("BootFailed: pool pool-"), shown
        assert "no machine left" in shown
        assert len(shown.splitlines()) == 1, shown
        assert kernel.ok("6 * 7").value == "42"


def test_how_pools_are_used(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, time\npool = bp.Pool(max=1)")
        one_line(kernel, "await pool.options(timeout=0.1).call(time.sleep, 60)", "PoolTimeout: ", "0.1 s")
        one_line(kernel, "pool.submit(time.sleep, 60).result(0.1)", "TimeoutError: ", "it goes on")
        one_line(kernel, "await pool.call(time.sleep, open('/dev/null'))", "EncodeError: ")
        kernel.ok("await pool.stop(drain=False)")
        one_line(kernel, "await pool.call(pow, 2, 3)", "PoolClosed: ", "it was stopped")


def test_two_notebooks_with_one_name(tmp_path: Path):
    port = str(free_port())
    (tmp_path / "other").mkdir()
    with Kernel(tmp_path, ERL_EPMD_PORT=port) as kernel, Kernel(tmp_path / "other", ERL_EPMD_PORT=port) as other:
        kernel.ok("import beampy as bp\nnode = bp.start('analysis@localhost')")
        other.ok("import beampy as bp")
        one_line(other, "node = bp.start('analysis@localhost')", "NameInUse: the name analysis@localhost is taken: ")
        assert other.ok("bp.node()[:9]").value == "'notebook-'"
        assert kernel.ok("bp.node()").value == "'analysis@localhost'"
        kernel.ok("node.stop().result()")
        assert other.ok("node = bp.start('analysis@localhost')\nbp.node()").value == "'analysis@localhost'"


def test_a_cell_with_a_syntax_error_is_pythons_own(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp")
        ran = kernel.run("await bp.connect(")
        assert (ran.error or "").startswith("SyntaxError: ")
        assert "%tb" not in ran.traceback
        assert kernel.ok("6 * 7").value == "42"


def test_a_magic_with_wrong_arguments(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp")
        assert "no node of beampy's runs here" in kernel.ok("%beampy").out
        ran = kernel.run("%beampy fly")
        assert "UsageError: there is no 'fly': %beampy shows what runs; %beampy stop ends it" in plain(ran.err)
        assert kernel.ok("6 * 7").value == "42"


def test_what_functions_raise_elsewhere_is_shown_whole(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(
            "import beampy as bp\npool = bp.Pool(max=1)\n"
            "def inner(n): return 1 / n\n"
            "def outer(n):\n    return inner(n)\n"
            "def closed(): raise bp.errors.PoolClosed('mine', 'because')"
        )
        for cell in ("await pool.call(outer, 0)", "pool.call(outer, 0).result()", "await pool.map(outer, [1, 0])"):
            ran = kernel.run(cell)
            assert ran.error == "ZeroDivisionError: division by zero"
            shown = plain(ran.traceback)
            assert "in outer" in shown, "where it happened, with its lines"
            assert "in inner" in shown
            assert "return inner(n)" in shown
            assert re.search(r"raised in <Pid pool-[0-9a-f]+-1@127\.0\.0\.1 \d+>", shown), "and on which node"
            assert cell in shown, "and the cell"
            assert "handle.py" not in shown, "and not how it came here"
            assert "mapping.py" not in shown
            assert "/beampy/pool/" in plain(kernel.ok("%tb").traceback)
        shown = plain(kernel.run("await pool.call(closed)").traceback)
        assert "in closed" in shown, "an error of ours that a function there has raised is the function's"


def test_what_a_cell_raises_itself_is_shown_whole(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, asyncio\ndef mine(): raise bp.errors.PoolClosed('mine', 'because')")
        assert "in mine" in plain(kernel.run("mine()").traceback)
        assert "ValueError: Pool: name is letters" in plain(kernel.run("bp.Pool('a b')").traceback)
        assert kernel.run("raise KeyboardInterrupt").error == "KeyboardInterrupt: "
        assert "interrupted" not in kernel.run("raise asyncio.CancelledError").traceback


def test_a_failure_to_connect_that_nobody_is_told_of_is_logged(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok("import beampy as bp, time")
        begun = kernel.begin("bp.send(('somebody', 'b@localhost'), 1)")
        kernel.until(begun, kernel.wait(begun), lambda ran: "no connection to b@localhost" in ran.err)


def test_what_beampy_was_given_and_cannot_take_is_said_without_its_insides(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp")
        for cell in ("bp.Pool(max=0)", "bp.Pool(max=1).map(len, 3)"):
            ran = kernel.run(cell)
            shown = plain(ran.traceback)
            assert cell in shown
            assert "beampy/" not in shown, shown
            assert shown.splitlines()[-1] == ran.error
            assert "beampy/" in plain(kernel.ok("%tb").traceback + kernel.ok("%tb").out)


def test_what_a_call_has_raised_has_the_frames_of_the_user_and_no_others(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=1)")
        kernel.ok("def f():\n    try: 1 / 0\n    except ArithmeticError as error: raise LookupError('x') from error")
        kernel.ok("def g(): raise ExceptionGroup('many', [ValueError(1)])")
        ran = kernel.run("await pool.call(f)")
        shown = plain(ran.traceback)
        assert ran.error == "LookupError: x"
        assert shown.count("in f\n") == 2
        assert "beampy/" not in shown, shown
        ran = kernel.run("await pool.call(g)")
        assert ran.error == "ExceptionGroup: many (1 sub-exception)"
        shown = plain(ran.traceback)
        assert "ValueError: 1" in shown
        assert "beampy/" not in shown + ran.err, shown + ran.err


def test_what_a_usage_error_says_is_not_logged_in_the_next_cell(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok("import beampy as bp, time")
        assert "no connection to nobody@localhost" in kernel.run("%%on nobody\n1").err
        ran = kernel.ok("time.sleep(1)")
        assert (ran.out, ran.err) == ("", "")


def test_what_was_cancelled_otherwise_is_not_said_to_be_interrupted(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, time\nhandle = bp.Pool(max=1).call(time.sleep, 0.2)\nhandle.cancel()")
        shown = plain(kernel.run("await handle").traceback)
        assert shown.startswith("CancelledError: what the cell waited for was cancelled   ("), shown


def test_an_anywidget_that_does_not_work_is_told_of_once(tmp_path: Path):
    (tmp_path / "anywidget.py").write_text("raise RuntimeError('broken')")
    with Notebook(tmp_path) as kernel:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=1)\nawait pool.call(len, 'abc')")
        cell = kernel.begin("pool")
        ran = kernel.wait(cell)
        told = "cards are pictures here: anywidget cannot be used: RuntimeError: broken\n"
        assert kernel.until(cell, ran, lambda ran: ran.err).err == told
        ran = kernel.ok("pool")
        assert ran.shown("text/html")
        assert ran.err == ""
