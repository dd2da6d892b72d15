"""The app role: a node that runs one application, told what to do by its environment, as containers are.

    python nodes/app/node.py --app shop.main:App --name shop@10.0.0.2

Wiring only: every setting is an option, and its default an environment variable; see README.md beside this file. The
application is a Supervisor class or an async function. Nodes of `--connect` are connected with, and again when they
were lost.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from typing import Any

import beampy as bp

log = logging.getLogger("app")

FIRST_RETRY, LAST_RETRY = 0.5, 30.0  # seconds between two attempts to reach another node


class Friends(bp.Supervisor):
    """Keeps the node connected with those it was told of: one process for each."""

    strategy = "one_for_one"

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def children(self) -> list[bp.ChildSpec]:
        return [Friend.child_spec(name, id=name) for name in self.names]


class Friend(bp.Server):
    """Connects with one node; when that is lost, again."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.pause = FIRST_RETRY

    async def init(self) -> None:
        bp.send(bp.self(), "connect")

    async def handle_info(self, message: Any) -> None:
        if isinstance(message, bp.NodeDown):
            log.warning("lost %s", self.node)
            self.pause = FIRST_RETRY
        try:
            await bp.connect(self.node)
        except bp.errors.NotConnected as error:
            log.warning("%s; again in %g s", error, self.pause)
            bp.send_after(self.pause, bp.self(), "connect")
            self.pause = min(2 * self.pause, LAST_RETRY)
        else:
            log.info("connected with %s", self.node)
            bp.monitor_node(self.node)


async def main(app: Any, friends: list[str]) -> None:
    """The first process of the node."""
    log.info("%s is up, process %d", bp.node(), os.getpid())
    if friends:
        await Friends.start_link(friends)
    if isinstance(app, type):
        started = await app.start_link()  # type: ignore[attr-defined]
        pid = getattr(started, "pid", started)
        bp.monitor(pid)
        await bp.receive(lambda message: isinstance(message, bp.Down) and message.target == pid)
    else:
        await app()


def application(where: str) -> Any:
    """What "module:name" stands for."""
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not (asyncio.iscoroutinefunction(found) or (isinstance(found, type) and issubclass(found, bp.Supervisor))):
        raise TypeError(f"{where} is neither a Supervisor nor an async function")
    return found


def settings(argv: list[str] | None = None) -> argparse.Namespace:
    """What the node is told, by its arguments or else by its environment."""
    env = os.environ
    parser = argparse.ArgumentParser(description="A node that runs one application.")
    add = parser.add_argument
    add("--app", default=env.get("BEAMPY_APP"), help="MODULE:NAME, a Supervisor class or async function (BEAMPY_APP)")
    add("--name", default=env.get("BEAMPY_NAME", "app"), help="NAME@HOST (BEAMPY_NAME, default: app)")
    add("--bind", default=env.get("BEAMPY_BIND", "127.0.0.1"), help="where it listens (BEAMPY_BIND, 127.0.0.1)")
    add("--port", type=int, default=int(env.get("BEAMPY_PORT", "0")), help="its port (BEAMPY_PORT, any)")
    add("--connect", default=env.get("BEAMPY_CONNECT", ""), help="NODE,NODE: stay connected (BEAMPY_CONNECT)")
    add("--log-level", default=env.get("BEAMPY_LOG", "info"), help="(BEAMPY_LOG, info)")
    options = parser.parse_args(argv)
    if not options.app or ":" not in options.app:
        parser.error("tell it what to run: --app MODULE:NAME, or BEAMPY_APP")
    options.connect = [name.strip() for name in options.connect.split(",") if name.strip()]
    return options


def run(options: argparse.Namespace) -> None:
    """Serve until the application ends, or SIGTERM."""
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.path.insert(0, os.getcwd())
    app = application(options.app)
    bp.run(main, app, options.connect, name=options.name, bind=options.bind, port=options.port)


if __name__ == "__main__":
    run(settings())
