"""What becomes of a name that two processes have, when the two sides of a split meet again. OTP's resolvers.

A resolver is `fn(name, pid1, pid2)`, async or not. It returns which of the two keeps the name, or None: neither does.
One that raises, or returns anything else, is read as None. It runs on one node only, under the name's lock.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from beampy import api
from beampy.core.ids import Pid
from beampy.core.signals import safe_repr

log = logging.getLogger("beampy.otp")

DEADLINE = 30.0  # seconds for a resolver, which may ask the two processes: six calls of five seconds

Resolver = Callable[[Any, Pid, Pid], "Pid | Awaitable[Pid | None] | None"]


class NameConflict(NamedTuple):
    """What those get who lose a name to another process, where they are not killed. `pid` is the other one."""

    name: Any
    pid: Pid


def random_exit_name(name: Any, pid1: Pid, pid2: Pid) -> Pid:
    """One of the two keeps the name; the other is killed. The default, as in OTP."""
    winner, loser = _chosen(pid1, pid2)
    log.info("the name %s was taken twice: %r is killed, %r keeps it", safe_repr(name), loser, winner)
    api.exit(loser, "kill")
    return winner


def random_notify_name(name: Any, pid1: Pid, pid2: Pid) -> Pid:
    """One of the two keeps the name; the other gets NameConflict."""
    winner, loser = _chosen(pid1, pid2)
    api.send(loser, NameConflict(name, winner))
    return winner


def notify_all_name(name: Any, pid1: Pid, pid2: Pid) -> None:
    """Neither keeps the name; both get NameConflict."""
    api.send(pid1, NameConflict(name, pid2))
    api.send(pid2, NameConflict(name, pid1))


def _chosen(pid1: Pid, pid2: Pid) -> tuple[Pid, Pid]:
    """The two, the first of them by chance: which a run of the simulator can repeat."""
    pair = sorted([pid1, pid2])
    if random.Random("".join(f"{pid!r} {pid.creation}" for pid in pair)).random() < 0.5:
        pair.reverse()
    return pair[0], pair[1]


async def resolved(resolver: Resolver, name: Any, pid1: Pid, pid2: Pid) -> Pid | None:
    """Which of the two keeps the name, as the resolver says. It never raises."""
    try:
        answer = resolver(name, pid1, pid2)
        if inspect.isawaitable(answer):
            async with asyncio.timeout(DEADLINE):
                answer = await answer
    except Exception:
        log.exception("the resolver of the name %s failed: neither %r nor %r keeps it", safe_repr(name), pid1, pid2)
        return None
    if answer is None or (isinstance(answer, Pid) and answer in (pid1, pid2)):
        return answer
    log.error("the resolver of the name %s chose %s, which is neither of the two", safe_repr(name), safe_repr(answer))
    return None
