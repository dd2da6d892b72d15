"""Process trees of the system: who is below whom, who belongs to which runner, and how all of them are ended.

Rule: it looks at /proc and sends signals, and keeps nothing. A process that has ended and was not waited for (a zombie)
counts as gone. A number that is read here may belong to another process a moment later: so a process is its number and
the time it began, and what is to be killed is looked at first.

Place: under the zygote and the local backend. It does not know what a runner is, but for the variable that marks one.
Without /proc there is nothing to see, and every answer is empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK = "BEAMPY_RUNNER_NAME"  # in the environment of what a runner starts: its name, after those of the ones above it
SEPARATOR = "/"  # between these names: no node's name has one

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36  # likewise

_PROC = "/proc"
_CGROUPS = "/sys/fs/cgroup"
ROUNDS = 100  # of killing what starts others while it is killed; one or two are usual
MAX_ENVIRON = 1 << 20  # bytes read of a process's environment; the kernel takes 128 KiB a string, and 6 MiB in all


class Process(NamedTuple):
    """A process of the system. `began` is in the kernel's ticks since the machine started."""

    pid: int
    parent: int
    group: int
    session: int
    began: int
    ended: bool


# ---- looking ----


def look(pid: int) -> Process | None:
    """That process; None: there is none."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb", buffering=0) as file:
            # After the name, which is in parentheses and may hold anything; field 3 of proc(5) is the first here.
            fields = file.read(4096).rpartition(b")")[2].split()
        ended = fields[0] in (b"Z", b"X")
        return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), ended)
    except (OSError, IndexError, ValueError):
        return None


def alive(process: Process) -> bool:
    """Whether it still runs: a zombie does not, nor does another process with its number."""
    now = look(process.pid)
    return now is not None and not now.ended and now.began == process.began


def everyone() -> list[Process]:
    """All processes of the machine that may be seen."""
    try:
        names = os.listdir(_PROC)
    except OSError:
        return []
    return [found for name in names if name.isdigit() and (found := look(int(name))) is not None]


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`, zombies too."""
    found: list[int] = []
    try:
        threads = os.listdir(f"{_PROC}/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"{_PROC}/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                while part := file.read(1 << 16):
                    found += map(int, part.split())
        except FileNotFoundError:
            if os.path.isdir(f"{_PROC}/{pid}/task/{thread}"):  # a kernel without CONFIG_PROC_CHILDREN
                return [each.pid for each in everyone() if each.parent == pid]
        except OSError:
            continue
    return found


def below(pid: int) -> list[Process]:
    """All that have come from `pid` and run, without itself; parents before children."""
    found: dict[int, Process] = {}
    waiting = [pid]
    while waiting:
        for child in children(waiting.pop()):
            process = look(child) if child not in found and child != pid else None
            if process is not None and not process.ended:
                found[child] = process
                waiting.append(child)
    return list(found.values())


def marks(pid: int) -> list[str]:
    """The runners that have started it, from the outermost in, as its environment says; [] where it does not."""
    return variable(pid, MARK).split(SEPARATOR)


def variable(pid: int, name: str) -> str:
    """A variable of the environment that a process was started with; "" where it has none, or may not be looked at."""
    start = f"{name}=".encode()
    try:
        with open(f"{_PROC}/{pid}/environ", "rb", buffering=0) as file:
            parts = file.read(MAX_ENVIRON).split(b"\0")
    except OSError:
        return ""
    return next((part[len(start) :].decode("utf-8", "replace") for part in parts if part.startswith(start)), "")


def marked(name: str, above: str = "") -> str:
    """What the variable MARK says for the runner `name`, below the runners of `above`.

    >>> marked("b@h", "a@h")
    'a@h/b@h'
    """
    return SEPARATOR.join(filter(None, (above, name)))


def left_by(name: str, session: int) -> list[Process]:
    """What runs of a runner that has ended: the processes of its session, and those that carry its name."""
    me = os.getpid()
    return [
        each
        for each in everyone()
        if each.pid not in (me, session) and not each.ended and (each.session == session or name in marks(each.pid))
    ]


# ---- ending ----


def kill(processes: Iterable[Process], number: int = signal.SIGKILL) -> None:
    """Send it to those of them that still are who they were."""
    for process in processes:
        if alive(process):
            with contextlib.suppress(OSError):
                os.kill(process.pid, number)


def kill_below(pid: int) -> list[Process]:
    """Kill all that have come from `pid`. Itself is stopped and stays, so that it cannot start more meanwhile."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
    found: dict[tuple[int, int], Process] = {}
    quiet = 0
    for _ in range(ROUNDS):  # who was killed may have started others just before
        new = [each for each in below(pid) if (each.pid, each.began) not in found]
        quiet = 0 if new else quiet + 1
        if quiet == 2:  # one look may miss some: see proc(5) on `children`
            break
        found.update(((each.pid, each.began), each) for each in new)
        kill(new)
    return list(found.values())


def die_with(parent: int, number: int = signal.SIGKILL) -> bool:
    """Get this signal when the thread that forked this process ends. False: `parent` has ended already, or is another.

    True without effect where the system cannot do it (it is Linux').
    """
    _prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def adopt() -> bool:
    """Become the parent of all processes below this one whose own parents end. Whether the system can do that."""
    return _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    call: Callable[..., int] | None = _found_prctl()
    return call is not None and call(option, value, 0, 0, 0) == 0


@functools.cache
def _found_prctl() -> Callable[..., int] | None:
    try:
        call: Callable[..., int] = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return call


# ---- out of memory ----


def oom_kills() -> int:
    """How often the system has killed a process of ours because memory ran out; 0 where it does not tell.

    Counted for this process's control group where it has one, else for the whole machine.
    """
    for path, key in _counters():
        try:
            with open(path, encoding="ascii") as file:
                text = file.read(1 << 16)
        except (OSError, ValueError):
            continue
        for line in text.splitlines():
            name, _, count = line.partition(" ")
            if name == key and count.strip().isdigit():
                return int(count)
    return 0


def _counters() -> list[tuple[str, str]]:
    """Where the count may be: a file and the word before the number, the best first."""
    found = []
    try:
        with open(f"{_PROC}/self/cgroup", encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 16).splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers and path != SEPARATOR:  # version 2; its root has no count
            found.append((f"{_CGROUPS}{path}/memory.events", "oom_kill"))
        elif "memory" in controllers.split(","):  # version 1
            found.append((f"{_CGROUPS}/memory{path}/memory.oom_control", "oom_kill"))
    # In a container with a namespace of its own for groups, its group is the root.
    found += [(f"{_CGROUPS}/memory.events", "oom_kill"), (f"{_PROC}/vmstat", "oom_kill")]
    return found
