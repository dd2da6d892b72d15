"""The node of a kernel: it is there when it is used first, once, and not before; and cells do not stop it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster]

NODES = """
from beampy.core.current import fallback
names = lambda: [outside.node.name for outside in fallback()]
"""


def test_the_first_use_brings_up_one_hidden_node(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(f"import sys, threading\nimport beampy as bp\n{NODES}")
        assert kernel.ok("names(), 'asyncio' in sys.modules and 'beampy.runtime' in sys.modules").value == "([], False)"
        assert kernel.ok("[t.name for t in threading.enumerate() if 'notebook-' in t.name]").value == "[]"
        name = kernel.ok("bp.node()").value
        assert name is not None
        assert name.startswith("'notebook-")
        assert name.endswith("@localhost'")
        assert kernel.ok("bp.node(), bp.nodes(), names()").value == f"({name}, [], [{name}])"
        kernel.ok("def two():\n    found.append(bp.node())\nfound = []")
        assert kernel.ok("len([t.name for t in threading.enumerate() if 'notebook-' in t.name])").value == "1"


def test_threads_that_come_at_once_get_the_same_node(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(
            "import threading\nimport beampy as bp\nfound, gate = [], threading.Barrier(8)\n"
            "def use():\n    gate.wait(30)\n    found.append(bp.node())\n"
            "threads = [threading.Thread(target=use) for _ in range(8)]\n"
            "for each in threads: each.start()\n"
            "for each in threads: each.join(30)"
        )
        assert kernel.ok("len(found), len(set(found))").value == "(8, 1)"


@pytest.mark.parametrize(
    "use",
    [
        "bp.self()",
        "bp.nodes()",
        "bp.whereis('nobody')",
        "bp.spawn(nothing)",
        "bp.send(('nobody', 'nowhere@localhost'), 1)",
        "bp.remote_call(bp.node(), pow, 2, 3).result()",
        "bp.registered()",
        "bp.Agent.start(list).result()",
        "bp.put([1]).result()",
    ],
)
def test_any_verb_is_a_first_use(tmp_path: Path, use: str):
    with Kernel(tmp_path) as kernel:
        kernel.ok(f"import beampy as bp\n{NODES}\nasync def nothing(): pass")
        kernel.ok(use)
        assert kernel.ok("len(names()), names()[0][:9]").value == "(1, 'notebook-')"


def test_loading_the_extension_makes_no_node(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("%load_ext beampy")
        assert kernel.ok(f"{NODES}\nnames()").value == "[]"
        kernel.ok("%load_ext beampy")
        assert "no node" in kernel.ok("%beampy").out
        kernel.ok("%unload_ext beampy\nimport beampy as bp")
        assert kernel.run("bp.node()").error == (
            "NotInNode: node: there is no node here. Call it from a process (bp.run(main)), inside "
            "`async with bp.Node(name):`, or after bp.start(name)"
        )
        kernel.ok("%reload_ext beampy")
        assert kernel.ok("bp.node()[:9]").value == "'notebook-'"


def test_a_node_that_was_started_with_a_word_speaks_instead(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok(f"import beampy as bp\n{NODES}\nmine = bp.start('mine@localhost')")
        assert kernel.ok("bp.node(), names()").value == "('mine@localhost', ['mine@localhost'])"
        assert kernel.ok("pool = bp.Pool(max=1)\nawait pool.call(bp.node)").value is not None
        kernel.ok("mine.stop().result()")
        assert kernel.ok("bp.node()[:9]").value == "'notebook-'"


def test_a_pool_starts_at_its_first_use_and_ends_with_its_node(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, os\npool = bp.Pool(max=2)\ndef square(n): return n * n")
        assert kernel.ok("pool").value == kernel.ok("pool").value
        assert kernel.ok("pool.call(square, 3).result()").value == "9"
        assert kernel.ok("await pool.map(square, range(4))").value == "[0, 1, 4, 9]"
        one = kernel.ok("await pool.call(os.getpid)").value
        assert "stopped notebook-" in kernel.ok("%beampy stop").out
        assert kernel.ok("await pool.call(square, 4)").value == "16", "it starts again, on another node"
        assert kernel.ok("await pool.call(os.getpid)").value != one
        kernel.ok("await pool.stop()")
        assert "it was stopped" in (kernel.run("await pool.call(square, 4)").error or "")


@pytest.mark.parametrize(
    "use",
    [
        "await pool.submit(square, 2)",
        "[item async for item in pool.map(square, [2])][0]",
        "list(pool.map(square, [2]))[0]",
        "list(pool.stream(items))[0] + 2",
        "(await pool.scatter(sum, [4], 1))[0]",
        "await pool.remote(square)(2)",
        "pool.executor().submit(square, 2).result()",
        "pool.options(timeout=20).call(square, 2).result()",
        "(pool.runners(), 4)[1]",
        "(pool.metrics(), 4)[1]",
        "(pool.resize(max=3), 4)[1]",
    ],
)
def test_any_verb_of_a_pool_is_its_first_use(tmp_path: Path, use: str):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=2)\ndef square(n): return n * n\ndef items(): yield 2")
        assert kernel.ok(use).value == "4"


def test_threads_that_come_at_once_start_a_pool_once(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(
            "import threading\nimport beampy as bp\npool = bp.Pool(max=1)\nfound, gate = [], threading.Barrier(4)\n"
            "def use():\n    gate.wait(30)\n    found.append(pool.call(pow, 2, 3).result(30))\n"
            "threads = [threading.Thread(target=use) for _ in range(4)]\n"
            "for each in threads: each.start()\n"
            "for each in threads: each.join(30)"
        )
        assert kernel.ok("found").value == "[8, 8, 8, 8]"


def test_a_process_does_not_start_a_pool_by_using_it(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=1)\nasync def use(): return await pool.call(pow, 2, 3)")
        kernel.ok("bp.node()\nfrom beampy.notebook import first_use")
        ran = kernel.run("await first_use.running().run(use)")
        assert (ran.error or "").startswith("PoolClosed: pool pool-")


def test_a_forked_child_that_imports_it_first_prints_what_its_calls_print(tmp_path: Path):
    """As the workers of a fork pool of `multiprocessing` do: the child is no kernel, and its messages would be lost."""
    with Kernel(tmp_path) as kernel:
        cell = kernel.begin(
            "import os\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    try:\n"
            "        import beampy as bp\n"
            "        with bp.start(), bp.Pool(max=1) as pool:\n"
            "            pool.call(lambda: print('said there')).result()\n"
            "    finally:\n"
            "        os._exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        ran = kernel.wait(cell)
        kernel.until(cell, ran, lambda so_far: "[runner-1] said there" in so_far.out)


def test_a_forked_child_has_a_node_and_a_pool_of_its_own(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, os\npool = bp.Pool(max=1)\nasync def at_home(): return bp.node()")
        mine = kernel.ok("await pool.call(pow, 2, 3)\nbp.node()").value
        kernel.ok(
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    try:\n"
            "        open('child', 'w').write(f'{bp.node()} {pool.call(pow, 2, 4).result(30)}')\n"
            "    finally:\n"
            "        os._exit(0)\n"
            "os.waitpid(pid, 0)"
        )
        name, value = (tmp_path / "child").read_text().split()
        assert name.startswith("notebook-")
        assert repr(name) != mine
        assert value == "16"
        assert kernel.ok("await pool.call(pow, 2, 5), bp.node()").value == f"(32, {mine})"


def test_it_connects_with_nodes_that_have_names_and_nobody_sees_it(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel, Node(tmp_path, "b", kernel.env):
        kernel.ok("import beampy as bp, os")
        assert kernel.ok("await bp.remote_call('b@localhost', os.getpid) != os.getpid()").value == "True"
        assert kernel.ok("bp.nodes('hidden')").value == "['b@localhost']"
        assert kernel.ok("await bp.remote_call('b@localhost', bp.nodes)").value == "[]"
        hidden = kernel.ok("await bp.remote_call('b@localhost', bp.nodes, 'hidden')").value
        assert hidden == kernel.ok("[bp.node()]").value
        assert "b@localhost over unix" in kernel.ok("%beampy").out


WATCH = """
import beampy as bp, time
b = bp.start("b@localhost", tick_time={tick})
events = []
async def watch():
    bp.monitor_node("busy@localhost")
    events.append(await bp.receive())
