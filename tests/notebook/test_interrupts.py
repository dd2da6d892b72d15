"""The stop button: the first press ends the cell, and the work that it waits for on other machines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import WAIT, Kernel, Ran
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster]

SETUP = """
import asyncio, pathlib, time
import beampy as bp
pool = bp.Pool(max=1)

def blocks(name):
    path = pathlib.Path(name)
    try:
        path.write_text("running")
        while True: time.sleep(0.005)
    finally:
        path.write_text("gone")

async def waits(name):
    path = pathlib.Path(name)
    try:
        path.write_text("running")
        await asyncio.sleep(1000)
    finally:
        path.write_text("gone")

async def items(name):
    yield 1
    await waits(name)

async def both(first, second):
    async with asyncio.TaskGroup() as group:
        group.create_task(one(first))
        group.create_task(one(second))

async def each_waits(names):
    for name in names: await waits(name)

async def one(name):
    return await pool.call(waits, name)

await pool.call(pow, 2, 3)
"""

ONE = [
    "pool.call(blocks, A).result()",
    "pool.call(waits, A).result()",
    "pool.call(waits, A).result(timeout=500)",
    "pool.call(waits, A).exception()",
    "await pool.call(blocks, A)",
    "await pool.call(waits, A)",
    "await asyncio.wait_for(pool.call(waits, A), 500)",
    "await asyncio.ensure_future(pool.call(waits, A))",
    "handle = pool.submit(waits, A)\nawait handle",
    "for item in pool.stream(items, A): pass",
    "async for item in pool.stream(items, A): pass",
    "for item in pool.stream(items, A): time.sleep(1000)",
    "async for item in pool.stream(items, A): await asyncio.sleep(1000)",
    "(await pool.scatter(each_waits, [A], 1))",
    "with pool.executor() as executor: list(executor.map(waits, [A]))",
    "await bp.remote_call(pool.runners()[0]['node'], waits, A)",
    "bp.remote_call(pool.runners()[0]['node'], blocks, A).result()",
]
TWO = [
    "await asyncio.gather(pool.call(waits, A), pool.call(blocks, B))",
    "for each in asyncio.as_completed([pool.call(waits, A), pool.call(waits, B)]): await each",
    "await asyncio.wait([asyncio.ensure_future(pool.call(waits, name)) for name in (A, B)])",
    "await both(A, B)",
    "await pool.map(waits, [A, B])",
    "pool.map(waits, [A, B]).result()",
    "for item in pool.map(waits, [A, B], ordered=False): pass",
    "async for item in pool.map(waits, [A, B], ordered=False): pass",
]


def until(path: Path, text: str, why: str = "") -> None:
    """Wait for a function to say what it does."""
    end = time.monotonic() + WAIT
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < end, f"{path.name} does not say {text!r} {why}"
        time.sleep(0.005)


def stopped(kernel: Kernel, cell: str, *, press: str = "signal") -> Ran:
    """Run a cell until its functions run, press stop once, and see all of it end."""
    files = [kernel.folder / name for name in ("A", "B") if name in cell]
    for file in files:
        file.unlink(missing_ok=True)
    begun = kernel.begin(f"A, B = {str(kernel.folder / 'A')!r}, {str(kernel.folder / 'B')!r}\n{cell}")
    for file in files:
        until(file, "running", cell)
    if press == "signal":
        kernel.interrupt()
    else:
        assert kernel.interrupt_by_message()["status"] == "ok"
    ran = kernel.wait(begun)
    for file in files:
        until(file, "gone", cell)
    assert ran.error in ("KeyboardInterrupt: ", "CancelledError: "), ran.error
    return ran


@pytest.mark.timeout(120)
@pytest.mark.parametrize("cells", [ONE[:9], ONE[9:], TWO], ids=["call", "stream", "many"])
def test_stopping_a_cell_ends_what_it_waits_for(tmp_path: Path, cells: list[str]):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        for cell in cells:
            stopped(kernel, cell)
            assert kernel.ok("await pool.call(pow, 2, 3)").value == "8", cell
        assert kernel.ok("len(pool.runners()), pool.runners()[0]['calls']").value == "(1, 0)"


@pytest.mark.parametrize("cell", ["pool.call(blocks, A).result()", "await pool.call(waits, A)"])
def test_an_interrupt_may_come_as_a_message(tmp_path: Path, cell: str):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        stopped(kernel, cell, press="message")
        assert kernel.ok("await pool.call(pow, 2, 3)").value == "8"


def test_it_says_so_in_one_line(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        for cell in ("pool.call(waits, A).result()", "await pool.call(waits, A)"):
            ran = stopped(kernel, cell)
            assert len(ran.traceback.splitlines()) == 1
            assert "(line 2): interrupted; what the cell waited for was cancelled" in ran.traceback
            assert "handle.py" in kernel.ok("%tb").traceback


def test_stopping_a_cell_that_only_sleeps(tmp_path: Path):
    """ipykernel's fault 881: its loop sleeps, and nothing wakes it but a message."""
    with Kernel(tmp_path) as kernel:
        kernel.ok("import asyncio\nimport beampy as bp")
        for _ in range(3):
            begun = kernel.begin("print('on')\nawait asyncio.sleep(1000)")
            kernel.until(begun, Ran(), lambda ran: "on" in ran.out)
            kernel.interrupt()
            assert kernel.wait(begun).error == "CancelledError: "
        assert kernel.ok("1 + 1").value == "2"


