"""Random programs of processes that spawn, link, monitor, exit, kill, trap and name each other, against a model.

On one node signals take effect at once and processes take turns in the order in which they became runnable, so the
model is exact: it foretells every message that every process gets, in order, and who is left. It knows OTP's rules
(who survives which signal, one Down for each monitor, names that go with their process) and nothing of how a process
is stepped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import beampy as bp
from beampy.core.signals import Crash
from beampy.errors import BeampyError
from beampy.testing import harness, simloop

FIRST = 3  # processes at the beginning
MOST = 6  # and in all
NAMES = ["one", "two"]
ALIVE: Any = object()


class Stop(Exception):
    """In the model: the process runs no line more of its batch."""


# the model


class Proc:
    """One process of the model."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dead = False
        self.exiting: Any = ALIVE
        self.waiting = False
        self.trap = False
        self.name: str | None = None
        self.mailbox: deque[Any] = deque()
        self.links: list[int] = []
        self.monitors: dict[int, tuple[int, Any]] = {}  # number of the ref -> target, and what a Down calls it
        self.watchers: dict[tuple[int, int], None] = {}  # who monitors us: (watcher, number of its ref)
        self.refs = 0
        self.log: list[Any] = []


class Model:
    """All processes, the names and the run queue."""

    def __init__(self) -> None:
        self.procs: list[Proc] = []
        self.queue: deque[Proc] = deque()
        self.names: dict[str, int] = {}
        for _ in range(FIRST):
            self.new()
        self.run()

    def new(self) -> Proc:
        proc = Proc(len(self.procs))
        self.procs.append(proc)
        self.queue.append(proc)
        return proc

    # signals

    def deliver(self, to: Proc, message: Any) -> None:
        if to.dead or to.exiting is not ALIVE:
            return
        to.mailbox.append(message)
        self.wake(to)

    def wake(self, proc: Proc) -> None:
        if proc.waiting:
            proc.waiting = False
            self.queue.append(proc)

    def exit_signal(self, sender: Proc, to: Proc, reason: Any, *, link: bool) -> None:
        if to.dead:
            return
        if link:
            if sender.number not in to.links:
                return
            to.links.remove(sender.number)
        kill = reason == "kill" and not link
        if to.exiting is not ALIVE:
            if kill:
                self.end(to, to.exiting)
        elif kill:
            self.end(to, "killed")
        elif to.trap:
            self.deliver(to, ("exit", sender.number, reason))
        elif reason != "normal" or sender is to:
            to.exiting = reason
            to.mailbox.clear()
            self.wake(to)

    def end(self, proc: Proc, reason: Any) -> None:
        proc.dead = True
        proc.waiting = False
        if proc.name is not None:
            del self.names[proc.name]
        for ref, (target, _) in proc.monitors.items():
            self.procs[target].watchers.pop((proc.number, ref), None)
        for peer in proc.links:
            self.exit_signal(proc, self.procs[peer], reason, link=True)
        for watcher, ref in proc.watchers:
            other = self.procs[watcher]
            if not other.dead:
                _, shown = other.monitors.pop(ref)
                self.deliver(other, ("down", ref, shown, reason))

    # turns

    def run(self) -> None:
        while self.queue:
            proc = self.queue.popleft()
            if proc.dead:
                continue
            if proc.exiting is not ALIVE:
                self.end(proc, proc.exiting)
                continue
            while proc.mailbox and proc.exiting is ALIVE and not proc.dead:
                message = proc.mailbox.popleft()
                if message[0] != "do":
                    proc.log.append(message)
                    continue
                try:
                    for op in message[1]:
                        getattr(self, op[0])(proc, *op[1:])
                except Stop:
                    break
            if proc.dead:
                continue
            if proc.exiting is not ALIVE:
                self.queue.append(proc)  # its next await is where it ends
            else:
                proc.waiting = True

    # what a process does

    def other(self, number: int) -> Proc:
        return self.procs[number % len(self.procs)]

    def spawn(self, me: Proc, link: bool, monitor: bool, trap: bool) -> None:
        if len(self.procs) == MOST:
            return
        child = self.new()
        child.trap = trap
        if link:
            me.links.append(child.number)
            child.links.append(me.number)
        if monitor:
            me.refs += 1
            me.monitors[me.refs] = child.number, child.number
            child.watchers[me.number, me.refs] = None

    def link(self, me: Proc, number: int) -> None:
        peer = self.other(number)
        if peer is me or peer.number in me.links:
            return
        if peer.dead and not me.trap:
            me.log.append(("error", "NoProcess"))
        elif peer.dead:
            self.deliver(me, ("exit", peer.number, "noproc"))
        else:
            me.links.append(peer.number)
            peer.links.append(me.number)

    def unlink(self, me: Proc, number: int) -> None:
        peer = self.other(number)
        if peer.number in me.links:
            me.links.remove(peer.number)
            peer.links.remove(me.number)

    def monitor(self, me: Proc, number: int, name: str | None = None) -> None:
        target = self.other(number)
        me.refs += 1
        if target.dead:
            self.deliver(me, ("down", me.refs, target.number, "noproc"))
        elif target is not me:
            me.monitors[me.refs] = target.number, name or target.number
            target.watchers[me.number, me.refs] = None

    def monitor_name(self, me: Proc, name: str) -> None:
        if name in self.names:
            self.monitor(me, self.names[name], name)
        else:
            me.refs += 1
            self.deliver(me, ("down", me.refs, name, "noproc"))

    def demonitor(self, me: Proc, ref: int, flush: bool) -> None:
        if not me.refs:
            return
        ref = ref % me.refs + 1
        monitor = me.monitors.pop(ref, None)
        me.log.append(("was on", monitor is not None))
        if monitor is not None:
            del self.procs[monitor[0]].watchers[me.number, ref]
        elif flush:
            for message in me.mailbox:
                if message[:2] == ("down", ref):
                    me.mailbox.remove(message)
                    break

    def exit_other(self, me: Proc, number: int, reason: Any) -> None:
        to = self.other(number)
        self.exit_signal(me, to, reason, link=False)
        if to is me and me.dead:
            raise Stop
        if to is me and me.exiting is not ALIVE:
            self.leave(me, None)

    def leave(self, me: Proc, reason: Any) -> None:
        self.end(me, reason if me.exiting is ALIVE else me.exiting)
        raise Stop

    def crash(self, me: Proc) -> None:
        self.leave(me, "crash")

    def set_trap(self, me: Proc, flag: bool) -> None:
        me.trap = flag

    def send(self, me: Proc, number: int, value: int) -> None:
        self.deliver(self.other(number), ("message", value))

    def send_name(self, me: Proc, name: str, value: int) -> None:
        if name in self.names:
            self.send(me, self.names[name], value)
        else:
            me.log.append(("error", "NotRegistered"))

    def register(self, me: Proc, name: str, number: int) -> None:
        proc = self.other(number)
        if proc.dead or proc.exiting is not ALIVE:
            me.log.append(("error", "NoProcess"))
        elif name in self.names or proc.name is not None:
            me.log.append(("error", "NameTaken"))
        else:
            proc.name, self.names[name] = name, proc.number

    def unregister(self, me: Proc, name: str) -> None:
        if name in self.names:
            self.procs[self.names.pop(name)].name = None
        else:
            me.log.append(("error", "NotRegistered"))


