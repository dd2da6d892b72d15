"""`beampy start`: a node in the foreground."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.cli.exits import NO, OK, USAGE, Refusal
from beampy.cli.visit import cookie_of
from beampy.core.current import here
from beampy.core.ids import node_name
from beampy.errors import Exited, NotConnected
from beampy.runtime.program import run as run_program

if TYPE_CHECKING:
    import argparse

    from beampy.dist.peers import Peers

log = logging.getLogger("beampy.start")

FIRST_RETRY, LAST_RETRY = 0.5, 30.0  # seconds between two attempts to reach a node of --connect


def run(options: argparse.Namespace) -> int:
    """Serve until the application ends, or a signal."""
    name = node_name(options.name)
    friends = [node_name(node) for node in options.connect]
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("asyncio").setLevel(max(logging.INFO, logging.getLogger().level))
    sys.path.insert(0, os.getcwd())  # as `python -m` does: the application, and what others call here by name
    app = None if options.app is None else application(options.app)
    cookie = cookie_of(options)
    served: list[str] = []
    try:
        run_program(
            serve,
            app,
            friends,
            served,
            name=name,
            cookie=cookie,
            hidden=options.hidden,
            bind=options.bind,
            port=options.port,
            unix=not options.no_unix,
            tls=options.tls,
            accept_code=options.accept_code,
            packages=options.packages,
        )
    except Exited as left:
        sys.stderr.write(f"beampy: {name} ended: {left.reason!r}\n")
        return NO
    except Exception as error:
        if served:
            traceback.print_exc()  # the application's own
            return NO
        if isinstance(error, NotConnected):  # its name is taken, or the name service does not take it
            raise Refusal(NO, str(error)) from None
        raise
    return OK


def application(where: str) -> Any:
    """The Supervisor class or async function that "module:name" stands for. Refusal where there is none."""
    module, colon, path = where.partition(":")
    if not colon or not module or not path:
        raise Refusal(USAGE, f"--app is MODULE:NAME, as in shop.main:App, not {where!r}")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise  # the module is there, and what it imports is not
        raise Refusal(USAGE, f"there is no module {module!r} here or installed") from None
    except AttributeError as error:
        raise Refusal(USAGE, str(error)) from None
    if isinstance(found, type) and hasattr(found, "start_link"):
        return found
    if asyncio.iscoroutinefunction(found):
        return found
    raise Refusal(
        USAGE, f"{where} is a {type(found).__name__}, and an application is a Supervisor or an async function"
    )


async def serve(app: Any, friends: list[str], served: list[str]) -> None:
    """The first process of the node. `served` says that it came as far as that."""
    served.append(api.node())
    sys.stderr.write(f"{ready()}\n")
    sys.stderr.flush()
    for node in friends:
        api.spawn(keep_connected, node)
    if app is None:
        async for _ in api.mailbox():  # nobody has this pid; what is spawned here by others lives beside it
            pass
    elif isinstance(app, type):
        from beampy.runtime.program import _root

        await _root(app, ())
    else:
        await app()


def ready() -> str:
    """Who this is, and where it listens."""
    node = here("start").node
    peers: Peers = node.remote  # type: ignore[assignment]
    listeners = peers.listeners
    bind = peers.options.bind
    at = f"[{bind}]:{listeners.port}" if ":" in bind else f"{bind}:{listeners.port}"
    tls = " (TLS)" if peers.secure(bind) else ""
    unix = f" and {listeners.path}" if listeners.path else ""
    return f"{node.name} is up, process {os.getpid()}, on {at}{tls}{unix}"


async def keep_connected(node: str) -> None:
    """Connect with a node, and again when it was lost, for as long as this node runs."""
    api.set_label(f"connects with {node}")
    pause = FIRST_RETRY
    while True:
        try:
            await api.connect(node)
        except NotConnected:  # said in the log by whoever tried
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY)
            continue
        pause = FIRST_RETRY
        log.info("connected with %s", node)
        api.monitor_node(node)
        await api.receive()
        log.info("lost %s", node)
