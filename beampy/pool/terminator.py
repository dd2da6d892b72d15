"""The terminator: the process of a runner that belongs to the pool, and ends the runner. FLAME's.

Rule: it calls home, serves the pool's questions, and knows when it is over:

    seeking ── Welcome ──→ serving ── the parent or its manager is lost ──→ seeking, for `grace` ── Welcome ──→ serving
    seeking ── nobody came ──→ end, NEVER or LOST         seeking ── Refused ──→ end, REFUSED
    serving ── Stop, or SIGTERM ──→ end, DONE

At the end placed children are stopped in order, jobs may end by themselves, and what does not end in time is cancelled.
Jobs of a lost parent were cancelled by the remote call server when the connection was lost.

Place: a process on the runner's node, under the name RUNNER. It knows nothing of operating systems: what forks and
kills slots (runner_slots.py) and what ends a program that hangs (runner.py) are given to it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from beampy import api
from beampy.core.signals import NOPROC, Down, Exit
from beampy.errors import BeampyError, NotConnected, PeerBusy, ReceiveTimeout
from beampy.otp.dynamic import DynamicSupervisor
from beampy.pool import keeping
from beampy.pool.children import Placed, Supervised
from beampy.pool.meeting import Introductions
from beampy.pool.messages import (
    RUNNER,
    Busy,
    Drain,
    Drained,
    Ended,
    Fork,
    Forked,
    Hello,
    Keeps,
    Kill,
    Leaving,
    Refused,
    Still,
    Stop,
    Welcome,
)
from beampy.pool.messages import Gone as GoneJobs
from beampy.pool.residents import LATER, residents, told_nobody
from beampy.pool.spec import RunnerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process

log = logging.getLogger("beampy.pool")

# Exit statuses of a runner.
DONE, NEVER, REFUSED, LOST = 0, 3, 4, 5

FIRST_RETRY, LAST_RETRY = 0.1, 1.0  # seconds between two attempts to reach the parent; the first is FLAME's
AT_ONCE = 1.0  # seconds for children when there is no grace: whoever waited for what they do is gone
CLEANUP = 0.2  # of the time that jobs have to end, the part that is left for their cleanup


class Leave:
    """To the terminator: end in order, now (SIGTERM). Jobs are cancelled."""


class Lost:
    """What `serve` gives when the parent is lost; `why` is for the log."""

    def __init__(self, why: str) -> None:
        self.why = why


class Slots(Protocol):
    """What starts and ends the processes of slots: runner_slots.py."""

    async def fork(self, name: str, spec: str) -> int:
        """Start one; its process id. Raises OSError and the like."""
        ...

    async def kill(self, name: str, seconds: float) -> None:
        """SIGTERM, and SIGKILL after so many seconds; nothing where it has ended."""
        ...

    def on_end(self, tell: Callable[[str, int | None, bool], None]) -> None:
        """Call `tell(name, status, oom)` on the loop when one has ended."""


class Terminator:
    """One runner's. `run` is the whole life of its process, and gives the runner's exit status."""

    def __init__(
        self,
        spec: RunnerSpec,
        about: dict[str, Any],
        slots: Slots | None = None,
        ending: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self.spec = spec
        self.about = about
        self.slots = slots
        self.ending = ending  # told once, when the end begins, how long it may take
        self.me: Process
        self.manager = (spec.manager, spec.parent)
        self.connected = False  # whether the pool hears us
        self.monitor: Ref | None = None
        self.supervisor: DynamicSupervisor | None = None
        self.said = ""  # why the parent cannot be reached, as it was logged last

    async def run(self) -> int:
        """Until the runner is to end."""
        self.me = api.self_process()
        api.register(RUNNER, self.me.pid)
        api.set_label(f"runner {self.spec.name}")
        api.trap_exit(True)
        self.here = residents(self.me.node)
        self.here.terminator = self.me
        self.here.tell = self.tell_gone
        keeping.watch(self.me.node, self.here, self.keeps)
        discovery = getattr(getattr(self.me.node.remote, "listeners", None), "discovery", None)
        if isinstance(discovery, Introductions):
            discovery.through(self.me, self.manager)
        if self.slots is not None:
            self.slots.on_end(lambda name, status, oom: self.to_pool(Ended(name, status, oom)))
        try:
            status = await self.seek(self.spec.failsafe, again=False)
            while status is None:
                end = await self.serve()
                if isinstance(end, Lost):
                    status = await self.lost(end)
                else:
                    await self.end(end[0], cancel=end[1])
                    status = DONE
        finally:
            self.here.terminator = None
            self.here.tell = told_nobody
        return status

    # seeking

    async def seek(self, seconds: float, *, again: bool) -> int | None:
        """Find the parent and be taken. None when we are; else the status to end with."""
        clock = self.me.node.loop.time
        deadline = clock() + seconds
        pause = FIRST_RETRY
        while True:
            status = await self.call_home(deadline - clock(), again)
            if self.connected:
                return None
            if status is not None:
                return status
            if clock() >= deadline:
                break
            if again:
                pause = min(pause * 1.5, LAST_RETRY)
            leave = await self.pause(min(pause, max(0.0, deadline - clock())))
            if leave is not None:
                return leave
        if not again:
            log.error(
                "nothing took this runner within %g s: %s",
                seconds,
                self.said or f"{self.spec.parent} did not answer",
            )
        return LOST if again else NEVER

    async def call_home(self, seconds: float, again: bool) -> int | None:
        """One attempt. Taken, it is `connected`; else a status to end with, or None to try again."""
        try:
            async with asyncio.timeout(seconds):
                await api.connect(self.spec.parent)
        except TimeoutError:
            self.say(f"{self.spec.parent} cannot be reached")
            return None
        except NotConnected as error:
            self.say(str(error))
            return None
        self.monitor = api.monitor(self.manager)
        hello = Hello(self.spec.ticket, self.me.pid, self.about | ({"again": True} if again else {}))
        self.send(hello)
        deadline = self.me.node.loop.time() + seconds
        while True:
            try:
                message = await api.receive(timeout=max(0.0, deadline - self.me.node.loop.time()))
            except ReceiveTimeout:
                self.say(f"{self.spec.parent} is there and did not answer")
                api.demonitor(self.monitor, flush=True)
                return None
            if message.__class__ is Welcome:
                self.connected = True
                return None
            if message.__class__ is Refused:
                api.demonitor(self.monitor, flush=True)
                log.error("%s refused this runner: %s", self.spec.parent, message.why)
                return REFUSED
            if message.__class__ is Down and message.ref == self.monitor:
                missing = isinstance(message.reason, str) and message.reason == NOPROC
                self.say(f"no pool of ours is at {self.spec.parent}" if missing else f"lost {self.spec.parent}")
                return None if missing or self.spec.grace > 0 else LOST  # without grace nobody comes back
            if (leave := await self.meanwhile(message)) is not None:
                return leave

    async def pause(self, seconds: float) -> int | None:
        """Wait; a status when it is to end instead."""
        deadline = self.me.node.loop.time() + seconds
        while True:
            try:
                message = await api.receive(timeout=max(0.0, deadline - self.me.node.loop.time()))
            except ReceiveTimeout:
                return None
            if (leave := await self.meanwhile(message)) is not None:
                return leave

    async def meanwhile(self, message: Any) -> int | None:
        """A message that comes while the parent is sought. A status when it says to end."""
        kind = message.__class__
        if kind is Leave or kind is Stop:
            return DONE
        if kind is Exit:
            return self.exited(message)
        if kind in HANDLERS and kind not in OF_POOL:
            await self.handle(message)
        return None

    def say(self, why: str) -> None:
        """Log why it does not come about, once."""
        if why != self.said:
            self.said = why
            log.warning("%s; trying again", why)

    async def lost(self, lost: Lost) -> int | None:
        """The parent is gone. None when it has taken us again; else all has been ended."""
        spec = self.spec
        log.warning("lost %s: %s", spec.parent, lost.why)
        self.said = ""
        status: int | None = LOST
        if spec.grace > 0:
            status = await self.seek(spec.grace, again=True)
        if status is not None:
            await self.end(spec.shutdown if spec.grace > 0 else min(AT_ONCE, spec.shutdown), cancel=True)
        return status

    # serving

    async def serve(self) -> Lost | tuple[float, bool]:
        """Do what the pool asks, until the end: that the parent is lost, or the seconds it may take and whether now."""
        while True:
            message = await api.receive()
            kind = message.__class__
            if kind is Stop:
                return message.seconds, False
            if kind is Leave:
                return self.spec.shutdown, True
            if kind is Down and message.ref == self.monitor:
                self.connected = False
                return Lost(str(message.reason))
            if kind is Exit:
                if self.exited(message) is not None:
                    return self.spec.shutdown, True
                continue
            await self.handle(message)

    async def handle(self, message: Any) -> None:
        """Any other message; what is not expected is dropped."""
        handler = HANDLERS.get(message.__class__)
        if handler is not None and (work := handler(self, message)) is not None:
            await work

    def exited(self, exit: Exit) -> int | None:
        """The supervisor of children has ended, or the node is being stopped: then a status."""
        if self.supervisor is not None and exit.pid == self.supervisor.pid:
            self.supervisor = None
            return None
        return DONE

    def still(self, still: Still) -> None:
        self.here.still(still.jobs)

    def drain(self, drain: Drain) -> None:
        if self.here.busy:
            self.to_pool(Busy(drain.number, self.here.why()))
        else:
            self.to_pool(Drained(drain.number))

    def down(self, down: Down) -> None:
        """A placed child has ended, or the caller of a linked one."""
        what: Any = None
        child: Any = None
        if isinstance(down.tag, tuple):
            what, child = down.tag
        if what == "child":
            monitor = self.here.children.pop(child, None)
            if monitor is not None:
                api.demonitor(monitor, flush=True)
            if self.here.watched:
                self.here.changed()
        elif what == "caller" and child in self.here.children and self.supervisor is not None:
            self.me.node.spawn(_terminate, (self.supervisor, child), self.me)

    def placed(self, placed: Placed) -> None:
        child, caller = placed.child, placed.caller
        self.here.children[child] = None
        api.monitor(child, tag=("child", child))
        if caller is not None:
            self.here.children[child] = api.monitor(caller, tag=("caller", child))
        api.send(placed.ref, True)

    async def supervise(self, asked: Supervised) -> None:
        """Start the supervisor of children, unless it runs."""
        if self.supervisor is None:
            self.supervisor = await DynamicSupervisor.start_link()
        api.send(asked.ref, self.supervisor.pid)

    # slots

    def fork(self, fork: Fork) -> None:
        self.me.node.spawn(self.forking, (fork.spec,), self.me)

    async def forking(self, text: str) -> None:
        """Start a slot. One that cannot be started has ended."""
        try:
            name = RunnerSpec.from_text(text).name
        except ValueError as error:
            log.error("a slot cannot be started: %s", error)
            return
        try:
            if self.slots is None:
                raise BeampyError("this runner has no slots that are processes")
            os_pid = await self.slots.fork(name, text)
        except Exception as error:
            log.error("slot %s could not be started: %s", name, error)
            self.to_pool(Ended(name, None, False))
        else:
            self.to_pool(Forked(name, os_pid))

    def kill(self, kill: Kill) -> None:
        if self.slots is not None:
            self.me.node.spawn(self.slots.kill, (kill.name, kill.seconds), self.me)

    # to the pool

    def to_pool(self, message: Any) -> None:
        """Tell the pool, if it is there. When this process has ended, the pool has let go of this node."""
        if self.connected and self.me.alive:
            self.send(message)

    def tell_gone(self, jobs: tuple[int, ...]) -> bool:
        """Jobs are gone. False when the connection is full: later."""
        return not self.connected or self.send(GoneJobs(jobs))

    def keeps(self) -> None:
        """Other nodes refer to objects here, or do no more: the pool does not kill a slot for a call then."""
        message = Keeps(self.me.pid, self.here.kept.get(keeping.TOKEN, ""))
        if self.connected and self.me.alive and not self.send(message):
            self.me.node.loop.call_later(LATER, self.keeps)

    def send(self, message: Any) -> bool:
        """A message to the pool's process. False when its connection is full."""
        try:
            self.me.node.route_message(self.me, self.manager, message)
        except PeerBusy:
            return False
        return True

    # the end

    async def end(self, seconds: float, *, cancel: bool) -> None:
        """Stop the children, wait for the jobs (`cancel`: cancel them at once), and cancel what takes too long."""
        here, clock = self.here, self.me.node.loop.time
        self.ending(seconds)
        if cancel:
            self.to_pool(Leaving(self.me.pid, "it was told to end by a signal, not by its pool"))
        deadline = clock() + seconds
        patience = clock() if cancel else deadline - CLEANUP * seconds
        here.watched = True
        supervisor = self.supervisor
        if supervisor is not None:
            api.exit(supervisor.pid, "shutdown")
        cancelled = False
        while here.jobs or here.children:
            now = clock()
            if now >= deadline:
                log.error("ending, and not all has ended in time: %s", here.why())
                break
            if now >= patience and not cancelled:
                cancelled = True
                here.cancel_jobs(self.me.pid)
            try:
                message = await api.receive(timeout=(deadline if cancelled else patience) - now)
            except ReceiveTimeout:
                continue
            kind = message.__class__
            if kind is Down:
                self.down(message)
            elif kind is Leave:
                patience = clock()
            elif kind is Still:
                self.still(message)
            elif kind is Drain:
                self.drain(message)
        here.watched = False


async def _terminate(supervisor: DynamicSupervisor, child: Pid) -> None:
    await supervisor.terminate_child(child)


HANDLERS: dict[type, Callable[[Terminator, Any], Coroutine[Any, Any, None] | None]] = {
    Still: Terminator.still,
    Drain: Terminator.drain,
    Down: Terminator.down,
    Placed: Terminator.placed,
    Supervised: Terminator.supervise,
    Fork: Terminator.fork,
    Kill: Terminator.kill,
}
OF_POOL = frozenset({Still, Drain, Fork, Kill})  # of a parent that is lost: dropped
