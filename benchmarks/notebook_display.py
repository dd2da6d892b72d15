"""A live card in a notebook: from an event on the node to the message that a browser gets.

64 runners report ten times a second each, which is what a pool sends at most: simulated ones, on the node's thread of
a real kernel, so that nothing but the display is measured. Each report is a point of a curve, and its value is the time
at which it was made; whoever takes the kernel's messages compares that with his own clock, of the same machine.
"notebook_display.p50" and "p95" are of all points; drawing ten times a second alone makes half of a tenth of a second.
"cpu" is what the kernel spends meanwhile, "rate" what it sends; "memory" is what beampy, its node, a pool and the card
add to a kernel that has just been started. What a browser adds is measured where there is one. The size is seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main
from benchmarks.subjects import ROOT

RUNNERS, RATE = 64, 10
WAIT = 60.0  # seconds for a kernel to start, or a cell to run

FEED = """
import os, time
import beampy as bp
from beampy.notebook.cells import current_cell
from beampy.pool.progress import CallProgress, Report
pool = bp.Pool("display")
pool.metrics()
manager, cell, began = pool._manager, current_cell(), time.time()

class Call:
    name, manager = "train", manager
    def __init__(self, number):
        self.number, self.label, self.step = number, f"display-runner-{number}", 0
        self.progress = CallProgress()
        cell.heard(manager.tell, self, "started")
    def report(self):
        self.step += 1
        point = (self.step, time.time() - began)
        self.progress.take(Report((("steps", self.step, total, False),), (("at", (point,)),)), manager.clock())
        cell.heard(manager.tell, self, "progress")
        if self.step < total:
            manager.loop.call_later(1 / rate, self.report)
        else:
            cell.heard(manager.tell, self, "finished")
    def outcome(self):
        return "ok"

def begin():
    for number in range(runners):
        manager.loop.call_later(number / runners / rate, Call(number + 1).report)

print(began)
spent = time.process_time()
manager.loop.call_soon_threadsafe(begin)
"""
SPENT = "print(time.process_time() - spent)"
RESIDENT = "with open('/proc/self/statm') as file: print(int(file.read().split()[1]) * 4096)"


class Kernel:
    """A kernel, and what it says on its output channel."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.blocking.client import BlockingKernelClient
        from jupyter_client.connect import write_connection_file

        file, _ = write_connection_file(str(folder / "kernel.json"), ip="127.0.0.1")
        env = {**os.environ, "PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        env |= {"IPYTHONDIR": str(folder), "BEAMPY_COOKIE": "of-this-benchmark-and-no-other"}
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", file]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.client = BlockingKernelClient(connection_file=file)
        self.client.load_connection_file()
        self.client.start_channels()
        until = time.monotonic() + WAIT
        while True:
            try:
                self.client.wait_for_ready(timeout=WAIT)
                break
            except RuntimeError:  # it takes a kernel that starts slowly for a dead one
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
        self.later: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        """The next message."""
        if self.later:
            return self.later.pop(0)
        message: dict[str, Any] = self.client.get_iopub_msg(timeout=WAIT)
        return message

    def run(self, code: str) -> str:
        """What a cell prints. The messages of others are kept."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        asked = self.client.session.msg("execute_request", content, metadata={"cellId": "a-cell"})  # as a page does
        self.client.shell_channel.send(asked)
        cell, out, kept = asked["header"]["msg_id"], "", []
        while True:
            message = self.next()
            kind, content = message["header"]["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell or kind.startswith("comm_"):
                kept.append(message)
            elif kind == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            elif kind == "stream":
                out += content["text"]
            elif kind == "status" and content["execution_state"] == "idle":
                self.later = kept
                return out

    def look(self, comm: str) -> None:
        """What a page says each second: somebody sees the card."""
        content = {"comm_id": comm, "data": {"method": "custom", "content": {"kind": "beat"}}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content))

    def close(self) -> None:
        """End it."""
        self.client.shutdown()
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.client.stop_channels()
        self.client.context.destroy(linger=0)


def shown(seconds: int) -> Figures:
    """Feed a card for so many seconds, and take what comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder))
        try:
            return _measured(kernel, seconds)
        finally:
            kernel.close()


def _measured(kernel: Kernel, seconds: int) -> Figures:
    empty = int(kernel.run(RESIDENT))
    total = seconds * RATE
    began = float(kernel.run(f"runners, rate, total = {RUNNERS}, {RATE}, {total}\n{FEED}"))
    late: list[float] = []
    comm, sent, first, looked = "", 0, 0.0, 0.0
    while True:
        message = kernel.next()
        now = time.time()
        content = message["content"]
        if message["header"]["msg_type"] == "comm_open" and "snapshot" in content["data"].get("state", {}):
            comm = content["comm_id"]
        if message["header"]["msg_type"] != "comm_msg" or content["comm_id"] != comm:
            continue
        if now - looked > 1.0:
            looked = now
            kernel.look(comm)
        first = first or now
        sent += len(json.dumps(content))
        told = content["data"].get("content") or {}
        if told.get("kind") != "more":
            continue
        card = json.loads(told["card"])
        for line in card["lines"]:
            late += [now - began - made for made in (line.get("new") or line.get("points") or [])[1::2]]
        if card["head"]["done"] == RUNNERS:
            break
    spent = float(kernel.run(SPENT))
    return {
        "notebook_display.p50": percentile_us(late, 0.5) / 1e3,
        "notebook_display.p95": percentile_us(late, 0.95) / 1e3,
        "notebook_display.cpu": 100 * spent / (now - began),
        "notebook_display.rate": sent / 1e3 / max(0.1, now - first),
        "notebook_display.memory": (int(kernel.run(RESIDENT)) - empty) / 1e6,
    }


async def notebook_display(seconds: int) -> Figures:
    return await asyncio.to_thread(shown, seconds)


CASES = (
    Case(
        "notebook_display",
        notebook_display,
        (
            Figure("notebook_display.p50", "ms", higher=False),
            Figure("notebook_display.p95", "ms", higher=False),
            Figure("notebook_display.cpu", "% of a core", higher=False),
            Figure("notebook_display.rate", "kB/s", higher=False),
            Figure("notebook_display.memory", "MB", higher=False),
        ),
        size=20,
        smoke=1,
        fresh=True,
        runs=3,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
