"""The tour: what `make tour` runs. Real work, a crash in the middle, and figures at the end.

    python examples/tour.py [--files N]

First act: it counts the words of the Python standard library's own source files with a supervised crew of workers. One
of the files is made to crash the worker that reads it, the supervisor puts a fresh worker in its place, the file is
counted by that one, and the result is compared with a plain loop over the same files.

Second act (tour_nodes.py): two more nodes, each an operating-system process, count them again, and one of them is
killed in the middle.

Third act (tour_code.py): a node that is started in an empty directory runs a package that is made up, and edited, while
the tour goes on.

Fourth act (tour_pool.py): an elastic pool parses all those files, one of its runners is killed, and none is left when
there is no more to do.

Fifth act (tour_refs.py): half a gigabyte stays on the runner that made it, others have handles of it, and the memory is
free when the last one is dropped.

Sixth act (tour_frames.py): a year of flights, a month at a time on four runners, is worked on as a table of polars; one
runner is killed, and the answer stays that of polars on one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import secrets
import socket
import sysconfig
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from tour_code import code_everywhere
from tour_frames import remote_frames
from tour_nodes import two_nodes, words_of
from tour_pool import elastic_pool
from tour_refs import MB, references

import beampy as bp

WORKERS = 4
console = Console()


# act one, scene one: many processes


async def link_in_chain(next_one: bp.Pid) -> None:
    bp.send(next_one, await bp.receive() + 1)


async def many_processes(count: int) -> tuple[float, float]:
    """A chain of `count` processes; one message goes through all of them. Seconds to start it, and to pass it."""
    started = time.perf_counter()
    pid = bp.self()
    for _ in range(count):
        pid = bp.spawn(link_in_chain, pid)
    sent = time.perf_counter()
    bp.send(pid, 0)
    assert await bp.receive() == count
    return sent - started, time.perf_counter() - sent


# scene two: a supervised word count


class Worker(bp.Server):
    """Counts one file at a time. A file that is booby-trapped takes its worker down."""

    def __init__(self, trap: set[Path]) -> None:
        self.trap = trap

    @bp.call
    async def count(self, path: Path) -> Counter[bytes]:
        if path in self.trap:
            self.trap.remove(path)  # it goes off once
            raise RuntimeError(f"{path.name} is booby-trapped")
        return words_of(path)


class Crew(bp.Supervisor):
    """The workers; each is restarted alone."""

    strategy = "one_for_one"
    intensity = 10

    def __init__(self, trap: set[Path]) -> None:
        self.trap = trap

    def children(self) -> list[bp.ChildSpec]:
        return [Worker.child_spec(self.trap, id=n, name=f"worker-{n}") for n in range(WORKERS)]


async def work_through(name: str, files: list[Path], totals: Counter[bytes], board: Board) -> None:
    """Feed one worker, by name: a restarted worker has the same one. A file whose worker died is tried again."""
    worker = Worker.client(name)
    while files:
        path = files.pop()
        try:
            words = await worker.count(path)
        except (RuntimeError, bp.errors.CallFailed) as error:
            board.note(name, f"[red]crashed[/]: {error}")
            files.append(path)
            await asyncio.sleep(0.05)  # the new worker is there long before
            board.note(name, f"[green]restarted[/] as {bp.whereis(name)!r}")
        else:
            totals.update(words)
            board.done(name, path, words.total())


@dataclass
class Row:
    """One worker on the board."""

    files: int = 0
    words: int = 0
    event: str = ""


class Board:
    """What the screen shows of the crew."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.rows = {f"worker-{n}": Row() for n in range(WORKERS)}

    def done(self, name: str, path: Path, words: int) -> None:
        row = self.rows[name]
        row.files += 1
        row.words += words

    def note(self, name: str, text: str) -> None:
        self.rows[name].event = text

    def table(self) -> Table:
        done = sum(row.files for row in self.rows.values())
        table = Table(title=f"{done} of {self.total} files", title_justify="left")
        table.add_column("worker")
        table.add_column("files", justify="right", min_width=6)
        table.add_column("words", justify="right", min_width=9)
        table.add_column("event", min_width=40)
        for name, row in self.rows.items():
            table.add_row(name, f"{row.files}", f"{row.words:,}", row.event)
        return table