bp.spawn(watch)
while bp.nodes("all") != ["busy@localhost"]: time.sleep(0.01)
"""
BUSY = """
import time
def compute(seconds):
    until, n = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        n += sum(i * i for i in range(100))
"""


def ticks_through(tmp_path: Path, tick: float, seconds: float) -> None:
    """A node that wants to hear of others every `tick` seconds, and a cell of another one's that computes longer."""
    port = str(free_port())
    (tmp_path / "b").mkdir()
    with Kernel(tmp_path, ERL_EPMD_PORT=port) as kernel, Kernel(tmp_path / "b", ERL_EPMD_PORT=port) as other:
        kernel.ok(f"import beampy as bp\nhome = bp.start('busy@localhost', tick_time={tick}, hidden=True)\n{BUSY}")
        other.ok(WATCH.format(tick=tick))
        kernel.ok(f"compute({seconds})", timeout=seconds + 40)
        assert other.ok("events, b.connections()[0]['stalled']").value == "([], False)"
        os.kill(kernel.pid, signal.SIGSTOP)  # now nothing ticks any more, and that is noticed
        try:
            assert other.ok("while not events: time.sleep(0.01)\nevents[0].reason").value == "'net_tick_timeout'"
        finally:
            os.kill(kernel.pid, signal.SIGCONT)


def test_ticks_go_on_while_a_cell_computes(tmp_path: Path):
    ticks_through(tmp_path, tick=1.0, seconds=5.0)


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_ticks_go_on_while_a_cell_computes_for_a_minute(tmp_path: Path):
    ticks_through(tmp_path, tick=8.0, seconds=60.0)


def test_a_pool_that_nobody_has_any_more_ends(tmp_path: Path):
    """A cell that makes a pool is run again and again: each leaves nothing behind, and what runs goes on."""
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, os, time\nfrom pathlib import Path\ndef slow(): time.sleep(1); return 7")
        cell = (
            "pool = bp.Pool(max=1, idle_shutdown_after=0.2)\n"
            "zygote = int(Path(f'/proc/{await pool.call(os.getpid)}/stat').read_text().rpartition(')')[2].split()[1])\n"
            "handle = pool.submit(slow)"
        )
        kernel.ok(f"{cell}\nfirst, kept = zygote, handle")
        kernel.ok(cell)
        assert kernel.ok("await kept, await handle").value == "(7, 7)", "its calls are not lost with it"
        kernel.ok("while Path(f'/proc/{first}').exists(): time.sleep(0.01)")
        assert kernel.ok("Path(f'/proc/{zygote}').exists(), await pool.call(pow, 2, 3)").value == "(True, 8)"
