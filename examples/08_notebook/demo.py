"""Run a notebook without a browser: what `make demo` does with delays.ipynb.

    python examples/08_notebook/demo.py [NOTEBOOK] [--html PAGE] [--executed FILE]

A kernel runs the cells one after the other; the terminal shows which one it is at and what that one shows, curves and
all, as it changes. Then the executed notebook lies there as a page of HTML, with its pictures, and as a notebook if
asked. What a cell shows after it has ended still goes to its cell, as in JupyterLab.

Exit codes: 0: all cells ran; 1: one failed, and the page ends with it; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from page import page, text
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from terminal import card

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "build" / "delays.html"

READY = 60.0  # seconds for a kernel to come up; on a machine with much else to do it takes several
TRY = 5.0  # seconds for one attempt to reach it
CELL = 180.0  # seconds for a cell; the longest takes ten
MOMENT = 0.5  # seconds between looks at whether the kernel is still there
ENDING = 10.0  # seconds for the kernel to end, with all that it has started
LIVE_LINES = 16  # of what the cell shows; with the list of cells it fits on a terminal of 40 lines
REDRAWS = 8  # a second
MARKS = {"waits": ("·", "dim"), "done": ("✓", "green"), "failed": ("✗", "red")}
TITLES = {"waits": "dim", "runs": "bold", "done": "", "failed": "red"}


@dataclass
class Cell:
    """A code cell, and how it is getting on."""

    source: dict[str, Any]
    title: str
    state: str = "waits"  # "runs", "done", "failed"
    begun: float = 0.0
    seconds: float = 0.0
    outputs: list[dict[str, Any]] = field(default_factory=list)
    clear: bool = False  # with its next output
    cards: dict[str, str] = field(default_factory=dict)  # what the widgets of its live cards were told last

    def show(self, output: dict[str, Any]) -> None:
        if self.clear:
            self.outputs.clear()
            self.clear = False
        last = self.outputs[-1] if self.outputs else {}
        if output["output_type"] == "stream" == last.get("output_type") and last["name"] == output["name"]:
            last["text"] += output["text"]
        else:
            self.outputs.append(output)

    def looks(self) -> list[Any]:
        """What it shows now, for the terminal."""
        if self.cards:
            return [card(told) for told in self.cards.values()]
        said = [text(one.get("text") or one.get("data", {}).get("text/plain", "")) for one in self.outputs]
        lines = "\n".join(said).splitlines()[-LIVE_LINES:]
        return [Text("\n".join(lines), "cyan", no_wrap=True, overflow="ellipsis")] if lines else []


class Run:
    """The cells of a notebook on a kernel of their own."""

    def __init__(self, notebook: dict[str, Any], folder: Path) -> None:
        self.notebook = notebook
        self.folder = folder
        self.cells = list(cells_of(notebook))
        self.by_message: dict[str, Cell] = {}
        self.displays: dict[str, list[dict[str, Any]]] = {}  # outputs by display_id
        self.busy = ""  # the message of the cell that runs
        self.error: list[str] = []
        self.spinner = Spinner("dots", style="cyan")

    def run(self, kernel: BlockingKernelClient, process: subprocess.Popen[bytes], console: Console) -> bool:
        """Run them all, or up to one that fails."""
        for cell in self.cells:
            cell.state, cell.begun = "runs", time.perf_counter()
            self.begin(kernel, cell)
            deadline = cell.begun + CELL
            while self.busy and not self.error:
                self.hear(kernel, process, deadline)
            cell.seconds = time.perf_counter() - cell.begun
            cell.state = "failed" if self.error else "done"
            if not console.is_terminal:
                console.print(f"{cell.state}: {cell.title} ({cell.seconds:.1f} s)", markup=False, highlight=False)
            if self.error:
                return False
        return True

    def begin(self, kernel: BlockingKernelClient, cell: Cell) -> None:
        """Send a cell. It says which one it is, as a page with widgets does: then live cards tell their widgets."""
        asked = {"code": text(cell.source["source"]), "silent": False, "store_history": True, "allow_stdin": False}
        message = kernel.session.msg("execute_request", asked, metadata={"cellId": cell.source.get("id", cell.title)})
        self.busy = message["header"]["msg_id"]
        self.by_message[self.busy] = cell
        kernel.shell_channel.send(message)

    def hear(self, kernel: BlockingKernelClient, process: subprocess.Popen[bytes], deadline: float) -> None:
        """Take one message, if there is one within a moment; a kernel that is gone, or too slow, is an error."""
        try:
            self.take(kernel.get_iopub_msg(timeout=MOMENT))
        except Empty:
            if process.poll() is not None:
                self.error = [f"the kernel has ended, with status {process.returncode}"]
            elif time.perf_counter() > deadline:
                self.error = [f"a cell is not done after {CELL:.0f} s"]

    def take(self, message: dict[str, Any]) -> None:
        """Put what a message says where it belongs: to its cell, which may have ended, or to an earlier output."""
        parent = message["parent_header"].get("msg_id", "")
        content, kind = message["content"], message["header"]["msg_type"]
        if kind == "update_display_data":
            for output in self.displays.get(content["transient"]["display_id"], ()):
                output |= {"data": content["data"], "metadata": content["metadata"]}
        cell = self.by_message.get(parent)
        if cell is None:
            return
        if kind in ("comm_open", "comm_msg"):
            told = content["data"].get("state", {}).get("snapshot")
            if told:
                cell.cards[content["comm_id"]] = told
        elif kind == "status" and content["execution_state"] == "idle" and parent == self.busy:
            self.busy = ""
        elif kind == "execute_input":
            cell.source["execution_count"] = content["execution_count"]
        elif kind == "clear_output":
            cell.clear = True
            if not content["wait"]:
                cell.outputs.clear()
        elif kind == "stream":
            cell.show({"output_type": "stream", "name": content["name"], "text": content["text"]})
        elif kind == "error":
            cell.show({"output_type": "error"} | {key: content[key] for key in ("ename", "evalue", "traceback")})
            self.error = content["traceback"]
        elif kind in ("display_data", "execute_result"):
            output = {"output_type": kind, "data": content["data"], "metadata": content["metadata"]}
            if kind == "execute_result":
                output["execution_count"] = content["execution_count"]
            if known := (content.get("transient") or {}).get("display_id"):
                self.displays.setdefault(known, []).append(output)
            cell.show(output)

    def filled(self) -> dict[str, Any]:
        """The notebook, with its outputs."""
        for cell in self.cells:
            cell.source["outputs"] = cell.outputs
        return self.notebook

    # the terminal

    def __rich__(self) -> Group:
        now = time.perf_counter()
        rows = Table.grid(padding=(0, 1))
        below: list[Any] = []
        for cell in self.cells:
            mark: Any = self.spinner if cell.state == "runs" else Text(*MARKS[cell.state])
            seconds = now - cell.begun if cell.state == "runs" else cell.seconds
            rows.add_row(mark, Text(cell.title, TITLES[cell.state]), f"{seconds:5.1f} s" if cell.begun else "")
            if cell.state == "runs":
                below = [Padding(Group(*cell.looks()), (1, 2))]
        return Group(rows, *below)


def cells_of(notebook: dict[str, Any]) -> Iterator[Cell]:
    """The code cells. Each has the heading above it as its title, or its last line where there is none."""
    title = ""
    for cell in notebook["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "markdown" and source.startswith("#"):
            title = source.splitlines()[0].lstrip("# ")
        elif cell["cell_type"] == "code" and source.strip():
            yield Cell(cell, title or source.strip().splitlines()[-1])
            title = ""


class Kernel:
    """A kernel of this Python, which ends with this process at the latest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> BlockingKernelClient:
        self.place = tempfile.TemporaryDirectory(prefix="beampy-demo-")
        log = (Path(self.place.name) / "kernel.log").open("wb")
        file, _ = write_connection_file(str(Path(self.place.name) / "kernel.json"), ip="127.0.0.1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipykernel_launcher", "-f", file],
            cwd=self.folder,
            env=os.environ | {"JPY_PARENT_PID": str(os.getpid()), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this program, which then ends it
        )
        log.close()
        self.client = BlockingKernelClient(connection_file=file)
        self.client.load_connection_file()
        self.client.start_channels(hb=False)  # a heartbeat that is late is no dead kernel
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self.client

    def _wait(self) -> None:
        deadline = time.perf_counter() + READY
        while True:
            try:
                self.client.wait_for_ready(timeout=TRY)
                return
            except RuntimeError:  # it has not answered
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    said = (Path(self.place.name) / "kernel.log").read_text("utf-8", "replace")[-2000:]
                    raise RuntimeError(f"the kernel does not come up. It said:\n{said}") from None

    def end(self, run: Run) -> None:
        """Ask it to end, and hear what it still says."""
        self.client.shutdown()
        deadline = time.perf_counter() + ENDING
        while self.process.poll() is None and time.perf_counter() < deadline:
            try:
                run.take(self.client.get_iopub_msg(timeout=0.1))
            except Empty:
                continue

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDING)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.client.stop_channels()
        self.place.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a notebook without a browser, and write it as a page of HTML.")
    parser.add_argument("notebook", nargs="?", type=Path, default=HERE / "delays.ipynb")
    parser.add_argument("--html", type=Path, default=PAGE, help="where the page goes (default: %(default)s)")
    parser.add_argument("--executed", type=Path, help="where the executed notebook goes, if anywhere")
    options = parser.parse_args()
    console = Console()
    notebook = json.loads(options.notebook.read_text("utf-8"))
    run = Run(notebook, options.notebook.resolve().parent)
    console.rule(f"[bold]{options.notebook.name}[/]: {len(run.cells)} cells")
    began = time.perf_counter()
    kernel = Kernel(run.folder)
    with kernel as client, ExitStack() as stack:
        if console.is_terminal:
            stack.enter_context(Live(run, console=console, refresh_per_second=REDRAWS))
        fine = run.run(client, kernel.process, console)
        kernel.end(run)
    seconds = time.perf_counter() - began
    if not fine:
        console.print(Text.from_ansi("\n".join(run.error)))
    options.html.parent.mkdir(parents=True, exist_ok=True)
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    footer = f"Run by examples/08_notebook/demo.py in {seconds:.0f} s ({machine})."
    options.html.write_text(page(run.filled(), footer), "utf-8")
    if options.executed is not None:
        options.executed.write_text(json.dumps(run.filled(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    console.print(f"\n{seconds:.0f} s. The notebook as it was run, with its pictures:")
    console.print(f"  {options.html.resolve().as_uri()}", soft_wrap=True)
    return 0 if fine else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
