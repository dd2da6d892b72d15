"""Leak checks: what a test started and did not end fails that test.

Rule: whatever is counted before a test must have that count after it: asyncio tasks pending on
the test's loop, simulated sockets, threads, open file descriptors, child processes, and whatever
`register` adds. Tasks are looked at after the test's fixtures are torn down and before its loop
is closed, the rest after that. A first look is cheap (tens of microseconds); only a suspicion
costs a garbage collection and a short wait for threads that are ending. A test that failed or was
skipped is not checked: it had no chance to clean up.

Place: testing; a pytest plugin of its own, registered by beampy.testing.plugin when
`beampy_leaks = true`. It knows pytest-asyncio's name for the fixture that holds a test's loop,
and nothing of beampy's runtime.

Allowed: the executor threads of a loop that outlives the test, the helpers of multiprocessing,
/dev/urandom, and what `allow_thread` and `allow_fd` name. A fixture of a wider scope that a test
asks for by `request.getfixturevalue` looks like a leak of that test: name it as an argument.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import sys
import threading
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from beampy.testing.simtask import describe_task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

# A thread that was told to end gets this long to do so; one that was not is a leak at once.
_GRACE = 1.0
# Passes that a loop gets to finish what is cancelled or closed already; asyncio needs two or three.
_SETTLE = 10
# The names of the threads of a loop's default executor.
_EXECUTORS = ("asyncio_", "uvloop_")
_FDS = "/proc/self/fd"
_THREADS = "/proc/self/task"

_undone = pytest.StashKey[bool]()
_found = pytest.StashKey[list[str]]()

_thread_names: list[str] = ["pytest_timeout", "pydevd."]
_fd_targets: list[str] = ["/dev/urandom", "/dev/random"]


@dataclass(frozen=True)
class _Counter:
    count: Callable[[], int]
    describe: Callable[[], Iterable[str]] | None


_counters: dict[str, _Counter] = {}


def register(name: str, count: Callable[[], int], describe: Callable[[], Iterable[str]] | None = None) -> None:
    """Check one more thing: `count()` must come back to its value from before the test.

    `describe()` may list what there is, for the failure's text. A second call with the same name
    replaces the first.

    Example:
        leaks.register("running nodes", lambda: len(nodes), lambda: map(repr, nodes))
    """
    _counters[name] = _Counter(count, describe)


def unregister(name: str) -> None:
    """Forget a registered check."""
    _counters.pop(name, None)


def allow_thread(prefix: str) -> None:
    """Threads whose name begins so may outlive a test."""
    _thread_names.append(prefix)


def allow_fd(prefix: str) -> None:
    """File descriptors may stay open on what begins so, as in /proc/self/fd."""
    _fd_targets.append(prefix)


# -- the process ------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """What this process holds at one moment."""

    threads: set[threading.Thread]
    fds: set[int]
    children: set[int]
    counts: dict[str, int]

    @classmethod
    def take(cls) -> Snapshot:
        counts = {name: counter.count() for name, counter in _counters.items()}
        return cls(set(threading.enumerate()), set(_open_fds()), set(_child_pids()), counts)

    def leaks(self, *, loop_lives: bool = False) -> list[str]:
        """What is there now and was not then, one line each."""
        if not self._suspects(Snapshot.take()):
            return []
        deadline = time.monotonic() + _GRACE
        for thread in self._new_threads(loop_lives):
            thread.join(max(0.0, deadline - time.monotonic()))
        gc.collect()
        now = Snapshot.take()
        lines = [_describe_thread(thread) for thread in self._new_threads(loop_lives)]
        open_now = _open_fds()
        allowed = self.fds | _helper_fds() | _libuv_pipe({fd: open_now[fd] for fd in open_now.keys() - self.fds})
        for fd, target in sorted(open_now.items()):
            if fd not in allowed and not target.startswith(tuple(_fd_targets)):
                lines.append(_describe_fd(fd, target))
        for pid in sorted(now.children - self.children):
            command = _command(pid)
            if "multiprocessing." not in command:
                lines.append(f"child process {pid}: {command}")
        for name, before in self.counts.items():
            after = now.counts.get(name, before)
            if after != before:
                describe = _counters[name].describe
                lines.append(f"{name}: {before} before, {after} after")
                lines += [f"  {line}" for line in (describe() if describe else ())]
        return lines

    def _suspects(self, now: Snapshot) -> bool:
        return bool(
            now.threads - self.threads
            or now.fds - self.fds
            or now.children - self.children
            or now.counts != self.counts
        )

    def _new_threads(self, loop_lives: bool) -> list[threading.Thread]:
        allowed = (*_thread_names, *(_EXECUTORS if loop_lives else ()))
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self.threads
            and not thread.name.startswith(allowed)
            and not isinstance(thread, threading._DummyThread)
        ]


def _open_fds() -> dict[int, str]:
    """Each open file descriptor and what it is open on; nothing where there is no /proc."""
    found: dict[int, str] = {}
    try:
        names = os.listdir(_FDS)
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(f"{_FDS}/{name}")
        except OSError:  # that of the listing itself
            continue
    return found


def _child_pids() -> list[int]:
    """Processes that this one started and did not wait for, dead ones included."""
    pids: list[int] = []
    try:
        threads = os.listdir(_THREADS)
    except OSError:
        import multiprocessing

        return [child.pid for child in multiprocessing.active_children() if child.pid]
    for thread in threads:
        try:
            with open(f"{_THREADS}/{thread}/children", "rb", buffering=0) as file:
                pids += map(int, file.read().split())
        except OSError:  # the thread is gone
            continue
    return pids


def _helper_fds() -> set[int]:
    """The pipes that multiprocessing keeps for its helper processes."""
    found: set[int] = set()
    for module, holder, names in (
        ("multiprocessing.resource_tracker", "_resource_tracker", ("_fd",)),
        (
            "multiprocessing.forkserver",
            "_forkserver",
            ("_forkserver_alive_fd", "_forkserver_authkey"),
        ),
    ):
        helper = getattr(sys.modules.get(module), holder, None)
        found |= {fd for name in names if isinstance(fd := getattr(helper, name, None), int)}
    return found


# libuv makes a pipe with its first loop and keeps it for the rest of the process. Better it is made
# before a test is looked at; a test that loads uvloop itself is granted one pipe.
_libuv_pipe_is_made = False


def _make_libuv_pipe() -> None:
    global _libuv_pipe_is_made
    if not _libuv_pipe_is_made and (uvloop := sys.modules.get("uvloop")) is not None:
        uvloop.new_event_loop().close()
        _libuv_pipe_is_made = True


def _libuv_pipe(new: dict[int, str]) -> set[int]:
    """The ends of the one pipe among new file descriptors that is libuv's, if it is new."""
    global _libuv_pipe_is_made
    if _libuv_pipe_is_made or "uvloop" not in sys.modules:
        return set()
    _libuv_pipe_is_made = True
    ends: dict[str, set[int]] = {}
    for fd, target in sorted(new.items()):
        if target.startswith("pipe:"):
            ends.setdefault(target, set()).add(fd)
    return next((pair for pair in ends.values() if len(pair) == 2), set())


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip() or "a zombie"
    except OSError:
        return "gone meanwhile"


