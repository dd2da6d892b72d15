"""What is drawn in a cell from this process: in its place, as it changes, and nothing of it lingers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import ROOT, Kernel

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

SETUP = """
import beampy as bp, os, threading, time
from beampy.notebook import drawing
from beampy.notebook.cells import current_cell

class Number:
    ended = False
    def __init__(self): self.n, self.threads = 0, set()
    def bundle(self):
        self.threads.add(threading.current_thread().name)
        if self.n < 0: raise RuntimeError('cannot be drawn')
        return {'text/plain': f'n={self.n}'}, {}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("drawing")) as kernel:
        kernel.ok(SETUP)
        yield kernel


def test_it_stands_where_it_was_shown_and_changes_while_other_cells_run(kernel: Kernel):
    cell = kernel.begin("print('a')\none = Number(); drawn = drawing.show(one, current_cell())\nprint('b')")
    ran = kernel.wait(cell)
    kinds = [m["header"]["msg_type"] for m in ran.messages if m["header"]["msg_type"] in ("stream", "display_data")]
    assert kinds == ["stream", "display_data", "stream"]
    assert (ran.out, ran.shown()) == ("a\nb\n", ["n=0"])
    kernel.ok("one.n = 1; drawn.changed()")
    assert kernel.until(cell, ran, lambda ran: ran.shown() == ["n=1"])
    busy = kernel.begin(
        "one.n = 2; drawn.changed()\nend = time.monotonic() + 1\nwhile time.monotonic() < end: sum(range(1000))"
    )
    kernel.until(cell, ran, lambda ran: ran.shown() == ["n=2"])
    kernel.wait(busy)
    kernel.ok("one.n = 3; drawn.end(); drawn.changed()")
    kernel.until(cell, ran, lambda ran: ran.shown() == ["n=3"])
    assert kernel.ok("sorted(one.threads)").value == "['MainThread', 'beampy-display']"


def test_other_threads_show_in_the_cell_that_is_meant(kernel: Kernel):
    cell = kernel.begin("cell = current_cell()")
    ran = kernel.wait(cell)
    second = kernel.ok("two = Number(); drawing.show(two, cell); time.sleep(0.2)")
    assert second.displays == []
    assert kernel.until(cell, ran, lambda ran: ran.displays).shown() == ["n=0"]


def test_many_changes_are_few_messages(kernel: Kernel):
    ran = kernel.ok("""
three = Number(); drawn = drawing.show(three, current_cell())
end = time.monotonic() + 1
while time.monotonic() < end:
    three.n += 1; drawn.changed()
drawn.end(); time.sleep(0.3)
""")
    assert 2 <= len(ran.updates) <= 20
    assert ran.shown() == [f"n={kernel.ok('three.n').value}"]


def test_what_cannot_be_drawn_is_said_once_and_the_rest_goes_on(kernel: Kernel):
    ran = kernel.ok("""
bad = Number(); drawn = drawing.show(bad, current_cell()); bad.n = -1
for _ in range(5): drawn.changed(); time.sleep(0.15)
good = Number(); drawing.show(good, current_cell()).end(); time.sleep(0.2)
""")
    assert ran.err.count("could not be drawn") == 1
    assert ran.shown() == ["n=0", "n=0"]


def test_a_forked_child_draws_nothing_and_ends(kernel: Kernel):
    ran = kernel.ok("""
four = Number(); drawn = drawing.show(four, current_cell())
pid = os.fork()
if not pid:
    four.n = 9; drawn.changed(); drawn.end(); time.sleep(0.3); os._exit(7)
os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
""")
    assert ran.value == "7"
    assert "n=9" not in ran.shown()
    kernel.ok("four.n = 5; drawn.changed(); time.sleep(0.2)")


def test_a_kernel_that_ends_while_much_is_drawn_ends_at_once(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok(
            "def forever():\n    while True:\n        for one in drawn: one.changed()\n        time.sleep(0.001)\n"
            "drawn = [drawing.show(Number(), current_cell(), every=0.05) for _ in range(50)]\n"
            "threading.Thread(target=forever, daemon=True).start()"
        )
        assert kernel.ok("1 + 1").value == "2"
    assert kernel.process.returncode == 0
    assert "Traceback" not in (tmp_path / "kernel.log").read_text()


IN_A_TERMINAL = """
import sys, threading
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import beampy as bp")
shell.run_cell("def says(x):\\n    print('said', x)\\n    return x")
shell.run_cell("print('before'); pool = bp.Pool(max=1); print(pool.call(says, 1).result(60)); print('after')")
shell.run_cell("pool.call(says, 2)")
shell.run_cell("import time; time.sleep(1)")
shell.run_cell("bp.stop()" if hasattr(__import__('beampy'), 'stop') else "1;")
"""


def test_without_a_kernel_it_is_text(tmp_path: Path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    env["BEAMPY_COOKIE"] = "a-cookie-of-this-test-and-no-other"
    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == ["before", "[runner-1] said 1", "1", "after"], done.stdout + done.stderr
    assert "<Handle of pool.call of __main__.says running…>" in done.stdout
    assert "[runner-1] said 2\n" in done.stdout
