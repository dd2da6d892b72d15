"""Two hosts that are network namespaces of this machine, and what lies between them. For root on Linux only.

A `Wire` is two TUN devices whose packets this process carries: it can be slow, and it can lose everything without a
word, which not every kernel can be told to do (netem, netfilter). A `Cable` is a veth pair, whose ends can be pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import os
import re
import shutil
import struct
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS = ("10.77.1.1", "10.77.1.2")
DEVICE = "eth0"
NAMES = "/var/run/netns"
OURS = re.compile(r"beampy(\d+)[abx]")  # the process that made it
TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA  # these from <linux/if_tun.h>
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000  # <linux/sched.h>
IN_FLIGHT = 20_000  # packets; what is more is lost, as in any router
BURST = 256  # packets that are carried before anything else gets a turn


def ip(*args: str) -> None:
    """The command."""
    done = subprocess.run(["ip", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise OSError(f"ip {' '.join(args)}: {done.stderr.strip()}")


@functools.cache
def why_not() -> str | None:
    """Why there are no namespaces here, None where there are."""
    if shutil.which("ip") is None:
        return "no network namespaces: the command `ip` is not installed (iproute2)"
    name = f"beampy{os.getpid()}x"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        ip("netns", "exec", name, "true")
    except OSError as error:
        return f"no network namespaces: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


def why_no_wire() -> str | None:
    """Why there are no TUN devices here."""
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"no TUN devices: {TUN} cannot be opened"
    return why_not()


@contextlib.contextmanager
def namespaces() -> Iterator[list[str]]:
    """Two hosts. They are gone at the end, with all devices in them; those of tests that were killed go now."""
    for left in os.listdir(NAMES) if os.path.isdir(NAMES) else []:
        found = OURS.fullmatch(left)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            with contextlib.suppress(OSError):
                ip("netns", "del", left)
    names = [f"beampy{os.getpid()}{letter}" for letter in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            with contextlib.suppress(OSError):
                ip("netns", "del", name)


def within(namespace: str) -> list[str]:
    """What runs a command there."""
    return ["ip", "netns", "exec", namespace]


class Wire:
    """Between two namespaces: `delay` in seconds, one way; `cut` loses all packets."""

    def __init__(self, names: list[str]) -> None:
        self.delay = 0.0
        self.cut = False
        self.carried = self.lost = 0
        self._in_flight = 0
        self._loop = asyncio.get_running_loop()
        self._fds = [_tun_in(name) for name in names]
        for name, ours, theirs in zip(names, HOSTS, reversed(HOSTS), strict=True):
            ip("-n", name, "addr", "add", ours, "peer", theirs, "dev", DEVICE)
            ip("-n", name, "link", "set", DEVICE, "up")
        for source, target in (self._fds, self._fds[::-1]):
            self._loop.add_reader(source, self._carry, source, target)

    def _carry(self, source: int, target: int) -> None:
        for _ in range(BURST):
            try:
                packet = os.read(source, 65536)
            except BlockingIOError:
                return
            if self.cut or self._in_flight >= IN_FLIGHT:
                self.lost += 1
            elif self.delay:
                self._in_flight += 1
                self._loop.call_later(self.delay, self._arrive, target, packet)
            else:
                self._put(target, packet)

    def _arrive(self, target: int, packet: bytes) -> None:
        self._in_flight -= 1
        if self.cut:
            self.lost += 1
        else:
            self._put(target, packet)

    def _put(self, target: int, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # its queue is full, or it is gone
            os.write(target, packet)
            self.carried += 1

    def close(self) -> None:
        """Nothing is carried any more."""
        self.cut = True
        for fd in self._fds:
            self._loop.remove_reader(fd)
            os.close(fd)
        self._fds = []
        self._put = lambda target, packet: None  # type: ignore[method-assign]


def _tun_in(namespace: str) -> int:
    """A TUN device that lies in a namespace: a thread goes there, makes it, and ends."""
    found: list[int | BaseException] = []

    def make() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"{NAMES}/{namespace}", "rb") as there:
                if libc.setns(there.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            found.append(fd)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(found[-1], BaseException):
        if isinstance(found[0], int):
            os.close(found[0])
        raise found[-1]
    return found[0]  # type: ignore[return-value]


class Cable:
    """A veth pair between two namespaces."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        ip("-n", names[0], "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", names[1])
        for name, host in zip(names, HOSTS, strict=True):
            ip("-n", name, "addr", "add", f"{host}/24", "dev", DEVICE)
            ip("-n", name, "link", "set", DEVICE, "up")

    def pull(self) -> None:
        """Take the second host's end down: the first one's packets go nowhere."""
        ip("-n", self._names[1], "link", "set", DEVICE, "down")

    def plug(self) -> None:
        """Put it back."""
        ip("-n", self._names[1], "link", "set", DEVICE, "up")
