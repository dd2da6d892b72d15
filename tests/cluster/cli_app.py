"""What the node of test_cli.py runs, and functions that are called there by name."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import beampy as bp


class Stock(bp.Server):
    """A server with a name."""

    def __init__(self) -> None:
        self.count = 10

    @bp.call
    async def take(self, count: int) -> int:
        self.count -= count
        return self.count


class App(bp.Supervisor):
    """An application's root."""

    def children(self) -> list[bp.ChildSpec]:
        return [Stock.child_spec(name="stock")]


async def main() -> None:
    """An application that goes on until it is stopped, with something to see."""
    await App.start_link()
    bp.spawn(busy, name="busy")
    await bp.receive()


async def busy() -> None:
    """Asks the stock again and again."""
    bp.set_label("busy customer")
    while True:
        await Stock.client("stock").take(0)
        await asyncio.sleep(0.005)


async def soon() -> None:
    """An application that ends."""
    sys.stdout.write("the application ran\n")


async def breaks() -> None:
    """An application that fails."""
    raise ConnectionError("the database is not there")


def speak(text: str, times: int = 1) -> int:
    """Prints, logs, returns."""
    sys.stdout.write(f"{text}\n" * times)
    sys.stderr.write("aside\n")
    logging.getLogger("shop").warning("%d times", times)
    return times


def fail(text: str) -> None:
    """Raises."""
    raise LookupError(text)


async def leave() -> None:
    """Ends its own process."""
    bp.exit("had enough")


def many(count: int) -> Any:
    """A generator."""
    yield from range(count)


class Odd(Exception):
    """An exception that the caller cannot rebuild."""

    def __init__(self, a: int, *, b: int) -> None:
        super().__init__(a)
        self.b = b


def odd() -> None:
    """Raises it."""
    raise Odd(1, b=2)
