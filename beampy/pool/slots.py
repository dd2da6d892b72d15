"""Slots that are processes: which of a runner's processes runs which call.

Rule: a sync function gets a process of its runner's that runs nothing else meanwhile; async functions share the
runner's own loop. Processes are forked when calls need them, at most as many as the runner has slots, and kept. One
whose call was cancelled or has timed out is ended, SIGTERM first, and another is forked when it is needed. One that
dies takes its call with it, and nothing else but the objects that it kept.

A process that keeps objects (keeping.py) is not ended for a call: that is told to end as one in a thread is, and has
the slot until it does. Such a process gets other calls than those for its objects only where no other is to be had.

Place: the manager's; the plan knows runners and how many calls each has, not which process has which.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from beampy import api
from beampy.errors import RunnerLost
from beampy.otp.rpc_function import kind_of
from beampy.pool import booting, ending
from beampy.pool.messages import Ended, Fork, Forked, Keeps, Kill, Still, Welcome
from beampy.pool.nearness import owned
from beampy.pool.placing import Placing
from beampy.pool.record import Place, Runner, Slot

if TYPE_CHECKING:
    from beampy.core.ids import Pid
    from beampy.pool.call import PoolCall
    from beampy.pool.manager import Manager
    from beampy.pool.messages import Hello

log = logging.getLogger("beampy.pool")

STATUS = 0.5  # seconds the runner has to say how a process of its ended; its zygote does within milliseconds
UNBORN = 3  # processes of a runner in a row that end as they start: it will not get another one either
TERMINATE = 1.0  # seconds between SIGTERM and SIGKILL of a process whose call nobody waits for


class Slots:
    """The processes of a pool's runners."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.by_name: dict[str, Slot] = {}
        self.by_ticket: dict[int, Slot] = {}
        self.dying: dict[str, Slot] = {}  # whose calls wait to hear how they ended

    def takes(self, call: PoolCall) -> bool:
        """Whether a call wants a process of its own: what is not known to be async does."""
        fn = call.function
        if isinstance(call, Placing):
            return False
        return isinstance(fn, (str, tuple)) or not kind_of("pool", fn).startswith("async")

    def send(self, call: PoolCall, runner: Runner) -> None:
        """Give it a process of the runner, now or when there is one."""
        slot = self._free_one(call, runner)
        if slot is not None:
            runner.free.remove(slot)
            slot.state, slot.call = "busy", call
            call.send_to(slot)
            return
        runner.wanting.append(call)
        self.fork(runner)

    def _free_one(self, call: PoolCall, runner: Runner) -> Slot | None:
        """The process that owns an object of the call's, else one without objects, else one with, where it is full."""
        free = runner.free
        while free and free[0].state != "free":
            free.popleft()
        owners = {node for node, _ in owned(call.refs)} if call.refs else ()
        plain: Slot | None = None
        last: Slot | None = None
        for slot in free:
            if slot.state != "free":
                continue
            if slot.node in owners:
                return slot
            last = last or slot
            if plain is None and not slot.keeps:
                plain = slot
                if not owners:
                    break
        return last if plain is None and len(runner.slots) >= self.manager.width else plain

    def fork(self, runner: Runner) -> None:
        """One more process, where more calls want one than are starting."""
        starting = sum(slot.state == "starting" for slot in runner.slots.values())
        if starting >= len(runner.wanting) or len(runner.slots) >= self.manager.width or runner.pid is None:
            return
        number = self.manager.next_boot()
        short, _, host = runner.node.partition("@")
        slot = Slot(f"{short}-s{-number}@{host}", runner)
        runner.slots[slot.node] = self.by_name[slot.node] = self.by_ticket[number] = slot
        slot.ticket = number
        told = Runner(number, slot.node, runner.label, self.manager.clock())
        spec = booting.runner_spec(self.manager, told, "slot")
        self.manager.say(runner.pid, Fork(spec.to_text()))

    def expected(self, number: int) -> Slot | None:
        """The slot whose ticket this is."""
        return self.by_ticket.pop(number, None)

    def hello(self, slot: Slot, hello: Hello) -> None:
        """It is up."""
        if slot.state != "starting":
            return
        slot.pid = hello.pid
        slot.owner.unborn = 0
        slot.about = hello.about
        slot.os_pid = hello.about.get("os_pid")
        self.manager.home.hurry(slot.node, hello.about)
        slot.monitor = api.monitor(hello.pid, tag=slot)
        self.manager.say(hello.pid, Welcome(slot.ticket))
        self.free(slot)

    def free(self, slot: Slot) -> None:
        """It can take a call."""
        runner = slot.owner
        slot.call = None
        while runner.wanting:
            call = runner.wanting.popleft()
            if not call.done() and call.place is runner:
                slot.state, slot.call = "busy", call
                call.send_to(slot)
                return
        slot.state = "free"
        runner.free.append(slot)

    def freed(self, call: PoolCall, place: Place) -> None:
        """A call has ended by itself, or never got a process."""
        if isinstance(place, Slot):
            if place.call is call and place.state == "busy":
                self.free(place)
        elif call in place.owner.wanting:
            place.owner.wanting.remove(call)

    def left(self, call: PoolCall, slot: Slot) -> None:
        """Nobody waits for its call any more: end the process, or the call alone where it keeps objects."""
        if slot.state == "busy" and slot.call is call and slot.owner.pid is not None:
            if slot.keeps and slot.pid is not None:
                self.manager.say(slot.pid, Still((call.job,)), call._process)
                return
            slot.state = "ending"
            to = slot.owner.pid
            self.manager.say(to, Kill(slot.node, TERMINATE))

    def keeps(self, message: Keeps) -> None:
        """A process has objects that other nodes refer to, or has none any more."""
        slot = self.by_name.get(message.pid.node)
        if slot is not None and slot.pid == message.pid:
            slot.keeps = message.what
            if not slot.keeps and slot.call is not None and slot.call.left:
                self.left(slot.call, slot)  # nothing else is lost with it now

    def heard(self, message: Forked | Ended) -> None:
        """What the runner says of a process."""
        if not isinstance(message, Ended):
            return
        slot = self.by_name.get(message.name) or self.dying.get(message.name)
        if slot is not None:
            slot.status, slot.oom = message.status, message.oom
            self.down(slot)
            self._tell(slot)

    def leaving(self, pid: Pid) -> None:
        """Somebody else ends a process: it takes no more calls, and the one that it has is lost."""
        slot = next((each for each in self.by_name.values() if each.pid == pid), None)
        if slot is not None and slot.state in ("free", "busy"):
            self.down(slot)

    def down(self, slot: Slot) -> None:
        """The process is gone, wherever that was seen first."""
        if slot.state == "down":
            return
        runner, manager = slot.owner, self.manager
        call, was, slot.state = slot.call, slot.state, "down"
        self.by_name.pop(slot.node, None)
        self.by_ticket.pop(slot.ticket, None)
        manager.tickets.revoke(slot.ticket)
        runner.slots.pop(slot.node, None)
        with contextlib.suppress(ValueError):
            runner.free.remove(slot)
        if call is not None and was == "busy":
            self.dying[slot.node] = slot
            manager.loop.call_later(STATUS, self._tell, slot)
        elif call is not None and manager.calls.get(call.job) is call:
            manager.freed(call)
        manager.post(lambda: self._forget(slot))
        runner.unborn += was == "starting"
        if runner.unborn >= UNBORN and runner.state == "up":
            how = "" if slot.status is None else f" (status {slot.status})"
            ending.useless(manager, runner, f"{runner.unborn} processes of it in a row ended as they started{how}")
        elif runner.state == "up" and runner.wanting:
            self.fork(runner)

    def _forget(self, slot: Slot) -> None:
        """It does not come back: without its connection it ends, if it has not yet."""
        self.manager.home.forget(slot.node)
        ending.dead(self.manager, slot.pid)

    def _tell(self, slot: Slot) -> None:
        """The caller hears how it ended: when that is known, or has not been said in time."""
        call, slot.call = slot.call, None
        if self.dying.pop(slot.node, None) is None or call is None:
            return
        error = RunnerLost(slot.node, f"the process of the call {how_it_ended(slot.status)}", slot.status, slot.oom)
        if self.manager.calls.get(call.job) is call and call.place is slot:
            self.manager.lost_alone(call, error)

    def back(self, runner: Runner) -> None:
        """It was away, and its calls were lost with it: the processes that run them still end."""
        for slot in runner.slots.values():
            if slot.call is not None and self.manager.calls.get(slot.call.job) is not slot.call:
                self.left(slot.call, slot)

    def runner_gone(self, runner: Runner) -> None:
        """Its processes are, too."""
        for slot in list(runner.slots.values()):
            slot.call = None
            self.down(slot)


def how_it_ended(status: int | None) -> str:
    """The end of a process, in words; `status` as of RunnerLost.

    >>> how_it_ended(-9), how_it_ended(3)
    ('was ended by SIGKILL', 'ended with exit status 3')
    """
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with exit status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
