"""The tour's second act: two more nodes, each an operating-system process, and kill -9 of one in the middle of work.

examples/tour.py runs it. As a program of its own, `python examples/tour_nodes.py NAME TOUR`, this file is one of the
two.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

import beampy as bp

if TYPE_CHECKING:
    from rich.console import Console

WORD = re.compile(rb"[A-Za-z_]{2,}")
CALLS = 3  # at once for each node, so that it has work while an answer is under way
PACE = 1.2  # seconds that a reader is given for a line


def words_of(path: Path) -> Counter[bytes]:
    """The words of one file."""
    return Counter(WORD.findall(path.read_bytes()))


# on the two nodes


class WordCounter(bp.Server):
    """Counts the words of files that it is told, on whichever node it lives."""

    @bp.call
    async def count(self, path: str) -> Counter[bytes]:
        return await asyncio.to_thread(words_of, Path(path))

    @bp.call
    async def where(self) -> tuple[bp.Pid, int]:
        return bp.self(), os.getpid()


async def witness(tour: bp.Pid, other: bp.Pid) -> None:
    """Tied to a process of the other node in every way there is; says what it hears."""
    bp.trap_exit()
    bp.link(other)
    bp.monitor(other)
    bp.monitor_nodes()
    bp.send(tour, ("watching", bp.self()))
    async for message in bp.mailbox():
        bp.send(tour, ("heard", message, time.time()))
        if isinstance(message, bp.Exit) and message.pid != other:
            return  # its own node stops


async def worker_node(tour: str) -> None:
    """The main process of one of the two: it serves until the tour is over."""
    await WordCounter.start_link(name="words")
    bp.monitor_node(tour)
    await bp.receive(bp.NodeDown)


# on the tour's node


@dataclass
class Worker:
    """One of the two, as the tour sees it."""

    node: str
    process: asyncio.subprocess.Process
    pid: bp.Pid | None = None
    files: int = 0
    words: int = 0
    state: str = "[green]up[/]"


@dataclass
class Job:
    """The count: what is still to do, and what was found."""

    queue: list[Path]
    total: int
    workers: list[Worker]
    totals: Counter[bytes] = field(default_factory=Counter)
    under_way: int = 0  # files that a node is counting
    again: int = 0  # files that were given to another node

    def table(self) -> Table:
        done = sum(worker.files for worker in self.workers)
        table = Table(title=f"{done} of {self.total} files", title_justify="left")
        table.add_column("node")
        table.add_column("OS process", justify="right")
        table.add_column("files", justify="right", min_width=6)
        table.add_column("words", justify="right", min_width=9)
        table.add_column("state", min_width=22)
        for worker in self.workers:
            row = (worker.node, f"{worker.process.pid}", f"{worker.files}", f"{worker.words:,}", worker.state)
            table.add_row(*row)
        return table


async def start_workers() -> list[Worker]:
    """Two operating-system processes, and their nodes connected with this one."""
    bp.monitor_nodes()
    workers = []
    for side in ("left", "right"):
        name = f"{side}@localhost"
        process = await asyncio.create_subprocess_exec(sys.executable, __file__, name, bp.node())
        workers.append(Worker(name, process))
    async with asyncio.timeout(20):
        for _ in workers:
            await bp.receive(bp.NodeUp)
    for worker in workers:
        worker.pid, _ = await WordCounter.client(("words", worker.node)).where()
    return workers


async def remote_getpid(node: str) -> tuple[int, float]:
    """The answer of a call, and the µs it took: the middle of 21, of which the first ones are still warming up."""
    took, where = [], 0
    for _ in range(21):
        sent = time.perf_counter()
        where = await bp.remote_call(node, os.getpid)
        took.append(time.perf_counter() - sent)
    return where, sorted(took)[10] * 1e6


async def feed(job: Job, worker: Worker) -> None:
    """Give one node a file after the other. A file whose node is lost goes to the other one."""
    words = WordCounter.client(("words", worker.node))
    while job.queue or job.under_way:
        if not job.queue:
            await asyncio.sleep(0.01)  # what the other one has now may still come back
            continue
        path = job.queue.pop()
        job.under_way += 1
        try:
            found = await words.count(str(path))
        except bp.errors.CallFailed as error:
            job.queue.append(path)
            job.again += 1
            worker.state = f"[red]lost[/]: {type(error).__name__}"
            return
        finally:
            job.under_way -= 1
        job.totals.update(found)
        worker.files += 1
        worker.words += found.total()


async def count_and_kill(job: Job, victim: Worker, console: Console) -> float:
    """Count with both nodes, and kill one when half of the files are done. When that was (time.time())."""
    killed = 0.0
    with Live(job.table(), console=console, refresh_per_second=10) as live:
        async with asyncio.TaskGroup() as group:
            feeders = [group.create_task(feed(job, worker)) for worker in job.workers for _ in range(CALLS)]
            while not all(feeder.done() for feeder in feeders):
                if not killed and 2 * sum(worker.files for worker in job.workers) >= job.total:
                    killed = time.time()
                    victim.process.kill()
                live.update(job.table())
                await asyncio.sleep(0.02)
        live.update(job.table())
    console.print()
    return killed


async def heard(where: str, killed: float) -> Table:
    """What the witness said: by which way it learned of the end, and how soon."""
    table = Table(title=f"what a process on {where} saw of it", title_justify="left")
    table.add_column("by")
    table.add_column("message")
    table.add_column("after", justify="right")
    names = {bp.Exit: "the link", bp.Down: "the monitor", bp.NodeDown: "monitor_nodes"}
    for _ in names:
        _, message, at = await bp.receive(("heard", ..., float), timeout=10)
        shown = f"{type(message).__name__}(reason={message.reason!r})"
        table.add_row(names[type(message)], shown, f"{(at - killed) * 1e3:.1f} ms")
    return table


async def two_nodes(files: list[Path], console: Console) -> None:
    """The act."""
    workers = await start_workers()
    left, right = workers
    pace = PACE if console.is_terminal else 0
    try:
        console.print(f"   {left.node} is OS process {left.process.pid}, {right.node} is {right.process.pid};")
        console.print(f"   {bp.node()} is {os.getpid()}, connected with both")
        await asyncio.sleep(pace)

        where, micros = await remote_getpid(right.node)
        console.print(f"   os.getpid(), called on {right.node}: {where}, in {micros:,.0f} µs there and back")
        me = bp.self()
        watcher = await bp.spawn(witness, me, right.pid, node=left.node)
        await bp.receive(("watching", watcher), timeout=10)
        console.print(f"   {watcher!r}, started from here, is linked with")
        console.print(f"   {right.pid!r}, and monitors it")
        await asyncio.sleep(pace)

        console.print("\n   The same files, counted by the two of them; [bold]kill -9[/] of one at half-time.")
        job = Job(list(files), len(files), workers)
        started = time.perf_counter()
        killed = await count_and_kill(job, right, console)
        seconds = time.perf_counter() - started
        plain: Counter[bytes] = Counter()
        for path in files:
            plain.update(words_of(path))
        assert job.totals == plain, "the nodes and a plain loop must agree"
        console.print(
            f"   {job.totals.total():,} words in {seconds:.1f} s; {job.again} of the killed one's files were done"
        )
        console.print("   again by the other, and the totals equal those of a plain loop\n")
        console.print(await heard(left.node, killed))
        console.print(f"   nodes() here: {bp.nodes()}\n")
    finally:
        bp.monitor_nodes(False)
        for worker in workers:
            if worker.process.returncode is None:
                worker.process.terminate()
            await worker.process.wait()


if __name__ == "__main__":
    bp.run(worker_node, sys.argv[2], name=sys.argv[1])
