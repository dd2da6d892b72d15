"""The zygote: a process with everything imported that forks into runners, and ends all that it and they have started.

Rule: one thread, no event loop, and nothing that blocks but its one poll: so a fork of it is always sound. It is the
parent of its runners and the heir of whatever they leave (a subreaper), so nothing below it can get away: not in a
session of its own, and not by its parent's end. When a runner has ended, what it left is killed. When the zygote's own
parent has ended, which the end of its socket says, and a signal beside it, everything below the zygote is killed.

Place: the program `python -m beampy.pool.zygote_main FD PARENT`; its parent's side is zygote.py. It knows nothing of
pools: a runner is a function that is called with a spec, in a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import random
import select
import signal
import socket
import sys
import time
import traceback
from typing import Any, NoReturn

from beampy.pool import reaping
from beampy.pool.zygote_frames import Frames, packed

# What a runner imports from its start to the end of its first call, beside the module of its entry: asked for in
# functions there. What is not installed is left out.
CORE = (
    "uvloop",
    "beampy.runtime.program",
    "beampy.runtime.records",
    "beampy.runtime.code",
    "beampy.runtime.references",
    "beampy.dist.join",
    "beampy.code.closures",
    "beampy.code.store",
    "beampy.otp.rpc_produce",
    "concurrent.futures.thread",
    "beampy.pool.job",
    "encodings.idna",
    "faulthandler",
)

LOOK = 10  # milliseconds between two looks at what was killed: the kernel does not tell of ends further below
ENDS = 10.0  # seconds for all that is below it to be gone; what the kernel does not let go of is given up then
PAUSE = 0.002  # seconds between two rounds of that
SWEEPS = 3  # looks for what is left after an end: the kernel's list of children may lack some while others end
REMEMBERED = 1000  # runners that have ended, whose leavings are known as theirs
STATUS = 70  # of a runner whose entry could not be called or raised: EX_SOFTWARE of sysexits.h
READ = 1 << 16  # bytes at once

_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)  # that the zygote has handlers for


class _Runner:
    """A process that was forked, by the request `number`."""

    def __init__(self, pid: int, name: str, number: int, ooms: int) -> None:
        self.pid = pid
        self.name = name
        self.number = number
        self.ooms = ooms  # kills for want of memory when it was forked
        self.asked = False  # somebody wanted it killed
        found = reaping.look(pid)
        self.began = found.began if found is not None else 0


class Zygote:
    """One zygote's life, from `serve` to its end. `line` is the socket to its parent, the process `parent`."""

    def __init__(self, line: socket.socket, parent: int) -> None:
        self._line = line
        self._parent = parent
        self._frames = Frames()
        self._entry: Any = None
        self._remove = ""
        self._mark = reaping.variable(os.getpid(), reaping.MARK)
        self._ending = False
        self._wake: tuple[int, int] = (-1, -1)
        self._runners: dict[int, _Runner] = {}
        self._past: dict[int, None] = {}  # the sessions of runners that have ended, oldest first
        self._sweeps = 0  # that are still to be made
        self._dying: list[reaping.Process] = []  # left by runners, and killed
        self._killing: list[tuple[int, int, list[reaping.Process]]] = []  # requests that wait for ends

    # ---- its start ----

    def prepare(self) -> bool:
        """Read what to do and import what runners need. False: it cannot fork, which the parent was told."""
        told: dict[str, Any] | None = None
        while told is None:
            data = self._line.recv(READ)
            if not data:
                return False
            told = next(iter(self._frames.feed(data)), None)
        self._remove = told["remove"]
        why = _load(told["entry"], told["preload"])
        threads = _threads()
        if not why and threads > 1:
            why = f"after the imports it has {threads} threads, and what they hold would stay held in a forked process"
        if not why:
            self._entry = found(told["entry"])
        self._say({"ready": True, "threads": threads, "why": why})
        return not why

    def serve(self, entry: Any = None) -> NoReturn:
        """Fork when told to, until the parent is gone; then end all, and exit."""
        if entry is not None:
            self._entry = entry
        gc.collect()
        gc.freeze()  # so that the collector of a fork does not touch, and copy, what they share
        gc.disable()
        self._listen()
        try:
            self._loop()
        except (OSError, ValueError):  # the parent has ended, or is out of its mind
            pass
        except BaseException:
            traceback.print_exc()
        self._end()

    def _listen(self) -> None:
        reaping.adopt()
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # From here on its end has work to do: a signal that can be handled, when the thread that forked it ends.
        if not reaping.die_with(self._parent, signal.SIGTERM):
            self._ending = True

    def _asked_to_end(self, *_: object) -> None:
        self._ending = True

    # ---- its work ----

    def _loop(self) -> None:
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        while not self._ending:
            for each, _ in poll.poll(LOOK if self._killing or self._sweeps else None):
                if each == self._wake[0]:
                    with contextlib.suppress(BlockingIOError):
                        os.read(each, READ)
                    continue
                data = self._line.recv(READ)
                if not data:
                    return
                for message in self._frames.feed(data):
                    self._do(message)
            self._look()

    def _do(self, message: dict[str, Any]) -> None:
        if "spec" in message:
            self._fork(message)
        elif "forget" in message:
            made = [pid for pid, runner in self._runners.items() if runner.number == message["fork"]]
            self._kill(message["forget"], made[0] if made else 0, signal.SIGKILL)
        else:
            self._kill(message["kill"], message["pid"], message["signal"])

    def _say(self, message: dict[str, Any]) -> None:
        self._line.sendall(packed(message))

    def _fork(self, message: dict[str, Any]) -> None:
        ooms = reaping.oom_kills()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        me = os.getpid()
        # Else a signal for the runner could meet a handler of the zygote's in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(message, me)
        except OSError as error:
            self._say({"failed": message["fork"], "why": f"no process could be forked: {error.strerror or error}"})
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
        self._runners[pid] = _Runner(pid, message["name"], message["fork"], ooms)
        self._say({"forked": message["fork"], "pid": pid})

    def _kill(self, number: int, pid: int, what: int) -> None:
        runner = self._runners.get(pid)
        gone: list[reaping.Process] = []
        if runner is not None and what == signal.SIGKILL:
            runner.asked = True
            gone = reaping.kill_below(pid)
            for end in (os.kill, os.killpg):
                with contextlib.suppress(OSError):
                    end(pid, what)
        elif runner is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, what)
            pid = 0
        self._killing.append((number, pid, gone))

    # ---- ends of others ----

    def _look(self) -> None:
        """Wait for who has ended, kill what they left, and say so."""
        ended = False
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                ended = True
                self._ended(*found)
        if ended:
            self._sweeps = SWEEPS
        if self._sweeps or self._killing:
            self._sweeps = max(0, self._sweeps - 1)
            self._sweep()
        if self._killing:
            waiting = [each for each in self._killing if not self._gone(each)]
            done = [each for each in self._killing if each not in waiting]
            self._killing = waiting
            for number, _, _ in done:
                self._say({"done": number})

    def _gone(self, asked: tuple[int, int, list[reaping.Process]]) -> bool:
        _, pid, processes = asked
        return pid == 0 or not (pid in self._runners or self._dying or any(map(reaping.alive, processes)))

    def _ended(self, pid: int, code: int) -> None:
        runner = self._runners.pop(pid, None)
        if runner is None:
            return  # left by one
        self._past[pid] = None
        if len(self._past) > REMEMBERED:
            del self._past[next(iter(self._past))]
        status = os.waitstatus_to_exitcode(code)
        oom = status == -signal.SIGKILL and not runner.asked and reaping.oom_kills() > runner.ooms
        self._say({"ended": pid, "status": status, "oom": oom})

    def _sweep(self) -> None:
        """Kill what runners have left that have ended: children of the zygote that are nobody's who lives."""
        self._dying = [each for each in self._dying if reaping.alive(each)]
        dying = {each.pid for each in self._dying}
        for pid in reaping.children(os.getpid()):
            if pid in self._runners or pid in dying:
                continue
            process = reaping.look(pid)
            if process is not None and not process.ended and not self._owned(process):
                left = [process, *reaping.below(pid)]
                reaping.kill(left)
                self._dying += left

    def _owned(self, process: reaping.Process) -> bool:
        """Whether a runner that lives may have started it, and its parent is gone: a daemon."""
        if process.session in self._runners:
            return True
        if process.session in self._past:
            return False
        mark = reaping.variable(process.pid, reaping.MARK)
        if mark and mark != self._mark:
            names = mark.split(reaping.SEPARATOR)
            return any(runner.name in names for runner in self._runners.values())
        # It says no more than the zygote itself. Who began after it cannot have started it.
        began = process.began, process.pid  # numbers go up, and the kernel's ticks are long
        return any((runner.began, runner.pid) < began for runner in self._runners.values())

    # ---- its own end ----

    def _end(self) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deadline = time.monotonic() + ENDS
        with contextlib.suppress(ChildProcessError):  # there is no child any more
            while time.monotonic() < deadline:
                reaping.kill(reaping.below(os.getpid()))
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
                time.sleep(PAUSE)
        if self._remove:
            _removed(self._remove)
        os._exit(0)

    # ---- a runner's start ----

    def _become(self, message: dict[str, Any], zygote: int) -> NoReturn:
        """In the fork: be the runner that the message describes."""
        status = STATUS
        try:
            os.setsid()
            if not reaping.die_with(zygote):
                os._exit(STATUS)
            self._line.close()  # with a copy of it open anywhere, its end would never be seen
            signal.set_wakeup_fd(-1)
            for end in self._wake:
                os.close(end)
            self._runners.clear()
            for number in _BLOCKED:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
            _settle(message)
            gc.enable()
            status = self._entry(_spec(message["spec"])) or 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def _settle(message: dict[str, Any]) -> None:
    """What a process of its own has of its own: files, environment, limits, and dice."""
    null = os.open(os.devnull, os.O_RDWR)
    log = message["log"]
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600) if log else null
    for target, source in ((0, null), (1, output), (2, output)):
        os.dup2(source, target)
    for each in {null, output}:
        if each > 2:
            os.close(each)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)  # so that what was printed is there, however it ends
    os.environ.update(message["env"])
    os.environ[reaping.MARK] = reaping.marked(message["name"], os.environ.get(reaping.MARK, ""))
    if message["memory"]:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (message["memory"], message["memory"]))
    random.seed()
    numbers = sys.modules.get("numpy.random")
    if numbers is not None:
        numbers.seed()