# the real thing


class Real:
    """The same operations, done by processes."""

    def __init__(self) -> None:
        self.pids: list[bp.Pid] = []
        self.logs: list[list[Any]] = []
        self.refs: list[list[bp.Ref]] = []

    def begin(self) -> None:
        for _ in range(FIRST):
            self.spawn(-1, False, False, False)

    def name_of(self, target: Any) -> Any:
        return self.pids.index(target) if isinstance(target, bp.Pid) else target[0]

    async def worker(self, me: int) -> None:
        async for message in bp.mailbox():
            match message:
                case ("do", ops):
                    for verb, *args in ops:
                        try:
                            getattr(self, verb)(me, *args)
                        except BeampyError as error:
                            self.logs[me].append(("error", type(error).__name__))
                case bp.Down(ref=ref, target=target, reason=reason):
                    number = self.refs[me].index(ref) + 1
                    self.logs[me].append(("down", number, self.name_of(target), plain(reason)))
                case bp.Exit(pid=pid, reason=reason):
                    self.logs[me].append(("exit", self.pids.index(pid), plain(reason)))
                case _:
                    self.logs[me].append(message)

    def other(self, number: int) -> bp.Pid:
        return self.pids[number % len(self.pids)]

    def spawn(self, me: int, link: bool, monitor: bool, trap: bool) -> None:
        number = len(self.pids)
        if number == MOST:
            return
        if monitor:
            pid, ref = bp.spawn(self.worker, number, link=link, monitor=True, trap_exit=trap)
            self.refs[me].append(ref)
        else:
            pid = bp.spawn(self.worker, number, link=link, trap_exit=trap)
        self.pids.append(pid)
        self.logs.append([])
        self.refs.append([])

    def link(self, me: int, number: int) -> None:
        bp.link(self.other(number))

    def unlink(self, me: int, number: int) -> None:
        bp.unlink(self.other(number))

    def monitor(self, me: int, number: int) -> None:
        self.refs[me].append(bp.monitor(self.other(number)))

    def monitor_name(self, me: int, name: str) -> None:
        self.refs[me].append(bp.monitor(name))

    def demonitor(self, me: int, ref: int, flush: bool) -> None:
        if self.refs[me]:
            was_on = bp.demonitor(self.refs[me][ref % len(self.refs[me])], flush=flush)
            self.logs[me].append(("was on", was_on))

    def exit_other(self, me: int, number: int, reason: Any) -> None:
        bp.exit(self.other(number), reason)

    def leave(self, me: int, reason: Any) -> None:
        bp.exit(reason)

    def crash(self, me: int) -> None:
        raise ValueError("crash")

    def set_trap(self, me: int, flag: bool) -> None:
        bp.trap_exit(flag)

    def send(self, me: int, number: int, value: int) -> None:
        bp.send(self.other(number), ("message", value))

    def send_name(self, me: int, name: str, value: int) -> None:
        bp.send(name, ("message", value))

    def register(self, me: int, name: str, number: int) -> None:
        bp.register(name, self.other(number))

    def unregister(self, me: int, name: str) -> None:
        bp.unregister(name)


