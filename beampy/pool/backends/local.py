"""LocalBackend: runners that are processes of this machine.

Rule: a runner is a fork of a zygote, which has everything imported, and so is up in milliseconds; where that cannot be
(macOS; a module to be loaded before that starts threads) it is a new interpreter. Nothing is left of either when the
pool stops, nor when this process ends, however it does: see zygote_main.py. What runners write goes to files in a
directory of the backend's own.

Place: the backend of a pool that is told of no other. It does not talk to runners, and does not look into specs.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from beampy.errors.pool import PoolError
from beampy.pool.backend import Description, Machine, Order
from beampy.pool.backends.spawned import Spawner
from beampy.pool.zygote import ENTRY, Zygote, ZygoteError, usable

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("beampy.pool")

STATUS = 1.0  # seconds that an exit status may take, as the protocol of backends has it
KEPT = 256  # machines that have ended and are still known, with their logs; twice as many as most pools have at once
SHOWN = 2_000  # characters of what a zygote wrote that did not come up
UTF8 = 4  # bytes a character has at most


class _Runner:
    """A machine of ours."""

    def __init__(self, maker: Zygote | Spawner, os_pid: int, path: Path) -> None:
        self.maker = maker
        self.os_pid = os_pid
        self.path = path
        self.ended = asyncio.Event()
        self.status: int | None = None
        self.oom = False


class LocalBackend:
    """Machines that are processes of this one.

    `preload`: modules that every runner has from its start, such as ("numpy",). They are imported once, and shared. If
    one of them starts threads, as polars does, a fork is not sound any more: runners are then new interpreters, without
    it.
    `log_dir`: where what they write is kept; by default a directory of the backend's own, which is removed at its end.
    `python`: their interpreter.
    `memory`: bytes of data that each may have (Linux); an allocation beyond it is a MemoryError there.
    `fork`: True: by a zygote (Linux); False: never; None: where that is possible.

    Runners have the environment that this process had when the pool started, and what the pool's `env` says.

    >>> LocalBackend(preload=["numpy"], memory=4 << 30).name
    'local'
    """

    name = "local"
    grace = 0.0
    local = True

    def __init__(
        self,
        preload: Sequence[str] = (),
        log_dir: str | os.PathLike[str] | None = None,
        python: str | None = None,
        memory: int | None = None,
        *,
        fork: bool | None = None,
        entry: str = ENTRY,
    ) -> None:
        if isinstance(preload, str) or not all(isinstance(each, str) for each in preload):
            raise ValueError(f"LocalBackend: preload is a list of modules' names, not {preload!r}")
        if memory is not None and (not isinstance(memory, int) or isinstance(memory, bool) or memory <= 0):
            raise ValueError(f"LocalBackend: memory is a number of bytes, not {memory!r}")
        self._preload = list(preload)
        self._log_dir = None if log_dir is None else Path(log_dir)
        self._python = python
        self._memory = memory
        self._fork = usable() if fork is None else fork
        self._entry = entry
        self._folder: Path | None = None
        self._maker: Zygote | Spawner | None = None
        self._old: list[Zygote | Spawner] = []  # makers that are not used any more, until they are closed
        self._changing = asyncio.Lock()
        self._machines: dict[str, _Runner] = {}  # in the order of their boots
        self._running: dict[int, _Runner] = {}
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<LocalBackend {'spawns' if isinstance(self._maker, Spawner) else 'forks'}, {len(self._running)} run>"

    # ---- life ----

    async def start(self) -> None:
        """Start the zygote, in the background. PoolError: what was asked for cannot be had here."""
        if self._fork and not usable():
            raise PoolError("LocalBackend: fork=True needs Linux; leave it out, and runners are started without fork")
        if self._memory is not None and sys.platform != "linux":
            raise PoolError("LocalBackend: memory= needs Linux; leave it out")
        if self._folder is None:
            self._folder = await asyncio.to_thread(self._made_folder)
        async with self._changing:
            if self._maker is None:
                self._maker = await self._made(self._fork)

    def _made_folder(self) -> Path:
        if self._log_dir is None:
            return Path(tempfile.mkdtemp(prefix="beampy-pool-"))  # mode 0700
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._log_dir

    async def _made(self, fork: bool) -> Zygote | Spawner:
        assert self._folder is not None
        maker: Zygote | Spawner
        if fork:
            mine = self._log_dir is None
            maker = Zygote(
                entry=self._entry,
                preload=self._preload,
                python=self._python,
                remove=str(self._folder) if mine else "",  # where this process cannot any more
                log=str(self._zygote_log(self._folder)),
                on_end=self._ended,
            )
        else:
            maker = Spawner(entry=self._entry, python=self._python, on_end=self._ended)
        try:
            await maker.start()
        except OSError as error:
            raise PoolError(f"LocalBackend: {self._python or sys.executable} cannot be run: {error}") from None
        return maker

    async def stop(self) -> None:
        """End all machines, and remove what they wrote if it is in a directory of ours."""
        async with self._changing:
            if self._maker is not None:
                self._old.append(self._maker)
                self._maker = None
            await asyncio.gather(*[maker.close() for maker in self._old])
            self._old = []  # not before: who is cancelled here stops it again
            folder, self._folder = self._folder, None
            self._machines.clear()
            self._running.clear()
        if folder is not None and self._log_dir is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    # ---- machines ----

    async def boot(self, order: Order) -> Machine:
        """Start a runner. ValueError: the order is none. TimeoutError: not within its time. PoolError: it cannot be."""
        _check(order)
        if self._folder is None:
            raise PoolError("LocalBackend: it is not started, or was stopped")
        await self._forget()
        number = next(self._numbers)
        path = self._folder / f"{os.getpid()}-{number}.log"
        try:
            async with asyncio.timeout(order.timeout):
                maker = await self._usable()
                env = dict(order.env)
                os_pid = await maker.fork(order.spec, str(path), env, name=order.name, memory=self._memory)
        except TimeoutError:
            raise TimeoutError(f"LocalBackend: {order.name} was not started within {order.timeout:g} s") from None
        except OSError as error:
            raise PoolError(f"LocalBackend: {order.name} could not be started: {error}") from None
        runner = _Runner(maker, os_pid, path)
        machine = Machine(f"{os_pid}-{number}", order.name, {"os_pid": os_pid, "log": str(path)})
        self._machines[machine.id] = self._running[os_pid] = runner
        return machine

    async def _usable(self) -> Zygote | Spawner:
        """The maker, ready; a new one if it has broken, and a Spawner where no zygote can be had."""
        for attempt in (1, 2):
            async with self._changing:
                if self._folder is None or self._maker is None:
                    raise PoolError("LocalBackend: it was stopped")
                maker = self._maker
                if isinstance(maker, Zygote) and maker.gone:
                    self._maker = maker = await self._made(True)
            try:
                await maker.ready()
            except ZygoteError as error:
                if isinstance(maker, Zygote) and maker.unfit:
                    await self._spawn_from_now_on(maker, error)
                elif attempt == 2:
                    raise PoolError(f"LocalBackend: {error}{await self._zygote_wrote()}") from None
                continue
            return maker
        assert self._maker is not None
        return self._maker

    async def _zygote_wrote(self) -> str:
        wrote = "" if self._folder is None else await asyncio.to_thread(_tail, self._zygote_log(self._folder), SHOWN)
        return f"\n{wrote}" if wrote else ""

    def _zygote_log(self, folder: Path) -> Path:
        return folder / f"zygote-{os.getpid()}.log"

    async def _spawn_from_now_on(self, maker: Zygote, error: ZygoteError) -> None:
        async with self._changing:
            if self._maker is maker:
                log.warning("runners are started without fork, which takes longer and shares no memory: %s", error)
                self._old.append(maker)
                self._maker = await self._made(False)

    async def terminate(self, machine: Machine) -> None:
        """Kill it and all that it has started."""
        runner = self._machines.get(machine.id)
        if runner is not None:
            await runner.maker.kill(runner.os_pid)

    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        """The end of what it wrote; "" for a machine that is not known (any more)."""
        runner = self._machines.get(machine.id)
        if runner is None or limit <= 0:
            return ""
        return await asyncio.to_thread(_tail, runner.path, limit)

    async def describe(self, machine: Machine) -> Description:
        """How it is."""
        runner = self._machines.get(machine.id)
        if runner is None:
            return Description("unknown", why="it is no machine of this backend, or was forgotten after its end")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STATUS):
                await runner.ended.wait()
        detail = {"os_pid": runner.os_pid, "log": str(runner.path)}
        if not runner.ended.is_set():
            return Description("running", why=f"process {runner.os_pid} runs", detail=detail)
        return Description("ended", runner.status, runner.oom, _why(runner), detail)

    def price(self, machine: Machine | None = None) -> float | None:
        """Nothing."""
        return 0.0

    def _ended(self, os_pid: int, status: int | None, oom: bool) -> None:
        runner = self._running.pop(os_pid, None)
        if runner is not None:
            runner.status, runner.oom = status, oom
            runner.ended.set()

    async def _forget(self) -> None:
        """The oldest that have ended, with their logs."""
        ended = [id for id, runner in self._machines.items() if runner.ended.is_set()]
        old = [self._machines.pop(id).path for id in ended[: max(0, len(ended) - KEPT)]]
        if old and self._log_dir is None:
            await asyncio.to_thread(_remove, old)


def _check(order: Order) -> None:
    """ValueError for what cannot be started."""
    name, spec, env, timeout = order
    for what, value in (("name", name), ("spec", spec)):
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError(f"an order's {what} is a text without NUL, not {type(value).__name__}")
    for key, value in dict(env).items():
        if not isinstance(key, str) or not isinstance(value, str) or not key or "=" in key or "\0" in key + value:
            raise ValueError(f"an order's env has texts without NUL, and names without '=', not {key!r}")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout > 0:
        raise ValueError(f"an order's timeout is a number of seconds, not {timeout!r}")


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _tail(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - UTF8 * limit))
            return file.read(UTF8 * limit).decode("utf-8", "replace")[-limit:]
    except OSError:
        return ""


def _why(runner: _Runner) -> str:
    """In words."""
    status = runner.status
    if status is None:
        return f"process {runner.os_pid} has ended, and nobody knows how"
    if status >= 0:
        return f"process {runner.os_pid} has ended with exit status {status}"
    with contextlib.suppress(ValueError):
        memory = ", for want of memory" if runner.oom else ""
        return f"process {runner.os_pid} was ended by {signal.Signals(-status).name}{memory}"
    return f"process {runner.os_pid} was ended by signal {-status}"