def test_a_wakeup_fd_of_somebody_else_is_left_alone_and_interrupts_still_work(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(
            "import asyncio, signal, socket\nours, theirs = socket.socketpair()\nours.setblocking(False)\n"
            "signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)\nimport beampy as bp"
        )
        begun = kernel.begin("print('on')\nawait asyncio.sleep(1000)")
        kernel.until(begun, Ran(), lambda ran: "on" in ran.out)
        kernel.interrupt()
        assert kernel.wait(begun).error == "CancelledError: "
        kernel.ok("%unload_ext beampy")
        assert kernel.ok("signal.set_wakeup_fd(-1) == ours.fileno()").value == "True"


def test_unloading_puts_everything_back(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import signal\nfrom beampy import handle")
        kernel.ok("shown, awaited = get_ipython().showtraceback.__qualname__, handle.awaited")
        assert kernel.ok("signal.set_wakeup_fd(-1) == -1").value == "False"
        kernel.ok("%unload_ext beampy")
        assert kernel.ok("signal.set_wakeup_fd(-1), handle.awaited").value == "(-1, None)"
        assert kernel.ok("get_ipython().showtraceback.__qualname__ != shown").value == "True"


def test_a_timeout_of_wait_for_cancels_there(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        ran = kernel.run(f"await asyncio.wait_for(pool.call(waits, {str(tmp_path / 'A')!r}), 0.5)")
        assert ran.status == "error"
        until(tmp_path / "A", "gone")
        assert kernel.ok("pool.runners()[0]['calls']").value == "0"


def test_what_other_cells_wait_for_goes_on(tmp_path: Path):
    """A task of an earlier cell is not the stopped cell's."""
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok(f"task = asyncio.ensure_future(pool.call(waits, {str(tmp_path / 'early')!r}))")
        until(tmp_path / "early", "running")
        stopped(kernel, "await pool.call(waits, A)")
        assert kernel.ok("task.done(), pool.runners()[0]['calls']").value == "(False, 1)"
        assert kernel.ok("task.cancel()").value == "True"
        until(tmp_path / "early", "gone")


def test_a_handle_that_nobody_waits_for_goes_on(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok(f"handle = pool.submit(waits, {str(tmp_path / 'late')!r})")
        until(tmp_path / "late", "running")
        begun = kernel.begin("print('on')\ntime.sleep(1000)")
        kernel.until(begun, Ran(), lambda ran: "on" in ran.out)
        kernel.interrupt()
        assert kernel.wait(begun).error == "KeyboardInterrupt: "
        assert kernel.ok("handle.done(), handle.cancel()").value == "(False, True)"
        until(tmp_path / "late", "gone")


def test_a_call_of_a_node_with_a_name_ends_too(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel, Node(tmp_path, "b", kernel.env):
        kernel.ok(SETUP)
        stopped(kernel, "await bp.remote_call('b@localhost', waits, A)")
        stopped(kernel, "bp.remote_call('b@localhost', blocks, A).result()")
        assert kernel.ok("await bp.remote_call('b@localhost', pow, 2, 3)").value == "8"


def test_a_boot_that_is_interrupted_leaves_a_pool_that_works(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\nfrom beampy.pool.backends.local import LocalBackend\nimport asyncio, pathlib")
        kernel.ok(
            "class Slow(LocalBackend):\n"
            "    async def boot(self, *args, **kwargs):\n"
            "        pathlib.Path('booting').write_text('running')\n"
            "        if not pathlib.Path('go').exists():\n"
            "            await asyncio.sleep(1000)\n"
            "        return await super().boot(*args, **kwargs)"
        )
        for cell in ("await pool.call(pow, 2, 3)", "pool.call(pow, 2, 3).result()"):
            (tmp_path / "booting").unlink(missing_ok=True)
            begun = kernel.begin(f"pool = bp.Pool(max=1, backend=Slow(), boot_timeout=500)\n{cell}")
            until(tmp_path / "booting", "running")
            kernel.interrupt()
            ran = kernel.wait(begun)
            assert len(ran.traceback.splitlines()) == 1, ran.traceback
            assert "interrupted" in ran.traceback
        kernel.ok("pathlib.Path('go').write_text('')\npool = bp.Pool(max=1, backend=Slow())")
        assert kernel.ok("await pool.call(pow, 2, 3)").value == "8"