def _spec(text: str) -> Any:
    from beampy.pool.spec import RunnerSpec

    return RunnerSpec.from_text(text)


def found(entry: str) -> Any:
    """The function that `module:function` names."""
    module, colon, function = entry.partition(":")
    if not colon:
        raise ValueError(f"not a function, as in module:function: {entry!r}")
    return getattr(importlib.import_module(module), function)


def _load(entry: str, preload: list[str]) -> str:
    """Import all of it, and find out what every runner would. What went wrong, or ""."""
    for name in CORE:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    try:
        found(entry)
        from beampy.runtime.code import prepare

        prepare()
    except Exception as error:
        return f"{entry} cannot be imported: {type(error).__name__}: {error}"
    for name in preload:
        try:
            importlib.import_module(name)
        except Exception as error:
            return f"{name}, which is to be loaded before, cannot be imported: {type(error).__name__}: {error}"
    return ""


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def _removed(folder: str) -> None:
    """Remove a directory of files."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def main(arguments: list[str]) -> int:
    """Be a zygote, on the inherited socket that the first argument numbers; the second is the parent's process id."""
    descriptor, parent = map(int, arguments)
    if not reaping.die_with(parent):
        return 1
    os.set_inheritable(descriptor, False)
    zygote = Zygote(socket.socket(fileno=descriptor), parent)
    if zygote.prepare():
        zygote.serve()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
