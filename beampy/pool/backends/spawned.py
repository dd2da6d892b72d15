"""Spawner: runners as processes with an interpreter of their own, where a zygote cannot be had or is not wanted.

Rule: the same methods as Zygote's, so that the local backend need not know which one it has; a start takes the time of
an interpreter and of all imports, 0.1 to 0.2 s. Place: under the local backend. A runner ends with the thread that
started it (spawned_main.py); what that leaves when this process is killed is not found, as it is by a zygote.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from beampy.pool import reaping
from beampy.pool.spec import VARIABLE, RunnerSpec
from beampy.pool.zygote import ENTRY, GONE, ZygoteError, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOK = 0.05  # seconds between two looks at processes where the system cannot wake us for their ends


class Spawned:
    """One process."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, ooms: int) -> None:
        self.process = process
        self.name = name
        self.ooms = ooms  # kills for want of memory when it was started
        self.asked = False  # somebody wanted it killed
        self.watch = -1  # a descriptor that is readable when it has ended
        self.gone = asyncio.Event()  # and what it left, too


class Spawner:
    """Starts runners. `entry`: they call `run()` of its module. `on_end`: as Zygote's."""

    def __init__(
        self,
        *,
        entry: str = ENTRY,
        python: str | None = None,
        on_end: Callable[[int, int | None, bool], object] | None = None,
    ) -> None:
        self.on_end = on_end
        self._command = [python or sys.executable, "-P", "-m", "beampy.pool.spawned_main"]
        self._module = entry.partition(":")[0]
        self._running: dict[int, Spawned] = {}
        self._cleaning: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Nothing has to be started."""

    async def ready(self, timeout: float = 0.0) -> None:
        """It always is."""

    async def fork(
        self, spec: str, log: str, env: Mapping[str, str] | None = None, *, name: str = "", memory: int | None = None
    ) -> int:
        """A new process; see Zygote.fork. OSError: there is no such interpreter, or no process can be started."""
        name = name or RunnerSpec.from_text(spec).name
        mark = reaping.marked(name, os.environ.get(reaping.MARK, ""))
        variables = environment() | dict(env or {}) | {VARIABLE: spec, reaping.MARK: mark}
        output = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        ooms = reaping.oom_kills()
        try:
            # Here and in no other thread: the process may ask to end with the thread that started it.
            process = subprocess.Popen(  # noqa: ASYNC220  -- a millisecond
                [*self._command, str(os.getpid()), self._module],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,
            )
        finally:
            os.close(output)
        if memory:
            _limit(process.pid, memory)
        self._running[process.pid] = runner = Spawned(process, name, ooms)
        self._watch(runner)
        return process.pid

    async def kill(self, os_pid: int, number: int = signal.SIGKILL) -> None:
        """Send it a signal; see Zygote.kill."""
        runner = self._running.get(os_pid)
        if runner is None:
            return
        if number != signal.SIGKILL:
            runner.process.send_signal(number)
            return
        runner.asked = True
        if runner.process.poll() is None:
            reaping.kill_below(os_pid)
            with contextlib.suppress(OSError):
                os.killpg(os_pid, number)
        runner.process.send_signal(number)
        try:
            await asyncio.wait_for(runner.gone.wait(), GONE)
        except TimeoutError:
            raise ZygoteError(f"process {os_pid} did not end within {GONE:g} s of SIGKILL") from None

    async def close(self) -> None:
        """End all of them."""
        await asyncio.gather(*[self.kill(pid) for pid in self._running])
        while self._cleaning:
            await asyncio.wait(list(self._cleaning))
        if self._timer is not None:
            self._timer.cancel()

    # ---- ends ----

    def _watch(self, runner: Spawned) -> None:
        """Hear of its end."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(AttributeError, OSError, NotImplementedError):
            runner.watch = os.pidfd_open(runner.process.pid)
            loop.add_reader(runner.watch, self._look, runner)
            return
        if self._timer is None:
            self._timer = loop.call_later(LOOK, self._look_at_all, loop)

    def _look_at_all(self, loop: asyncio.AbstractEventLoop) -> None:
        for runner in list(self._running.values()):
            if runner.watch < 0:
                self._look(runner)
        self._timer = loop.call_later(LOOK, self._look_at_all, loop) if self._running else None

    def _look(self, runner: Spawned) -> None:
        status = runner.process.poll()
        if status is None or runner.gone.is_set():
            return
        if runner.watch >= 0:
            asyncio.get_running_loop().remove_reader(runner.watch)
            os.close(runner.watch)
            runner.watch = -1
        pid = runner.process.pid
        if self._running.get(pid) is runner:
            oom = status == -signal.SIGKILL and not runner.asked and reaping.oom_kills() > runner.ooms
            if self.on_end is not None:
                self.on_end(pid, status, oom)
            cleaning = asyncio.ensure_future(self._clean(runner))
            self._cleaning.add(cleaning)
            cleaning.add_done_callback(self._cleaning.discard)

    async def _clean(self, runner: Spawned) -> None:
        """End what it has left."""
        pid = runner.process.pid
        try:
            await asyncio.to_thread(_kill_left, runner.name, pid)
        finally:
            runner.gone.set()
            if self._running.get(pid) is runner:
                del self._running[pid]


def _kill_left(name: str, session: int) -> None:
    """In a thread: it looks at every process of the machine."""
    for _ in range(reaping.ROUNDS):
        left = reaping.left_by(name, session)
        if not left:
            return
        reaping.kill(left)


def _limit(pid: int, memory: int) -> None:
    import resource

    resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