def _describe_thread(thread: threading.Thread) -> str:
    text = f"thread {thread.name!r}{' (daemon)' if thread.daemon else ''}"
    target: Any = getattr(thread, "_target", None)
    if target is not None:
        text += f", runs {getattr(target, '__qualname__', target)}"
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is not None:
        text += f", now at {frame.f_code.co_filename}:{frame.f_lineno}"
    return text


def _describe_fd(fd: int, target: str) -> str:
    text = f"file descriptor {fd} on {target}"
    for thing in gc.get_objects():
        if not issubclass(type(thing), socket.socket | io.RawIOBase):
            continue  # (not isinstance: that would ask proxies, and dead ones raise)
        try:
            if thing.fileno() != fd:
                continue
        except (OSError, ValueError):  # closed
            continue
        made = tracemalloc.get_object_traceback(thing)  # None unless tracemalloc is tracing
        return f"{text}: {thing!r}" + (f", created at {made[-1]}" if made else "")
    return text


# -- the loop ---------------------------------------------------------------------------------


async def _settle(known: set[asyncio.Task[Any]]) -> None:
    """Let what is ending end."""
    for _ in range(_SETTLE):
        if len(asyncio.all_tasks() - known) == 1:  # this one
            return
        await asyncio.sleep(0)


class LoopSnapshot:
    """What a loop holds at one moment: its pending tasks and its simulated sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks = asyncio.all_tasks(loop)
        self._sockets = self._open_sockets()

    def leaks(self) -> list[str]:
        """What is there now and was not then, one line each."""
        if self._loop.is_closed():
            return []
        if asyncio.all_tasks(self._loop) - self._tasks:
            self._loop.run_until_complete(_settle(self._tasks))
        tasks = sorted(asyncio.all_tasks(self._loop) - self._tasks, key=asyncio.Task.get_name)
        lines = [f"task {describe_task(task)}" for task in tasks]
        sockets = [thing for thing in self._open_sockets() if thing not in self._sockets]
        return lines + [f"simulated socket {thing!r}" for thing in sockets]

    def _open_sockets(self) -> list[object]:
        net = getattr(self._loop, "net", None)
        return [] if net is None else list(net.leftovers())


def _scope(request: pytest.FixtureRequest) -> str | None:
    """The scope of the loop that a pytest-asyncio test runs on, None for any other test."""
    return getattr(request.node, "_loop_scope", None)


def _runner(request: pytest.FixtureRequest, scope: str) -> Any:
    return request.getfixturevalue(f"_{scope}_scoped_runner")


# -- the fixtures -----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    if call.excinfo is not None:
        item.stash[_undone] = True
    return (yield)


@pytest.fixture(autouse=True)
def _beampy_leaks(request: pytest.FixtureRequest) -> Generator[None]:
    """The outer check: made before the test's loop is, looks when that is closed."""
    scope = _scope(request)
    loop_lives = scope not in (None, "function")
    if scope is not None and loop_lives:
        # Then it must be there first, with what it opens when it runs.
        _runner(request, scope).run(asyncio.sleep(0))
    _make_libuv_pipe()
    before = Snapshot.take()
    yield
    if not request.node.stash.get(_undone, False):
        lines = [*request.node.stash.get(_found, []), *before.leaks(loop_lives=loop_lives)]
        if lines:
            listed = "".join(f"\n  {line}" for line in lines)
            pytest.fail(f"this test leaked:{listed}", pytrace=False)


@pytest.fixture(autouse=True)
def _beampy_loop_leaks(request: pytest.FixtureRequest, _beampy_leaks: None) -> Generator[None]:
    """The inner check: looks when the test's fixtures are gone and its loop is not."""
    scope = _scope(request)
    if scope is None:
        yield
        return
    before = LoopSnapshot(_runner(request, scope).get_loop())
    yield
    if not request.node.stash.get(_undone, False):
        request.node.stash[_found] = before.leaks()