def plain(reason: Any) -> Any:
    return "crash" if isinstance(reason, Crash) else reason


def compare(model: Model, real: Real) -> None:
    assert len(real.pids) == len(model.procs)
    assert real.logs == [proc.log for proc in model.procs]
    assert [bp.is_alive(pid) for pid in real.pids] == [not proc.dead for proc in model.procs]
    names = {name: real.pids.index(pid) for name in bp.registered() if (pid := bp.whereis(name)) is not None}
    assert names == model.names
    for pid, proc in zip(real.pids, model.procs, strict=True):
        info = bp.process_info(pid)
        if info is None:
            assert proc.dead
            continue
        assert [real.pids.index(peer) for peer in info.links] == proc.links
        assert [real.name_of(target) for target in info.monitors] == [shown for _, shown in proc.monitors.values()]
        assert [real.pids.index(watcher) for watcher in info.monitored_by] == [w for w, _ in proc.watchers]
        assert info.trap_exit == proc.trap
        assert info.message_queue_len == 0
        assert info.registered_name == proc.name


# programs

numbers = st.integers(0, MOST - 1)
names = st.sampled_from(NAMES)
reasons = st.sampled_from(["normal", "kill", "killed", "shutdown", "boom", ("shutdown", 1), None])
ops = st.one_of(
    st.tuples(st.just("spawn"), st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.just("link"), numbers),
    st.tuples(st.just("link"), numbers),
    st.tuples(st.just("unlink"), numbers),
    st.tuples(st.just("monitor"), numbers),
    st.tuples(st.just("monitor"), numbers),
    st.tuples(st.just("monitor_name"), names),
    st.tuples(st.just("demonitor"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("exit_other"), numbers, reasons),
    st.tuples(st.just("exit_other"), numbers, reasons),
    st.tuples(st.just("leave"), reasons),
    st.tuples(st.just("crash")),
    st.tuples(st.just("set_trap"), st.booleans()),
    st.tuples(st.just("set_trap"), st.just(True)),
    st.tuples(st.just("send"), numbers, st.integers(0, 9)),
    st.tuples(st.just("send_name"), names, st.integers(0, 9)),
    st.tuples(st.just("register"), names, numbers),
    st.tuples(st.just("unregister"), names),
)
batches = st.tuples(numbers, st.lists(ops, min_size=1, max_size=6))
rounds = st.lists(st.lists(batches, min_size=1, max_size=3), min_size=1, max_size=8)
# Most of it happens between processes that are linked and watched: so it begins.
firsts = st.integers(0, FIRST - 1)
beginnings = st.tuples(*(
    st.tuples(
        st.just(number),
        st.tuples(
            st.tuples(st.just("set_trap"), st.sampled_from([False, False, True])),
            st.tuples(st.just("link"), firsts),
            st.tuples(st.just("monitor"), firsts),
            st.tuples(st.just("monitor"), firsts),
        ),
    )
    for number in range(FIRST)
))  # fmt: skip


async def follow(program: list[Any]) -> None:
    async def body() -> None:
        model, real = Model(), Real()
        real.begin()
        await asyncio.sleep(1)
        for batches in program:
            for number, batch in batches:
                bp.send(real.other(number), ("do", batch))
                model.deliver(model.other(number), ("do", batch))
            model.run()
            await asyncio.sleep(1)  # nobody has anything left to do
            compare(model, real)

    await harness.run(body)


# A flush in the middle of a turn must not put the messages that follow off to the next one.
FLUSHED = (
    ((0, (("link", 1), ("monitor", 2), ("monitor", 2))),),
    [
        [
            (3, [("link", 5)]),
            (5, [("crash",)]),
            (3, [("demonitor", 5, False), ("demonitor", 3, True), ("monitor_name", "two")]),
        ]
    ],
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(beginning=beginnings, program=rounds)
@example(*FLUSHED)
def test_random_programs(beginning: Any, program: list[Any]) -> None:
    logging.disable()
    try:
        simloop.run(follow, [beginning, *program])
    finally:
        logging.disable(logging.NOTSET)