async def word_count(files: list[Path]) -> tuple[Counter[bytes], float]:
    """Count with the crew. The totals, and the seconds it took."""
    trap = {files[len(files) // 2]}
    await Crew.start_link(trap)
    totals: Counter[bytes] = Counter()
    board = Board(len(files))
    queue = list(files)
    started = time.perf_counter()
    with Live(board.table(), console=console, refresh_per_second=10) as live:
        async with asyncio.TaskGroup() as group:
            feeders = [group.create_task(work_through(name, queue, totals, board)) for name in board.rows]
            while not all(feeder.done() for feeder in feeders):
                live.update(board.table())
                await asyncio.sleep(0.05)
        live.update(board.table())
    assert not trap, "the trap went off"
    return totals, time.perf_counter() - started


# and the figures


async def ping_pong(rounds: int) -> float:
    """Round trips a second between two processes."""

    async def ponger() -> None:
        async for sender in bp.mailbox():
            bp.send(sender, "pong")

    pid, me = bp.spawn_link(ponger), bp.self()
    started = time.perf_counter()
    for _ in range(rounds):
        bp.send(pid, me)
        await bp.receive()
    seconds = time.perf_counter() - started
    bp.unlink(pid)
    bp.exit(pid, "kill")
    return rounds / seconds


async def calls(rounds: int) -> float:
    """Calls a second to a server."""

    class Echo(bp.Server):
        @bp.call
        async def echo(self, value: int) -> int:
            return value

    echo = await Echo.start_link()
    started = time.perf_counter()
    for n in range(rounds):
        await echo.echo(n)
    seconds = time.perf_counter() - started
    await echo.stop()
    return rounds / seconds


def source_files() -> list[Path]:
    """The standard library's own."""
    found = Path(sysconfig.get_paths()["stdlib"]).glob("**/*.py")
    return sorted(path for path in found if "site-packages" not in path.parts and path.is_file())


async def main(limit: int | None) -> None:
    files = source_files()[:limit]
    console.rule("[bold]beampy[/]: the tour")
    console.print(f"Python {platform.python_version()}, node {bp.self().node}, one event loop, one thread\n")

    console.print("[bold]1. Many processes.[/] A chain of 100 000, and one message through all of them.")
    starting, passing = await many_processes(100_000)
    console.print(f"   started in {starting:.2f} s, passed in {passing:.2f} s\n")

    console.print(f"[bold]2. A supervised word count[/] of {len(files)} source files, one of them booby-trapped.")
    totals, seconds = await word_count(files)
    plain: Counter[bytes] = Counter()
    for path in files:
        plain.update(words_of(path))
    assert totals == plain, "the crew and a plain loop must agree"
    console.print()
    common = ", ".join(f"{word.decode()} ({count:,})" for word, count in totals.most_common(4))
    console.print(f"   {totals.total():,} words in {seconds:.1f} s; the commonest: {common}")
    console.print("   one worker crashed, was restarted, and the totals equal those of a plain loop\n")

    console.print("[bold]3. Two more nodes[/], each an operating-system process of its own.")
    await two_nodes(files, console)

    console.print("[bold]4. Code everywhere.[/] A node that has nothing of this, and runs all of it.")
    await code_everywhere(console)

    console.print(
        f"[bold]5. An elastic pool[/] parses {len(files)} source files; [bold]kill -9[/] of one of its runners."
    )
    await elastic_pool(files, console)

    console.print(f"[bold]6. Big data stays where it is.[/] {MB} MB on one machine, and handles of it on others.")
    await references(console)

    console.print("[bold]7. A table on four machines,[/] as if it were here; [bold]kill -9[/] of one of them.")
    await remote_frames(console)

    console.print("[bold]8. Figures of this run.[/]")
    table = Table(show_header=False)
    table.add_row("processes started", f"{100_000 / starting:,.0f} /s")
    table.add_row("messages through a chain", f"{100_000 / passing:,.0f} /s")
    table.add_row("ping-pong", f"{await ping_pong(100_000):,.0f} round trips/s")
    table.add_row("server calls", f"{await calls(50_000):,.0f} /s")
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The tour of beampy: what `make tour` runs.")
    parser.add_argument("--files", type=int, default=None, help="how many files to count (default: all)")
    logging.basicConfig(level=logging.CRITICAL)  # the crash is shown on the board instead
    options = parser.parse_args()
    # The nodes of this run meet each other and nobody else: a cookie and a name service of their own.
    os.environ["BEAMPY_COOKIE"] = secrets.token_urlsafe(24)
    with socket.create_server(("127.0.0.1", 0)) as free:
        os.environ["ERL_EPMD_PORT"] = str(free.getsockname()[1])
    bp.run(main, options.files, name="tour")
