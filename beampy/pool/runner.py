"""The runner: a process of a pool. It is a hidden node that calls home, runs what it is sent, and ends when told.

    BEAMPY_RUNNER=… python -m beampy.pool.runner        a machine of its own, or started by hand
    main(spec)                                          a fork of a zygote

Rule: here is what has to do with the process: environment, end with its parent, signals, loop, exit statuses. What a
runner does is terminator.py's and job.py's; `live` is all of that on any node, and the simulator runs hundreds.

    0  it was told to end, or got SIGTERM          4  the pool refused it
    2  its spec is missing or broken               5  it lost its parent
    3  nobody took it in time                      1  anything else, said in its log
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import platform
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from beampy.pool import job, keeping  # noqa: F401  -- so that the first call imports nothing
from beampy.pool.meeting import Introductions
from beampy.pool.messages import PROTOCOL
from beampy.pool.reaping import die_with
from beampy.pool.residents import residents
from beampy.pool.spec import VARIABLE, RunnerSpec
from beampy.pool.terminator import LOST, Leave, Terminator
from beampy.runtime.introductions import addresses, listening
from beampy.runtime.loops import new_event_loop
from beampy.runtime.node import Node
from beampy.runtime.program import GC_THRESHOLDS
from beampy.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.pool.runner_slots import ProcessSlots
    from beampy.pool.terminator import Slots

log = logging.getLogger("beampy.pool")

BAD_SPEC = 2

CLOSING = 1.0  # seconds for the node itself to end, after all that had time of its own
STUCK = 2.0  # seconds over all its times after which a runner that ends is ended hard
LOOK = 0.5  # seconds between two looks for the parent, where the kernel does not end us with it
MAX_CGROUP = 64  # characters of a limit in a file of the kernel's


def main(spec: RunnerSpec) -> int:
    """Be a runner until its end. Its exit status.

    For a process that has no loop and no threads yet, and does nothing else. The caller exits with `leave(status)`:
    threads that do not end would hold up Python's own exit. Its end with its parent is the caller's, too.
    """
    os.environ.pop(VARIABLE, None)  # it has the cookie, and what user code starts would inherit it
    os.environ.update(spec.env)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    slots = None
    if spec.isolation == "process":
        from beampy.pool.runner_slots import ProcessSlots, thread_limits

        for variable, value in thread_limits(cpus(), spec.slots).items():
            os.environ.setdefault(variable, value)
        slots = ProcessSlots.before_loop()
    gc.set_threshold(*GC_THRESHOLDS)
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    serving = loop.create_task(_serve(spec, slots))
    while True:
        try:
            # The loop is not closed: that waits for threads, also for those that do not end.
            return loop.run_until_complete(serving)
        except (SystemExit, KeyboardInterrupt) as error:
            if serving.done():
                raise
            # asyncio stops its loop for these, from any task. Whoever awaits that task of a job hears of it.
            log.warning("a task of a job raised %r: this runner goes on", error)


async def _serve(spec: RunnerSpec, slots: ProcessSlots | None) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    node = Node(**options(spec))

    def terminate() -> None:
        core = node._local
        terminator = None if core is None else residents(core).terminator
        if terminator is not None:
            terminator.deliver(Leave())
        elif task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminate)
    if spec.parent_pid and not sys.platform.startswith("linux"):
        loop.call_later(LOOK, _look, loop, spec.parent_pid)
    try:
        async with node:
            if slots is not None:
                await slots.start()
            status = await live(spec, node, about=about(node), slots=slots, ending=end_hard_after)
            end_hard_after(0.0)
            if slots is not None:
                await slots.close()
    except asyncio.CancelledError:
        return 0  # SIGTERM before it was up
    return status


async def live(
    spec: RunnerSpec,
    node: Node,
    *,
    about: dict[str, Any] | None = None,
    slots: Slots | None = None,
    ending: Callable[[float], object] = lambda seconds: None,
) -> int:
    """A runner's life on `node`, which is up. The exit status it ends with: see the module.

    It calls nothing of the operating system, starts no thread, and has no state but the node's. `about`: what Hello
    tells the pool. `slots`: what forks slots. `ending` is called when the end begins, with the seconds it may take.

    >>> async with bp.Node(**options(spec)) as node:
    ...     status = await live(spec, node)
    """
    told = {"protocol": PROTOCOL, "beampy": __version__} if about is None else about
    if node._peers is not None:
        told = {"addresses": listening(node._peers.node)} | told
    return await node.run(Terminator(spec, told, slots, ending).run)


def options(spec: RunnerSpec) -> dict[str, Any]:
    """The options of a runner's Node. What the spec's own `node` says goes first."""
    return {
        "name": spec.name,
        "cookie": spec.cookie,
        "hidden": True,
        "mesh": False,
        "discovery": discovery(spec),
        "shutdown_timeout": CLOSING,
        **spec.node,
    }


def discovery(spec: RunnerSpec) -> Any:
    """How a runner finds others: its parent, at the addresses it was told, and all others through its pool
    (meeting.py); None, the name service, for want of addresses.
    """
    return Introductions(spec.parent, addresses(spec.addresses)) if spec.addresses else None


def about(node: Node) -> dict[str, Any]:
    """What a runner says of itself in its Hello.

    "protocol", "beampy" and "python" (versions), "os_pid", "cpus" it may use, "memory" (bytes it may have; 0: unknown),
    "addresses" it listens at (fields of dist.address.Address).
    """
    return {
        "protocol": PROTOCOL,
        "beampy": __version__,
        "python": platform.python_version(),
        "os_pid": os.getpid(),
        "cpus": cpus(),
        "memory": memory(),
        "addresses": [] if node._peers is None else listening(node._peers.node),
    }


def cpus() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """The bytes of memory that this process may have: the machine's, or its container's. 0 where that is not known."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max") as file:
        found = min(found, int(file.read(MAX_CGROUP)))  # "max": ValueError
    return found


# its end


def _look(loop: asyncio.AbstractEventLoop, parent: int) -> None:
    if os.getppid() != parent:
        leave(LOST)
    loop.call_later(LOOK, _look, loop, parent)


def end_hard_after(seconds: float) -> None:
    """The end has begun and may take so long. A runner that hangs is ended then, also in C code that holds the GIL.

    What it hung in is in its log, and its exit status is 1.
    """
    with contextlib.suppress(ValueError, OSError, AttributeError, RuntimeError):  # stderr is nothing of the system's
        faulthandler.dump_traceback_later(seconds + CLOSING + STUCK, exit=True)


def leave(status: int) -> NoReturn:
    """Exit, without waiting for threads."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def told() -> RunnerSpec:
    """The spec in the environment, which does not have it any more then. ValueError says what is wrong."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        raise ValueError(f"{VARIABLE} is not set: a pool's backend gives it to each machine that it starts")
    return RunnerSpec.from_text(text)


def run() -> NoReturn:
    """The whole program: be the runner that the environment tells of."""
    try:
        spec = told()
    except ValueError as error:
        sys.stderr.write(f"beampy runner: {error}\n")
        leave(BAD_SPEC)
    try:
        if spec.parent_pid and not die_with(spec.parent_pid):
            leave(LOST)
        status = main(spec)
    except BaseException:
        log.exception("the runner failed")
        status = 1
    leave(status)


if __name__ == "__main__":
    from beampy.pool.runner import run as run_runner  # itself, by its name: this module is __main__ here

    run_runner()
