"""A visit: the client side of every command that asks a node something.

Rule: the visitor is a hidden node that listens nowhere and has a name nobody else has; it connects the way all nodes
do, and is gone when the block ends. Its own log about connections is silent: what matters is in the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from beampy.cli.exits import USAGE, Refusal
from beampy.core.ids import node_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")

QUIET = ("beampy.dist", "beampy.epmd")  # the loggers of connections


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine. asyncio's own loop: it is imported in any case, and one connection is no load."""
    return asyncio.run(work)


def cookie_of(options: argparse.Namespace) -> bytes:
    """The cookie: that of --cookie-file, else where every node finds it. Refusal when that is no good."""
    from beampy.dist.cookie import find, from_file
    from beampy.dist.epmd import default_port

    try:
        default_port()  # the other thing that the environment may say wrongly
        if options.cookie_file is None:
            return find()
        path = Path(options.cookie_file)
        if not path.exists():  # a node makes its own file; one that was named should be there
            raise Refusal(USAGE, f"there is no cookie file {path}")
        return from_file(path)
    except ValueError as error:
        raise Refusal(USAGE, str(error)) from None


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the visitor's node is made with."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {
        "name": f"cli-{secrets.token_hex(3)}@127.0.0.1",
        "listen": False,
        "hidden": True,
        "mesh": False,
        "accept_code": None,  # what a visitor asks for is the node's own
        "cookie": cookie_of(options),
        "setup_timeout": options.timeout,
    }


@contextlib.asynccontextmanager
async def visiting(options: argparse.Namespace) -> AsyncIterator[str]:
    """The body runs connected with `options.node`, whose full name it gets. NotConnected."""
    from beampy.api import connect

    async with visitor(options) as node:
        await connect(node)
        yield node


@contextlib.asynccontextmanager
async def visitor(options: argparse.Namespace) -> AsyncIterator[str]:
    """The same before it is connected."""
    from beampy.runtime.node import Node

    target = node_name(options.node)
    async with Node(**settings(options)):
        yield target
