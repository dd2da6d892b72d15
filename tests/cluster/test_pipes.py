"""Nodes behind a pipe, in real processes: a subprocess's stdin and stdout, and ssh."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.errors import CookieMismatch, HandshakeFailed
from tests.cluster import apps
from tests.unit.dist.ports import free_port, until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ROOT = Path(__file__).resolve().parents[2]
ME, B = "test@127.0.0.1", "b@127.0.0.1"
IDLE = "beampy.testing.cluster_node:idle"


def command(app: str = IDLE, **options: Any) -> list[str]:
    """What runs node b behind its stdin and stdout."""
    spec = {"name": B, "app": app, "args": [], "options": {"pipe": [0, 1]} | options, "parent": 0}
    return [sys.executable, "-m", "beampy.testing.cluster_node", json.dumps(spec)]


class Piped:
    """A process behind pipes. What it says on stderr goes to a file."""

    def __init__(self, command: list[str], errors: Path, **env: str) -> None:
        self._errors = errors
        with errors.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                bufsize=0,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
            )

    @property
    def ends(self) -> tuple[Any, Any]:
        return self.process.stdout, self.process.stdin

    @property
    def said(self) -> str:
        return self._errors.read_text()

    async def ended(self) -> int | None:
        await until(lambda: self.process.poll() is not None)
        return self.process.returncode


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    started: list[Piped] = []

    def start(command: list[str], **env: str) -> Piped:
        started.append(Piped(command, tmp_path / f"{len(started)}.err", **env))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(10)
        for file in one.ends:
            file.close()
        sys.stdout.write(one.said)  # pytest shows it when the test has failed


async def use(node: bp.Node) -> None:
    """Messages, a monitor, and bulk in order."""
    pid, ref = await bp.spawn(apps.echo, node=B, monitor=True)
    for n in range(100):
        bp.send(pid, (bp.self(), n))
    assert [await bp.receive(timeout=10) for _ in range(100)] == list(range(100))
    data = os.urandom(20_000_000)
    began = time.perf_counter()
    bp.send(pid, (bp.self(), data))
    bp.send(pid, (bp.self(), "after it"))
    got = await bp.receive(timeout=20)
    sys.stdout.write(f"20 MB there and back: {20 / (time.perf_counter() - began):.0f} MB/s each way\n")
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    assert await bp.receive(timeout=10) == "after it"
    bp.exit(pid, "enough")
    assert await bp.receive(timeout=10) == bp.Down(ref, pid, "enough")
    assert apps.carriers() == {B: "pipe"}
    assert bp.nodes() == []
    assert bp.nodes("hidden") == [B]


async def test_a_node_behind_stdin_and_stdout(start: Any):
    b = start(command(), ERL_EPMD_PORT="1")  # it needs no name service
    async with bp.Node(ME) as node:
        assert await node.attach_pipe(*b.ends, B) == B
        await use(node)
        bp.monitor_node(B)
    assert await b.ended() == 0  # there is nobody for whom it would go on
    assert "Traceback" not in b.said


async def test_a_node_that_does_not_listen_has_a_node_behind_a_pipe(start: Any):
    b = start(command())
    async with bp.Node(ME, listen=False) as node:
        assert await node.attach_pipe(*b.ends, B) == B
        await use(node)


async def test_a_node_behind_a_pipe_that_is_killed(start: Any):
    b = start(command())
    async with bp.Node(ME) as node:
        await node.attach_pipe(*b.ends, B)
        bp.trap_exit(True)
        bp.monitor_nodes(kind="hidden")
        linked = await bp.spawn(apps.forever, node=B, link=True)
        b.process.kill()
        got = [await bp.receive(timeout=10), await bp.receive(timeout=10)]
        assert sorted(got, key=repr) == [bp.Exit(linked, "noconnection"), bp.NodeDown(B, "connection_closed")]
        again = start(command())
        assert await node.attach_pipe(*again.ends, B) == B
        assert await bp.receive(timeout=10) == bp.NodeUp(B)
        await use(node)


async def test_sigterm_behind_a_pipe_is_an_orderly_end(start: Any):
    b = start(command())
    async with bp.Node(ME) as node:
        await node.attach_pipe(*b.ends, B)
        bp.monitor_node(B)
        b.process.terminate()
        assert await bp.receive(timeout=10) == bp.NodeDown(B, "shutdown")
        assert await b.ended() == 0


async def test_prints_and_children_do_not_disturb_the_pipe(start: Any):
    b = start(command("tests.cluster.apps:prints"))
    async with bp.Node(ME) as node:
        await node.attach_pipe(*b.ends, B)
        heard = None
        for n in range(500):  # until it is registered
            bp.send(("echo", B), (bp.self(), n))
            try:
                heard = await bp.receive(timeout=0.02)
                break
            except TimeoutError:
                continue
        while heard != n:  # on a busy machine its answers come later than the next question
            heard = await bp.receive(timeout=10)
        await use(node)
        for stray in ("stray words", "stray bytes", "a stray child"):
            assert stray in b.said


async def test_what_a_login_shell_says_is_skipped(start: Any):
    b = start(["sh", "-c", f"echo Welcome; exec {shlex.join(command())}"])
    async with bp.Node(ME) as node:
        await node.attach_pipe(*b.ends, B)
        await use(node)


async def test_a_process_that_is_no_node(start: Any):
    b = start(["sh", "-c", "echo no such environment; exit 3"])
    async with bp.Node(ME) as node:
        with pytest.raises(HandshakeFailed, match="closed before it spoke: it said 'no such environment'"):
            await node.attach_pipe(*b.ends, B)


async def test_a_node_that_listens_survives_its_pipe(start: Any):
    b = start(command(listen=True))
    async with bp.Node(ME) as node:
        await node.attach_pipe(*b.ends, B)
        assert apps.carriers() == {B: "pipe"}
        bp.disconnect(B)
        await bp.connect(B)
        assert apps.carriers() == {B: "unix"}


async def test_different_cookies_behind_a_pipe(start: Any):
    b = start(command(), BEAMPY_COOKIE="9f86d081884c7d659a2feaa0c55ad015")
    async with bp.Node(ME) as node:
        with pytest.raises(CookieMismatch):
            await node.attach_pipe(*b.ends, B)
    assert await b.ended() == 1
    assert "CookieMismatch" in b.said


# --- ssh


class Sshd:
    """An ssh server of this test's own: its keys, its port, this user."""

    def __init__(self, server: str, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        for name in ("host", "user"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(key, check=True, stdin=subprocess.DEVNULL)
        (folder / "allowed").write_text((folder / "user.pub").read_text())
        config = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": folder / "host",
            "PidFile": "none",
            "AuthorizedKeysFile": folder / "allowed",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "StrictModes": "no",
            "AcceptEnv": "BEAMPY_COOKIE",
        }
        (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in config.items()))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a server of root's confines itself
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [server, "-D", "-e", "-f", str(folder / "config")], stdin=subprocess.DEVNULL, stderr=log
            )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def client(self, command: list[str]) -> list[str]:
        """What runs a command there. The cookie travels as an environment variable, inside of ssh."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": self._folder / "known",
            "SendEnv": "BEAMPY_COOKIE",
            "LogLevel": "ERROR",
        }
        stated = [f"-o{key}={value}" for key, value in options.items()]
        where = ["-i", str(self._folder / "user"), "-p", str(self.port), f"{getpass.getuser()}@127.0.0.1"]
        there = f"cd {shlex.quote(str(ROOT))} && exec env PYTHONPATH=. {shlex.join(command)}"
        return ["ssh", "-T", "-F", "none", *stated, *where, there]


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if server is None or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip("no ssh server is installed here (openssh-server)")
    running = Sshd(server, tmp_path)
    yield running
    running.process.kill()
    running.process.wait(10)
    sys.stdout.write(running.log)


async def test_a_node_behind_ssh(start: Any, sshd: Sshd):
    await until(lambda: "Server listening" in sshd.log or sshd.process.poll() is not None)
    assert sshd.process.poll() is None, sshd.log
    b = start(sshd.client(command()))
    async with bp.Node(ME) as node:
        began = time.perf_counter()
        await node.attach_pipe(*b.ends, B)
        sys.stdout.write(f"connected through ssh in {time.perf_counter() - began:.2f} s\n")
        await use(node)
        there: int = await bp.spawn(apps.tell_pid, bp.self(), node=B) and await bp.receive(int, timeout=10)
        bp.monitor_node(B)
        b.process.kill()  # the client: the connection breaks, and with it the node's stdin
        assert await bp.receive(timeout=10) == bp.NodeDown(B, "connection_closed")
        await until(lambda: apps.is_dead(there))


async def test_ssh_that_lets_nobody_in(start: Any, sshd: Sshd):
    await until(lambda: "Server listening" in sshd.log or sshd.process.poll() is not None)
    client = sshd.client(command())
    client[client.index("-i") + 1] = "/dev/null"
    b = start(client)
    async with bp.Node(ME) as node:
        with pytest.raises(HandshakeFailed, match="its pipe was closed before it spoke"):
            await node.attach_pipe(*b.ends, B)
    assert await b.ended() == 255
    await asyncio.sleep(0)
    assert "Permission denied" in b.said
