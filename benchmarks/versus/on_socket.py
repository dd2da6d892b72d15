"""What the machine's sockets do with nothing on them: the floor under two nodes.

The variants "echo unix", "echo tcp" and "echo tls": as many bytes as a ping of beampy has in its frame, back and forth
between two processes, both on uvloop, protocol to protocol. The variants "fresh" and "reused": big messages over a
blocking unix socket, received into fresh memory each time or into the same memory again and again. The other process is
this file again, started anew for each run.
"""

from __future__ import annotations

import asyncio
import datetime
import importlib.metadata
import importlib.util
import os
import socket
import ssl
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.case import Figures, Workloads, per_second, percentile_us
from benchmarks.two_nodes import placed

if TYPE_CHECKING:
    from collections.abc import Coroutine

PING = bytes(64)  # a ping's frame: 26 bytes of header, and the pickle of ("ping", pid)
MB = 1_000_000
SIZES = (1, 16, 64)
PAIRS = 100


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Caller(asyncio.Protocol):
    """Plays `left` round trips, keeping the time that each took."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.took: list[float] = []
        self.got = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.began = perf_counter()
        transport.write(PING)

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if self.got < len(PING):
            return
        self.got = 0
        self.took.append(perf_counter() - self.began)
        if len(self.took) == self.left:
            self.transport.close()
            self.done.set_result(None)
        else:
            self.began = perf_counter()
            self.transport.write(PING)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """On uvloop, as beampy."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def remote(carrier: str, address: str, pid: int, n: int) -> Figures:
    loop = asyncio.get_running_loop()

    async def connect(count: int) -> Caller:
        make = partial(Caller, count)
        if carrier == "unix":
            return (await loop.create_unix_connection(make, address))[1]
        trust = _client() if carrier == "tls" else None
        return (await loop.create_connection(make, "127.0.0.1", int(address), ssl=trust))[1]

    with placed(pid, apart=True):
        one = await connect(n)
        await one.done
    with placed(pid, apart=False):
        close = await connect(n)
        await close.done
    each = max(1, n * 4 // PAIRS)
    began = perf_counter()
    callers = [await connect(each) for _ in range(PAIRS)]
    await asyncio.gather(*(caller.done for caller in callers))
    return {
        "remote.p50": percentile_us(one.took, 0.5),
        "remote.p99": percentile_us(one.took, 0.99),
        "remote.one_core": percentile_us(close.took, 0.5),
        "remote.pairs": per_second(each * PAIRS, began),
    }


async def serve_echo(carrier: str, address: str) -> None:
    loop = asyncio.get_running_loop()
    if carrier == "unix":
        await loop.create_unix_server(Echo, address)
        where = address
    else:
        with tempfile.TemporaryDirectory() as scratch:
            trust = _server(Path(scratch)) if carrier == "tls" else None
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=trust)
        where = str(server.sockets[0].getsockname()[1])
    _ready(where)
    ended = asyncio.Event()
    loop.add_reader(0, ended.set)
    await ended.wait()


def echo(carrier: str, n: int) -> Figures:
    with Beside("echo", carrier) as beside:
        figures: Figures = run(remote(carrier, beside.where, beside.pid, n))
        return figures


def remote_bulk(reuse: str, megabytes: int) -> Figures:
    figures: Figures = {}
    with Beside("bulk", reuse) as beside, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(beside.where)
        for size in SIZES:
            data = bytearray(os.urandom(1000)) * (size * 1000)
            n = max(1, megabytes // size)
            for count in (2, n):  # the first two warm up
                began = perf_counter()
                for _ in range(count):
                    sock.sendall(len(data).to_bytes(8, "big"))
                    sock.sendall(data)
                    assert sock.recv(1) == b"k"
            figures[f"remote_bulk.{size}MB.wait"] = n * len(data) / MB / (perf_counter() - began)
    return figures


def serve_bulk(reuse: str, address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        _ready(address)
        sock, _ = listener.accept()
        buffer = bytearray()
        while head := sock.recv(8):
            size = int.from_bytes(head, "big")
            if reuse != "reused" or len(buffer) != size:
                buffer = bytearray()  # let go of the last one first
                buffer = bytearray(size)
            view, got = memoryview(buffer), 0
            while got < size:
                got += sock.recv_into(view[got:])
            del view
            sock.sendall(b"k")


class Beside:
    """The other process; `where` is its address."""

    def __init__(self, role: str, variant: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="bench-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.versus.on_socket", role, variant, f"{self._scratch.name}/socket"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.where = self._process.stdout.readline().strip()
        self.pid = self._process.pid

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=5)
        self._scratch.cleanup()


def _ready(where: str) -> None:
    sys.stdout.write(where + "\n")
    sys.stdout.flush()


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _server(scratch: Path) -> ssl.SSLContext:
    """With a certificate of its own, of the kind that a node makes."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "echo")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (scratch / "pem").write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(scratch / "pem")
    return context


def workloads(variant: str) -> Workloads:
    kind, _, carrier = variant.partition(" ")
    if kind == "echo":
        return {"remote": partial(echo, carrier)}
    return {"remote_bulk": partial(remote_bulk, variant)}


def versions() -> dict[str, str]:
    return {} if importlib.util.find_spec("uvloop") is None else {"uvloop": importlib.metadata.version("uvloop")}


def loop(variant: str) -> str:
    if not variant.startswith("echo"):
        return "none"
    return "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"


if __name__ == "__main__":
    _role, _variant, _address = sys.argv[1:4]
    if _role == "echo":
        run(serve_echo(_variant, _address))
    else:
        serve_bulk(_variant, _address)
