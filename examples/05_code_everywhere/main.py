"""Code everywhere: a node started in an empty directory runs functions of this file and of the package beside it.

python examples/05_code_everywhere/main.py
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL

from lab import Text, readability

import beampy as bp

WORKER = "worker@localhost"
VERSE = "The fog comes on little cat feet. It sits looking over harbor and city on silent haunches and then moves on."


def shout(text: str) -> str:
    """A function of this file: it is not on the worker's disk, and no one puts it there."""
    return f"{text.upper()} (said by process {os.getpid()} in {os.listdir()})"


def change_your_mind() -> None:
    """What running a cell again does in a notebook."""
    global shout

    def shout(text: str) -> str:
        return f"{text.upper()}!!!"


def longest(text: str) -> str:
    """The package is imported there, when this line runs."""
    from lab.words import words

    return max(words(text), key=len)


async def main() -> None:
    print(f"{bp.node()} is process {os.getpid()}")
    print(await bp.remote_call(WORKER, shout, "hello"))

    # A class of the package, its data file, and an instance that comes back as one of the same class.
    report = await bp.remote_call(WORKER, readability, Text("Fog", VERSE))
    print(report)
    assert isinstance(report.text, Text)
    print("the longest word:", await bp.remote_call(WORKER, longest, VERSE))

    # What changes here has changed there at the next call.
    change_your_mind()
    print(await bp.remote_call(WORKER, shout, "hello again"))

    # And it can be looked at there.
    found = await bp.code.source(WORKER, "lab.words:words")
    print(f"{WORKER} has {found.text.splitlines()[0]}")


async def with_a_worker() -> None:
    """Start the worker, wait until it is up, and stop it at the end."""
    with tempfile.TemporaryDirectory() as empty:
        bp.monitor_nodes()
        command = [sys.executable, "-m", "beampy", "start", WORKER, "--connect", bp.node()]
        worker = await asyncio.create_subprocess_exec(*command, cwd=empty, stdout=DEVNULL, stderr=DEVNULL)
        try:
            await bp.receive(bp.NodeUp, timeout=20)
            await main()
        finally:
            worker.terminate()
            await worker.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # the node's own lines about the connection
    bp.run(with_a_worker, name="author")
