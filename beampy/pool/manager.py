"""The manager of a pool: holds its plan and its runners, and does what the plan decides.

Rule: the plan is asked and told on the node's loop, synchronously, by whoever calls: a call that finds a free slot goes
to its runner without a hop through another process. What takes time (boots, drains, ends) is done by the manager's
own process, which the runners know by name, and by tasks of it; so nothing of the pool hangs on a caller's life.

Place: under pool.py, which is what users see. Booting is booting.py's, the ends of runners ending.py's, that of the
whole closing.py's, slots that are processes slots.py's; what is decided is plan.py's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.signals import Down
from beampy.errors import BootFailed, PeerBusy, PoolClosed, PoolError, PoolSaturated, RunnerLost
from beampy.otp.rpc_call import PEER_BUSY
from beampy.pool import booting, closing, ending, meeting
from beampy.pool.context import carry
from beampy.pool.messages import Busy, Drained, Ended, Forked, Gone, Hello, Keeps, Leaving, Meet, Still
from beampy.pool.metrics import Gauges
from beampy.pool.nearness import near
from beampy.pool.plan import Abandon, Boot, Closed, Full, Limits, Place, Plan, Reject, Retire, Stop, TimedOut
from beampy.pool.record import Place as AnyPlace
from beampy.pool.record import Runner, Slot
from beampy.pool.slots import Slots
from beampy.pool.telling import Telling
from beampy.pool.ticket import KEY_BYTES, Tickets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from beampy.core.ids import Pid, Ref
    from beampy.core.process import Process
    from beampy.pool.backend import Backend
    from beampy.pool.call import PoolCall
    from beampy.pool.home import Home
    from beampy.pool.options import PoolOptions
    from beampy.pool.placing import Placing

log = logging.getLogger("beampy.pool")

HURRY = 2.0  # seconds for all that is there when a pool ends by an exception, Ctrl-C above all


class Manager:
    """One pool at work. All of it is used on the node's own thread."""

    def __init__(
        self,
        name: str,
        options: PoolOptions,
        limits: Limits,
        backend: Backend,
        home: Home,
        key: bytes,
        prefix: bool = True,
    ) -> None:
        assert len(key) >= KEY_BYTES
        self.name = name
        self.options = options
        self.backend = backend
        self.home = home
        self.node = home.node
        self.loop = home.node.loop
        self.clock: Callable[[], float] = home.node.loop.time
        self.plan = Plan(limits, self.clock())
        self.tickets = Tickets(name, key)
        self.runners: dict[int, Runner] = {}
        self.calls: dict[int, PoolCall] = {}  # by job, while the plan has them
        self.tell = Telling(name, self.gauges, self.clock, prefix)
        self.slots = Slots(self) if options.isolation == "process" else None
        self.process: Process
        self.hands: Process  # calls that are not linked with their callers
        self.held: dict[Any, Placing] = {}  # placed children, by our monitor of each
        self.tasks: set[asyncio.Task[None]] = set()
        self.abandoned: set[asyncio.Task[None]] = set()  # those of these that end machines which never called home
        self.hooks: set[asyncio.Task[None]] = set()  # those of these that run the user's hooks
        self.guests: list[Callable[[], Future[None]]] = []  # what lives on the runners, and is to end before them
        self.boot_log = ""  # what the last of such machines wrote
        self.ended = False
        self.stopping: str | None = None  # why nothing is taken any more
        self.numbers = 0
        self.zombies = 0
        self.children = 0  # calls that have placed a child, which lives
        self.questions = 0
        self.pausing: dict[PoolCall, asyncio.TimerHandle] = {}  # calls between two attempts
        self.asked: dict[int, Runner] = {}  # by the number of a question that is not answered yet
        self.registered = f"beampy.pool.{name}"
        self.width = limits.max_concurrency
        self.slot_boots = 0
        self.alarm: asyncio.TimerHandle | None = None
        self._alarm_at = float("inf")
        self.idle: asyncio.Future[None] | None = None  # while somebody waits for the last call

    # the way of each call

    def next_boot(self) -> int:
        """A number for a slot's ticket; the plan numbers machines from 1 upwards."""
        self.slot_boots -= 1
        return self.slot_boots

    def next_number(self) -> int:
        """A number for a call, or an attempt."""
        self.numbers += 1
        return self.numbers

    def carry(self) -> Any:
        """What of the caller's context goes along."""
        return carry(self.options.context)

    def start(self, call: PoolCall) -> None:
        """A new call, or a new attempt: to a runner now, or into the queue. PoolSaturated, PoolClosed for new ones."""
        if self.stopping is not None and (not call.attempts or self.plan.stopped_at is not None):
            raise PoolClosed(self.name, self.stopping)
        job = call.job
        self.calls[job] = call
        try:
            prefer = near(call.refs, self.home.number) if call.refs else ()
            runner = self.plan.submit(job, call.options.priority, self.clock(), prefer)
        except Closed:
            del self.calls[job]
            raise PoolClosed(self.name, self.stopping or "it is stopping") from None
        except Full as full:
            del self.calls[job]
            self.tell.saturated(full.waiting, full.limit)
            raise PoolSaturated(self.name, full.waiting, full.limit) from None
        if runner is not None:
            self.send(call, runner)
        else:
            self.tell.queued(call, self.plan.waiting)
        if self.plan.actions:
            self.act()

    def send(self, call: PoolCall, number: int) -> None:
        """The plan has given a slot of a runner to a call."""
        runner = self.runners[number]
        runner.jobs[call.job] = call
        call.place = runner
        self.tell.started(call, runner)
        if call.done():
            return  # who was told has cancelled it, and its slot is free
        if self.slots is not None and self.slots.takes(call):
            self.slots.send(call, runner)
        else:
            call.send_to(runner)

    def finished(self, call: PoolCall) -> None:
        """It has ended, and nothing of it is at a runner."""
        self.tell.finished(call)
        if self.pausing and (timer := self.pausing.pop(call, None)) is not None:
            timer.cancel()
            self.look_idle()
        self.freed(call)

    def freed(self, call: PoolCall) -> None:
        """Its slot is free, or its place in the queue."""
        if self.calls.get(call.job) is not call:
            return
        del self.calls[call.job]
        self.settled(call)
        if call.place is None:
            if not self.plan.cancelled(call.job, self.clock()):
                self.passed_on(call)  # it has a slot, and was not sent yet
        else:
            self.free(call, call.place)
        self.follow()
        self.look_idle()

    def settled(self, call: PoolCall) -> None:
        """It is no zombie any more, and no child."""
        if call.left:
            call.left = False
            self.zombies -= 1
        if call.stays:
            call.stays = False
            self.children -= 1

    def stays(self, call: Placing) -> None:
        """It has placed its child, and keeps its slot."""
        if self.calls.get(call.job) is call:
            call.stays = True
            self.children += 1
            self.look_idle()

    def waited_for(self) -> bool:
        """Whether there is a call that has not ended for its caller."""
        if self.pausing or len(self.calls) > self.zombies + self.children:
            return True
        return any(runner.lost for runner in self.runners.values())

    def lost_alone(self, call: PoolCall, error: RunnerLost) -> None:
        """The process of one call is gone, and its runner is not."""
        self.freed(call)
        call.lost(error)

    def look_idle(self) -> None:
        """Tell who waits for the last call."""
        if self.idle is not None and not self.waited_for():
            idle, self.idle = self.idle, None
            if not idle.done():
                idle.set_result(None)

    def free(self, call: PoolCall, place: AnyPlace) -> None:
        """A job is with its runner no more: the slot goes to who waits."""
        runner = place.owner
        runner.jobs.pop(call.job, None)
        runner.done += 1
        if self.slots is not None:
            self.slots.freed(call, place)
        self.passed_on(call)

    def passed_on(self, call: PoolCall) -> None:
        """Its slot goes to who waits."""
        following = self.plan.ended(call.job, self.clock())
        if following is not None:
            waiting, number = following
            self.send(self.calls[waiting], number)

    def left_behind(self, call: PoolCall) -> None:
        """Nobody waits for it any more, and it is with a runner: its slot stays taken until the runner says it is
        gone.
        """
        self.tell.finished(call)
        if self.calls.get(call.job) is call:
            self.leave(call)

    def leave(self, call: PoolCall) -> None:
        """The same, for what has been told of: also an attempt whose call goes on, and which holds its place."""
        place, job = call.place, call.job
        assert place is not None
        self.calls[job] = place.owner.jobs[job] = call
        self.plan.cancelled(job, self.clock())
        self.zombies += 1
        call.left = True
        self.tell.zombie(call, place.owner, self.zombies)
        if self.slots is not None and isinstance(place, Slot):
            self.slots.left(call, place)
        elif place.owner.pid is not None:
            self.say(place.owner.pid, Still((job,)), call._process)
        self.follow()

    def gone(self, jobs: tuple[int, ...]) -> None:
        """They have really ended."""
        for job in jobs:
            call = self.calls.get(job)
            if call is not None and call.left:  # nobody is asked about others
                self.freed(call)

    def again(self, call: PoolCall, delay: float, why: str) -> None:
        """Another attempt, in a while."""
        self.tell.retried(call, delay, why)
        self.pausing[call] = self.loop.call_later(delay, self.resume, call)

    def resume(self, call: PoolCall) -> None:
        """That while is over."""
        del self.pausing[call]
        try:
            self.start(call)
        except PoolError as error:
            call.reject(error)

    def where(self, call: PoolCall) -> tuple[str, str]:
        """The state of a call that has not ended, and a detail for errors."""
        if call.place is not None:
            return "running", f"on {call.place.node}" + ("" if call.ref else ", whose process was starting")
        booting = sum(runner.state == "booting" for runner in self.runners.values())
        if booting and not any(runner.state == "up" for runner in self.runners.values()):
            return "booting", f"machines on their way: {booting}"
        return "queued", f"calls that wait: {self.plan.waiting}, runners: {len(self.runners)}"

    def said(self, call: PoolCall, message: Any) -> None:
        """What the code of a call printed, logged or reported."""
        self.tell.said(call, call.label or "?", message)

    # what the plan decides

    def follow(self) -> None:
        """The plan was told something: do what it wants, or later."""
        if self.plan.actions:
            self.act()
        elif self.plan.due < self._alarm_at:
            self.look()

    def act(self) -> None:
        """Do what is quick at once, and leave the rest to the manager's process."""
        slow = None
        while self.plan.actions:
            for action in self.plan.take_actions():
                if isinstance(action, Place):
                    call = self.calls.get(action.call)
                    if call is not None:
                        self.send(call, action.runner)
                elif isinstance(action, Reject) and not isinstance(action.why, TimedOut):
                    call = self.calls.pop(action.call, None)
                    if call is not None:
                        call.reject(self.refusal(action.why))
                else:
                    slow = slow or []
                    slow.append(action)
        if slow:
            self.process.deliver(slow)
        self.look()

    def refusal(self, why: Any) -> BaseException:
        """The error of a call that the plan rejects. Each caller has one of his own: tracebacks grow on them."""
        if isinstance(why, BootFailed):
            return BootFailed(why.pool, why.why, why.attempts, why.log)
        return PoolClosed(self.name, self.stopping or str(why))

    def look(self) -> None:
        """Set the alarm for what the plan wants to do later."""
        due = self.plan.next_due()
        if due is None or due >= self._alarm_at:
            return
        if self.alarm is not None:
            self.alarm.cancel()
        self._alarm_at = due
        self.alarm = self.loop.call_at(due, self.tick)

    def tick(self) -> None:
        """The alarm."""
        self.alarm = None
        self._alarm_at = float("inf")
        if not self.ended:
            self.plan.tick(self.clock())
            self.act()

    # the manager's process

    async def serve(self) -> None:
        """The life of the pool. When the node stops, the machines end with it."""
        api.set_label(f"pool {self.name}")
        try:
            while not self.ended:
                message = await api.receive()
                try:
                    self.handle(message)
                except Exception:
                    log.exception("pool %s: %r", self.name, message)
        finally:
            self.hands.begin_exit("shutdown")
            if not self.ended:
                for task in self.tasks:
                    task.cancel()  # a close that takes its time, too
                self.stopping = self.stopping or "its node stops"
                await closing.end(self, self.stopping, 0.0)

    def begin(self, owner: Process) -> None:
        """Start what is always there. The pool ends with its owner."""
        pid = owner.pid

        def watch() -> None:
            if pid != self.node.voice.pid:
                api.monitor(pid, tag="owner")

        self.post(watch)
        self.plan.start(self.clock())
        self.act()

    def owner_ended(self) -> None:
        """The process that the pool was started for is gone."""
        closing.owner_ended(self)

    # what is shown of it

    def gauges(self) -> Gauges:
        """How it is now."""
        states = [runner.state for runner in self.runners.values()]
        up, booting, now = states.count("up"), states.count("booting"), self.clock()
        began = [call.started_at or now for runner in self.runners.values() for call in runner.jobs.values()]
        ages = len(began) * now - sum(began)
        return Gauges(self.plan.waiting, len(began), up, booting, self.zombies, up * self.width, ages)

    def shown_runners(self) -> list[dict[str, Any]]:
        """The runners as plain values."""
        now = self.clock()
        return [
            {
                "runner": runner.label,
                "node": runner.node,
                "state": runner.state,
                "calls": len(runner.jobs),
                "done": runner.done,
                "since": now - (runner.up_at or runner.asked_at),
                "machine": None if runner.machine is None else runner.machine.id,
                "os_pid": runner.about.get("os_pid"),
            }
            for runner in self.runners.values()
        ]

    def handle(self, message: Any) -> None:
        """A message of a runner, a Down, or actions of the plan."""
        if message.__class__ is list:
            for action in message:
                self.slow(action)
        elif message.__class__ is Hello:
            booting.hello(self, message)
        elif message.__class__ is Gone:
            self.gone(message.jobs)
        elif message.__class__ is Down:
            ending.down(self, message)
        elif message.__class__ is Leaving:
            ending.leaving(self, message)
        elif message.__class__ is Drained or message.__class__ is Busy:
            ending.answered(self, message)
        elif message.__class__ is Forked or message.__class__ is Ended:
            if self.slots is not None:
                self.slots.heard(message)
        elif message.__class__ is Meet:
            meeting.asked(self, message)
        elif message.__class__ is Keeps:
            if self.slots is not None:
                self.slots.keeps(message)
        elif callable(message):
            message()

    def slow(self, action: Any) -> None:
        """An action that takes time."""
        if isinstance(action, Boot):
            booting.begin(self, action.boot)
            return
        if isinstance(action, Reject):
            self.task(self.reject_late(action.call, action.why))
            return
        runner = self.runners.get(action.boot if isinstance(action, Abandon) else action.runner)
        if runner is None:
            return
        if isinstance(action, Abandon):
            if runner.state == "booting":
                self.abandoned.add(booting.give_up(self, runner))
        elif isinstance(action, Retire):
            self.task(ending.retire(self, runner, action.why))
        elif isinstance(action, Stop):
            runner.ender = self.task(ending.stop(self, runner, action.seconds))

    async def reject_late(self, job: int, why: TimedOut) -> None:
        """Tell a caller that no machine came in time, with what the last one wrote, which has to be read first."""
        pending = {task for task in self.abandoned if not task.done()}
        if pending:
            await asyncio.wait(pending, timeout=booting.DELETING)
        call = self.calls.pop(job, None)
        if call is not None:
            call.reject(BootFailed(self.name, str(why), self.options.boot_rounds, self.boot_log))

    def task(self, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work of the manager's process beside its messages."""
        task = asyncio.get_running_loop().create_task(coro)
        self.tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("pool %s", self.name, exc_info=error)

    async def hold(self) -> None:
        """The life of the process of calls that are not their callers'. Who writes much waits: never the manager."""
        api.set_label(f"pool {self.name}: calls")
        await asyncio.Event().wait()

    def say(self, to: Pid | Ref, message: Any, sender: Process | None = None) -> None:
        """A message to a runner: now, or when its connection has room."""
        try:
            self.node.route_message(sender or self.process, to, message)
        except PeerBusy:
            self.loop.call_later(PEER_BUSY, self.say_again, to, message, sender)

    def say_again(self, to: Pid | Ref, message: Any, sender: Process | None) -> None:
        """The same a little later, unless the runner is gone."""
        if not self.node.closed and to.node in self.node.remote.nodes("all"):
            self.say(to, message, sender)

    def post(self, fn: Callable[[], object]) -> None:
        """Run `fn` in the manager's process."""
        self.process.deliver(fn)

    def place_down(self, place: AnyPlace, reason: Any) -> None:
        """The node of a call cannot be reached any more."""
        if isinstance(place, Slot):
            assert self.slots is not None
            self.slots.down(place)
        else:
            ending.lost(self, place.owner, reason)
