"""Zygote, its parent's side: start one, let it fork, hear of ends, and end it with all that it has started.

Rule: a fork takes some milliseconds, because whatever a runner needs has been imported before. The thread that starts a
zygote has to live as long as that: its end is the zygote's, as is the end of the process, however it comes. Place:
under the local backend, and in a runner whose slots are processes. All methods are for one loop's thread.

    zygote = Zygote(on_end=print)
    await zygote.start()
    os_pid = await zygote.fork(spec.to_text(), "/tmp/r1.log", {})
    await zygote.kill(os_pid)           # it is gone then, and all that it had started
    await zygote.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beampy.errors.pool import PoolError
from beampy.pool import reaping
from beampy.pool.zygote_frames import Frames, packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENTRY = "beampy.pool.runner:main"  # what a fork calls with its spec

READY = 30.0  # seconds to start an interpreter and import a runner's modules, and what is to be loaded before
FORK = 10.0  # seconds for an answer; a fork takes milliseconds, on a machine that swaps a second
GONE = 12.0  # seconds for an end: more than the zygote itself waits for processes that the kernel does not let go of
LOOK = 0.002  # seconds between two looks at a zygote that ends: nothing wakes us for it


class ZygoteError(PoolError):
    """A zygote cannot fork, did not answer, or is gone; the text says which."""


def usable() -> bool:
    """Whether this system has what a zygote needs: fork, and prctl (Linux)."""
    return sys.platform == "linux" and hasattr(os, "fork")


class Zygote:
    """A process that forks into others.

    `entry`: the function ("module:function") that a fork calls with its RunnerSpec, and whose value is its exit status.
    `preload`: modules that it imports too. One that starts threads makes it unfit: `ready` raises ZygoteError.
    `python`: its interpreter.
    `remove`: a directory of files that it removes at its end. `log`: a file for what it writes itself.
    `on_end(os_pid, status, oom)` is called on the loop when a fork has ended: with its exit status, or minus a signal's
    number, None where that is not known; and whether memory had run out.
    """

    def __init__(
        self,
        *,
        entry: str = ENTRY,
        preload: Sequence[str] = (),
        python: str | None = None,
        remove: str = "",
        log: str = "",
        on_end: Callable[[int, int | None, bool], object] | None = None,
    ) -> None:
        self.on_end = on_end
        self.pid = 0
        self._told = {"entry": entry, "preload": list(preload), "remove": remove}
        self._python = python or sys.executable
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None  # None: it was forked here
        self._line: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Future[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._runners: dict[int, str] = {}  # os pid → name
        self._new: dict[int, tuple[int | None, bool] | None] = {}  # forks that nobody has been told of yet → their ends
        self._why = "it was not started"
        self._unfit = False
        self._waited = False  # for its end: its number may be another's then

    def __repr__(self) -> str:
        return f"<Zygote {self.pid or self._why}, {len(self._runners)} runners>"

    @property
    def gone(self) -> bool:
        """It was started and is not there any more."""
        return self._line is None and self._ready is not None

    @property
    def unfit(self) -> bool:
        """It has said itself that it cannot fork: another one could not either."""
        return self._unfit

    # ---- life ----

    @classmethod
    def from_fork(
        cls, *, entry: str = ENTRY, on_end: Callable[[int, int | None, bool], object] | None = None
    ) -> Zygote:
        """Fork this process; the child is a zygote, which has all that was imported here. For a process that has one
        thread and no loop yet: RuntimeError otherwise. `start` it on the loop, when there is one; close it."""
        if threading.active_count() > 1 or asyncio._get_running_loop() is not None:
            raise RuntimeError("Zygote.from_fork is for a process without threads and without a loop")
        from beampy.pool import zygote_main

        called = zygote_main.found(entry)
        zygote = cls(entry=entry, on_end=on_end)
        parent = os.getpid()
        line, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                line.close()
                os.setsid()  # whoever signals the group of its parent does not mean it
                zygote_main.Zygote(theirs, parent).serve(called)
            finally:
                os._exit(zygote_main.STATUS)
        theirs.close()
        zygote.pid = pid
        zygote._hold(line)
        return zygote

    async def start(self) -> None:
        """Start it, in the background: whatever needs it waits. Again: no effect. OSError: there is no interpreter."""
        if self._transport is not None:
            return
        self._loop = loop = asyncio.get_running_loop()
        forked = self._line is not None
        if not forked:
            self._launch()
        self._ready = loop.create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # told to who asks
        line = self._line
        assert line is not None
        self._transport, _ = await loop.create_unix_connection(lambda: _Line(self), sock=line)
        if forked:
            self._ready.set_result(None)
        else:
            self._transport.write(packed(self._told))

    def _launch(self) -> None:
        line, theirs = socket.socketpair()
        output = os.open(self._log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._process = subprocess.Popen(
                [self._python, "-P", "-m", "beampy.pool.zygote_main", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(theirs.fileno(),),
                env=environment(),
                start_new_session=True,  # Ctrl-C in a terminal is not meant for it
            )
        except BaseException:
            line.close()
            raise
        finally:
            theirs.close()
            os.close(output)
        self.pid = self._process.pid
        self._hold(line)

    def _hold(self, line: socket.socket) -> None:
        self._line = line
        _lines[self] = line.fileno()
        self._why = ""

    async def ready(self, timeout: float = READY) -> None:
        """Wait until it can fork. ZygoteError: it cannot, and why; or `timeout` seconds were not enough."""
        if self._ready is None:
            raise ZygoteError(f"the zygote is not there: {self._why or 'it was not started'}")
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), timeout)
        except TimeoutError:
            raise ZygoteError(f"the zygote was not ready within {timeout:g} s") from None

    async def close(self) -> None:
        """End it, and all that it has started: nothing of that runs when this returns. Again: no effect."""
        self._lost("it was closed")
        if self.pid and not await self._ends():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # its forks die with it
            await self._ends()

    async def _ends(self) -> bool:
        """Wait until it has ended, for GONE seconds at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GONE
        while not self._has_ended() and loop.time() < deadline:  # noqa: ASYNC110  -- nothing tells us
            await asyncio.sleep(LOOK)
        return self._has_ended()

    def _has_ended(self) -> bool:
        if self._waited:
            return True
        self._waited = self._wait()
        return self._waited

    def _wait(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    # ---- what it does ----

    async def fork(
        self, spec: str, log: str, env: Mapping[str, str] | None = None, *, name: str = "", memory: int | None = None
    ) -> int:
        """A new process, which runs the entry with this spec. Its process id.

        `log`: the file that it writes to, made if need be. `env`: added to the environment.
        `name`: what marks what it starts; by default the spec's.
        `memory`: bytes of data it may have; more is a MemoryError in it.
        Cancelled, it leaves none behind. ZygoteError: there is no such process. ValueError: `spec` and `env` cannot be
        sent.
        """
        await self.ready()
        if not name:
            from beampy.pool.spec import RunnerSpec

            name = RunnerSpec.from_text(spec).name
        message = {"spec": spec, "log": log, "env": dict(env or {}), "name": name, "memory": memory or 0}
        number, answer = self._ask("fork", message)
        try:
            async with asyncio.timeout(FORK):
                told = await answer
        except (asyncio.CancelledError, TimeoutError) as error:
            await self._forget(number)
            if isinstance(error, TimeoutError):
                raise ZygoteError(f"the zygote did not fork within {FORK:g} s") from None
            raise
        finally:
            self._answers.pop(number, None)
            made = _made(answer)
            end = self._new.pop(made, None)
        if "why" in told:
            raise ZygoteError(told["why"])
        self._runners[made] = name
        if end is not None:  # who waits for the number is to have it before he hears of its end
            asyncio.get_running_loop().call_soon(self._ended, made, *end)
        return made

    async def kill(self, os_pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to one of its forks; nothing to one that has ended. After SIGKILL it is gone when this returns,
        and so is all that it has started. ZygoteError: the kernel has not let go of it for 12 s."""
        if self._transport is None:
            return  # and with the zygote all is gone
        await self._done("kill", {"pid": os_pid, "signal": int(number)})

    async def _forget(self, number: int) -> None:
        with contextlib.suppress(ZygoteError):
            if self._transport is not None:
                await self._done("forget", {"fork": number})

    async def _done(self, what: str, message: dict[str, Any]) -> None:
        number, answer = self._ask(what, message)
        try:
            async with asyncio.timeout(GONE):
                await answer
        except TimeoutError:
            raise ZygoteError(f"a process did not end within {GONE:g} s of a {what}") from None
        finally:
            self._answers.pop(number, None)

    def _ask(self, what: str, message: dict[str, Any]) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        if self._transport is None:
            raise ZygoteError(f"the zygote is not there: {self._why}")
        self._number += 1
        data = packed({what: self._number, **message})
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        self._transport.write(data)
        return self._number, answer

    # ---- what it says ----

    def _said(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            if self._ready is not None and not self._ready.done():
                self._answer_ready(message["why"])
        elif "ended" in message:
            pid, status, oom = message["ended"], message["status"], message["oom"]
            if pid in self._runners:
                self._ended(pid, status, oom)
            elif pid in self._new:
                self._new[pid] = status, oom
        else:
            number = message.get("forked") or message.get("failed") or message.get("done")
            answer = self._answers.get(number or 0)
            if answer is not None and not answer.done():
                answer.set_result(message)
                if "pid" in message:
                    self._new[message["pid"]] = None

    def _answer_ready(self, why: str) -> None:
        assert self._ready is not None
        if why:
            self._unfit = True
            self._ready.set_exception(ZygoteError(f"a zygote cannot be used: {why}"))
        else:
            self._ready.set_result(None)

    def _ended(self, pid: int, status: int | None, oom: bool) -> None:
        self._runners.pop(pid, None)
        if self.on_end is not None:
            self.on_end(pid, status, oom)

    def _lost(self, why: str) -> None:
        """It is gone, or is to go: nothing can be asked of it any more."""
        transport, self._transport = self._transport, None
        line, self._line = self._line, None
        if line is None:
            return
        self._why = why
        _lines.pop(self, None)
        if transport is not None:
            transport.abort()
        else:
            line.close()
        gone = ZygoteError(f"the zygote is gone: {why}")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(gone)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(gone)
        for pid in list(self._runners):
            self._ended(pid, None, False)

    def _broken(self) -> None:
        """It has ended though nobody wanted that. Its forks have been killed with it; here is what these leave."""
        if self._line is None:
            return
        loop = self._loop
        if loop is None or not loop.is_running():  # it is closed with us in it, and takes no more callbacks
            self._line, self._transport = None, None
            self._why = "its loop was closed"
            _lines.pop(self, None)
            return
        runners = dict(self._runners)
        self._lost("it ended by itself, or somebody killed it")
        for pid, name in runners.items():
            reaping.kill(reaping.left_by(name, pid))
        if not self._has_ended():  # its socket can end before it does
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        _reap(self._has_ended, loop)


class _Line(asyncio.Protocol):
    """The connection, for the loop."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._frames = Frames()

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._zygote._said(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._zygote._broken()


def _reap(ended: Callable[[], bool], loop: asyncio.AbstractEventLoop) -> None:
    """Ask until it has ended, so that no zombie stays: it was killed, so that is soon."""
    if not ended() and not loop.is_closed():
        loop.call_later(LOOK, _reap, ended, loop)


def _made(answer: asyncio.Future[dict[str, Any]]) -> int:
    """The process id in an answer; 0: it has none."""
    if not answer.done() or answer.cancelled() or answer.exception() is not None:
        return 0
    pid: int = answer.result().get("pid", 0)
    return pid


def environment() -> dict[str, str]:
    """The variables for a process that is to import this very beampy."""
    folder = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH", "")
    if folder in path.split(os.pathsep) or folder.startswith((sys.prefix, sys.base_prefix)):
        return dict(os.environ)
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (folder, path)))}


# For a child that is forked from here by others: a copy of the parent's end that stays open in it would hide the
# parent's end from the zygote.
_lines: weakref.WeakKeyDictionary[Zygote, int] = weakref.WeakKeyDictionary()


def _forked() -> None:
    for descriptor in list(_lines.values()):
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(null, descriptor, inheritable=False)  # not closed: the number still belongs to an object
            os.close(null)
    _lines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
