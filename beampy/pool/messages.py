"""What a pool and its runners say to each other, besides the calls themselves, which are remote calls.

Rule: each is a NamedTuple of plain values. The pool's process has the name that a runner's spec says; on a runner the
terminator has the name RUNNER. A message that is not expected is dropped.

    runner                                   pool
      Hello(ticket, pid, about)       →                     once connected; the ticket is good for one Hello
                                      ←      Welcome(boot)  or Refused(why), after which the runner ends
      calls: `beampy.pool.job` through the remote call server
                                      ←      Still(jobs)    calls were cancelled: are these jobs still here?
      Gone(jobs)                      →                     they are not: at once, or when they have really ended
                                      ←      Drain(n)       may it end? New calls are not sent while it is asked
      Drained(n) or Busy(n, why)      →
      Leaving(pid, why)               →                     it was told to end, not by the pool: its calls are lost
      Keeps(pid, what)                →                     other nodes refer to objects here; "": they do no more
      Meet(ref, node)                 →                     where is that node? See meeting.py
                                      ←      Met(addresses, cookie) or Unmet(why), to the ref
                                      ←      Stop(seconds)  end in order, within that time
                                      ←      Fork(spec)     (isolation by process) one more slot, which says Hello
                                      itself
      Forked(name, os_pid), Ended(name, status, oom)  →
                                      ←      Kill(name, seconds)  a slot: terminate, then kill
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref

RUNNER = "beampy.runner"  # the reserved name of a runner's terminator

PROTOCOL = 1  # of these messages; a runner that speaks another one is refused


class Hello(NamedTuple):
    """A runner is up. `about` has what it is: see `runner.about`; unknown keys are ignored."""

    ticket: str
    pid: Pid
    about: dict[str, Any]


class Welcome(NamedTuple):
    """It belongs to the pool now. `boot` is the number of its ticket."""

    boot: int


class Refused(NamedTuple):
    """It does not, and ends."""

    why: str


class Still(NamedTuple):
    """Nobody waits for these jobs any more. Each is to be named in a Gone: now, or when its code has ended."""

    jobs: tuple[int, ...]


class Gone(NamedTuple):
    """Jobs of a Still that are not here: they have ended, or will never begin."""

    jobs: tuple[int, ...]


class Drain(NamedTuple):
    """May this runner end? The answer has the same number."""

    number: int


class Drained(NamedTuple):
    """Nothing runs here and nothing is kept: it may."""

    number: int


class Busy(NamedTuple):
    """It may not: something here is still needed, `why` says what."""

    number: int
    why: str


class Leaving(NamedTuple):
    """This runner, or slot, ends now, because somebody else wants it (SIGTERM). `pid` is that of its Hello."""

    pid: Pid
    why: str


class Keeps(NamedTuple):
    """Objects of this runner, or slot, are referred to by other nodes: `what`, to people; "" when none is any more."""

    pid: Pid
    what: str


class Meet(NamedTuple):
    """A runner, or slot, wants to connect with `node`. Answered to `ref`."""

    ref: Ref
    node: str


class Met(NamedTuple):
    """It is there: fields of dist.address.Address; `cookie`, made for these two, where they do not share one."""

    addresses: tuple[dict[str, Any], ...]
    cookie: str | None = None


class Unmet(NamedTuple):
    """It cannot be met."""

    why: str


class Stop(NamedTuple):
    """End in order: jobs and placed children have `seconds`."""

    seconds: float


class Fork(NamedTuple):
    """Start one more slot of a runner whose slots are processes. `spec` is the slot's, as text."""

    spec: str


class Forked(NamedTuple):
    """A slot's process was started."""

    name: str
    os_pid: int


class Ended(NamedTuple):
    """A slot's process has ended: with an exit status, or minus a signal's number."""

    name: str
    status: int | None
    oom: bool


class Kill(NamedTuple):
    """End a slot: SIGTERM, and after `seconds` SIGKILL."""

    name: str
    seconds: float
