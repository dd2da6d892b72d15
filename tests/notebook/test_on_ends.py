"""`%%on` where something ends: the node in the middle of a cell, the notebook, the shell's own loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import WAIT, Node, free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


def test_a_node_that_is_lost_in_the_middle_of_a_cell(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel, Node(tmp_path, "b", kernel.env) as b:
        kernel.ok("import beampy as bp")
        cell = kernel.begin("%%on b\nimport asyncio\nprint('begun')\nawait asyncio.sleep(3600)")
        kernel.until(cell, Ran(), lambda ran: "begun" in ran.out)
        b.kill()
        ran = kernel.wait(cell)
        assert ran.error == "NodeDown: no connection to the node of this cell on b@localhost"
        assert kernel.ok("1").value == "1"
        ran = kernel.run("%%on b@localhost\n1")
        assert (ran.error or "").split(":")[0] in ("NotConnected", "UnknownNode")


def test_names_of_a_notebook_end_with_it(tmp_path: Path):
    port = str(free_port())
    spaces = "[name for name in __import__('sys').modules if name.startswith('cells_of_')]"
    with Kernel(tmp_path, ERL_EPMD_PORT=port) as watcher, Node(tmp_path, "b", watcher.env):
        watcher.ok("import beampy as bp")
        watcher.ok("%%on b\nmine = 1")
        with Kernel(tmp_path, ERL_EPMD_PORT=port) as kernel:
            kernel.ok("import beampy as bp")
            kernel.ok("%%on b\nleft = 1")
            assert kernel.ok("%%on b\nleft").shown() == ["[b] 1"]
            assert watcher.run("%%on b\nleft").error == "NameError: name 'left' is not defined on b@localhost"
            assert watcher.ok(f"%%on b\nlen({spaces})").shown() == ["[b] 2"]
            os.kill(kernel.pid, signal.SIGKILL)
        watcher.ok(f"%%on b\nimport asyncio\nwhile len({spaces}) > 1: await asyncio.sleep(0.01)")
        assert watcher.ok("%%on b\nmine").shown() == ["[b] 1"]


SHELL = """
    from IPython.terminal.interactiveshell import TerminalInteractiveShell
    shell = TerminalInteractiveShell.instance()

    def run(cell):
        shell.run_cell(cell, store_history=True)

    run("import beampy as bp")
    print(shell.check_complete("%%on b")[0], shell.check_complete("%%on b\\n1\\n\\n")[0])
    {lines}
"""


def in_a_terminal(folder: Path, lines: str) -> subprocess.Popen[str]:
    """IPython as a terminal has it, with no loop of its own. It begins with the environment of a kernel."""
    program = textwrap.dedent(SHELL).replace("{lines}", textwrap.dedent(lines).strip())
    env = Kernel(folder, ERL_EPMD_PORT=str(free_port())).env
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


OWN = "%%on bp.node() -o x\\nx = 6 * 7\\nprint('there')\\nx"


@pytest.mark.parametrize("autoawait", ["True", "False"])
def test_ipython_in_a_terminal(tmp_path: Path, autoawait: str):
    lines = f"""
        run("%autoawait {autoawait}")
        run("{OWN}")
        run("print('here', x)")
        run("%%on bp.node()\\n1/0")
        run("%%on\\n1")
        run("%history -l 2")
    """
    with in_a_terminal(tmp_path, lines) as process:
        said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, said
    assert "incomplete complete" in said.splitlines()
    assert "] there\n" in said
    assert "] 42\n" in said
    assert "here 42\n" in said
    assert "Traceback of notebook-" in said
    assert "UsageError: usage: %%on NODE|pool" in said
    assert "%%on bp.node()" in said


def test_an_interrupt_in_a_terminal(tmp_path: Path):
    lines = """
        run("%%on bp.node()\\nimport asyncio\\ntry:\\n    print('begun')\\n    await asyncio.sleep(3600)\\n"
            "finally:\\n    ended = True")
        run("%%on bp.node()\\nimport asyncio\\nwhile not globals().get('ended'): await asyncio.sleep(0.01)\\n"
            "print('it has ended')")
    """
    with in_a_terminal(tmp_path, lines) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "begun" in line:
                break
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(WAIT) == 0, said
    assert "it has ended" in said
