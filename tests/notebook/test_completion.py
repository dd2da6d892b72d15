"""Tab, through Jupyter's protocol: of cells that run on nodes, and of what runs on nodes in the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import WAIT, Kernel
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster]

MODEL = '''%%on b@localhost
class Model:
    """A model."""
    def __init__(self, n: int = 3):
        self.n = n
    def fit(self, rows, *, lr: float = 0.1) -> "Model":
        """Learn from rows."""
    @property
    def boom(self):
        open("boom", "w").close()
    def __getattr__(self, name):
        open("boom", "w").close()
        raise AttributeError(name)
model = Model()
'''


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with beampy, and a name service of its own."""
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok("import beampy as bp")
        yield kernel


@pytest.fixture
def node(kernel: Kernel, tmp_path: Path) -> Iterator[Node]:
    """Another node."""
    with Node(tmp_path, "b", kernel.env) as node:
        yield node


def texts(reply: dict[str, Any]) -> list[str]:
    """What is suggested."""
    assert reply["status"] == "ok"
    found: list[str] = reply["matches"]
    return found


def kinds(reply: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Types and signatures, as JupyterLab reads them."""
    return {one["text"]: (one["type"], one["signature"]) for one in reply["metadata"]["_jupyter_types_experimental"]}


def soon(kernel: Kernel, code: str, text: str) -> list[str]:
    """What is suggested as soon as this is: a first answer may be late, while both sides load what answers."""
    end = time.monotonic() + WAIT
    while text not in (found := texts(kernel.complete(code))):
        assert time.monotonic() < end, f"{text} is not suggested for {code!r}, but {found}"
    return found


def state(pid: int) -> str:
    """ "T" for a process that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_cell_for_a_node_is_completed_with_what_is_there(kernel: Kernel, node: Node):
    kernel.ok(MODEL)
    assert soon(kernel, "%%on b@localhost\nmod", "model") == ["model"]
    code = "%%on b@localhost\nmodel.fi"
    reply = kernel.complete(code)
    assert kinds(reply) == {"fit": ("function", "(rows, *, lr: float = 0.1) -> Model")}
    assert code[reply["cursor_start"] : reply["cursor_end"]] == "fi"
    assert texts(kernel.complete("%%on b@localhost\nmodel.fit(l"))[0] == "lr="
    soon(kernel, "%%on b@localhost\nimport json\njson.lo", "load")
    soon(kernel, "%%on b@localhost\nfrom os.path import jo", "join")
    # a name that a cell has just bound there, and none that is bound here
    kernel.ok("%%on b@localhost\nmodest = 1")
    kernel.ok("modern = 1")
    assert soon(kernel, "%%on b@localhost\nmod", "modest") == ["model", "modest"]
    # a variable that names the node
    kernel.ok("where = 'b@localhost'")
    assert soon(kernel, "%%on where\nmodes", "modest") == ["modest"]
    assert not (node.folder / "boom").exists()  # no property ran


def test_functions_that_pools_run_have_their_arguments_and_runners_their_modules(kernel: Kernel, tmp_path: Path):
    kernel.ok(
        "def train(rows, *, lr: float = 0.1): return lr\n"
        "pool = bp.Pool(max=1, idle_shutdown_after=None)\n"
        "@pool.remote\n"
        "def area(radius, unit='m'): return radius\n"
        "def plant():\n"
        "    import os, sys\n"
        "    os.makedirs('only', exist_ok=True)\n"
        "    open('only/module_of_runners.py', 'w').write('def deep_one(x): ...')\n"
        "    sys.path.append(os.path.abspath('only'))\n"
        "await pool.call(plant)"
    )
    assert kinds(kernel.complete("pool.call(train, l"))["lr="] == ("param", "lr: float = 0.1")
    assert texts(kernel.complete("pool.submit(train, [1], "))[0] == "lr="
    assert texts(kernel.complete("area(ra"))[0] == "radius="
    soon(kernel, "def f():\n    import module_of_r", "module_of_runners")
    soon(kernel, "def f():\n    import module_of_runners\n    module_of_runners.d", "deep_one")
    soon(kernel, "from module_of_runners import de", "deep_one")
    soon(kernel, "%%on pool\nimport module_of_runners\nmodule_of_runners.d", "deep_one")


def test_objects_behind_references_and_functions_by_name_are_those_of_their_node(kernel: Kernel, node: Node):
    kernel.ok("ref = await bp.put([1, 2], node='b@localhost')")
    assert soon(kernel, "ref.do.app", "append") == ["append"]
    assert soon(kernel, "await ref.keep.co", "copy") == ["copy", "count"]
    assert soon(kernel, "ref.do.sort(re", "reverse=")[0] == "reverse="
    kernel.ok("def take(rows, *, how_many=3): ...")
    assert texts(kernel.complete("ref.apply(take, how"))[0] == "how_many="
    assert texts(kernel.complete("bp.remote_call('b@local")) == ["b@localhost"]
    assert soon(kernel, "bp.remote_call('b@localhost', 'json.load", "load") == ["load", "loads"]


def test_servers_are_completed_with_their_calls(kernel: Kernel):
    kernel.ok(
        "class Counter(bp.Server):\n"
        "    def __init__(self): self.n = 0\n"
        "    @bp.call\n"
        "    async def add(self, by: int = 1) -> int:\n"
        "        'Add to it.'\n"
        "counter = await Counter.start()"
    )
    assert kinds(kernel.complete("counter.ad"))["add"] == ("function", "(by: int = 1) -> int")
    assert texts(kernel.complete("counter.add(b"))[0] == "by="


def test_everything_else_is_ipythons(kernel: Kernel):
    kernel.ok("rows_of_mine = [1]")
    assert "rows_of_mine" in texts(kernel.complete("rows_of"))
    assert "append" in "".join(texts(kernel.complete("rows_of_mine.app")))


def test_a_node_that_hangs_is_answered_for_while_it_hangs(kernel: Kernel, node: Node):
    kernel.ok(MODEL)
    soon(kernel, "%%on b@localhost\nmodel.", "fit")
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        known = texts(kernel.complete("%%on b@localhost\nmodel."))
        unknown = texts(kernel.complete("%%on b@localhost\nmine = 1\nmi"))
        hovered = kernel.inspect("%%on b@localhost\nmodel.fit(")
        assert state(node.process.pid) == "T"
    finally:
        os.kill(node.process.pid, signal.SIGCONT)
    assert "fit" in known
    assert unknown == ["mine", "min"]
    assert hovered["status"] == "ok"
    # and it is asked again when it is back
    kernel.ok("%%on b@localhost\nmodest = 1")
    soon(kernel, "%%on b@localhost\nmod", "modest")


def test_a_node_that_is_gone_leaves_what_the_text_says(kernel: Kernel, node: Node):
    kernel.ok(MODEL)
    node.kill()
    assert texts(kernel.complete("%%on b@localhost\nmine = 1\nmi")) == ["mine", "min"]
    assert kernel.ok("6 * 7").value == "42"


@pytest.mark.parametrize("target", ["nobody@localhost", "no.such.thing", "1/0", ""])
def test_a_target_that_is_none_is_no_fault_of_the_editor(kernel: Kernel, target: str):
    assert texts(kernel.complete(f"%%on {target}\nmine = 1\nmi")) == ["mine", "min"]
    assert kernel.inspect(f"%%on {target}\nmine")["status"] == "ok"
    assert kernel.ok("1").err == ""


def test_unloading_gives_the_kernel_back_its_own(kernel: Kernel):
    own = "kernel = get_ipython().kernel\n('do_complete' in vars(kernel), 'do_inspect' in vars(kernel))"
    assert kernel.ok(own).value == "(True, True)"
    kernel.ok("%unload_ext beampy")
    assert kernel.ok(own).value == "(False, False)"
    kernel.ok("%load_ext beampy")
    assert kernel.ok(own).value == "(True, True)"


def test_a_shell_without_a_kernel_has_a_matcher(kernel: Kernel, node: Node):
    kernel.ok(MODEL)
    ran = kernel.ok(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "from IPython.core.completer import provisionalcompleter\n"
        "from beampy.notebook import completion\n"
        "shell = InteractiveShell()\n"
        "undo = completion.install(shell)\n"
        "def found(code):\n"
        "    with provisionalcompleter():\n"
        "        return [one.text for one in shell.Completer.completions(code, len(code))]\n"
        "before = found('%%on b@localhost\\nbp.Pool(max_c')\n"
        "shell.user_ns['bp'] = bp\n"
        "got = found('bp.Pool(max_c')\n"
        "undo()\n"
        "got[0], before, len(shell.Completer.custom_matchers)"
    )
    assert ran.value == "('max_concurrency=', [], 0)"
