"""floor: a pool has the runners that frames want, while they want them, and nobody waits longer than for a boot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from beampy.frames.floor import up, want
from beampy.pool.plan import Limits, Plan
from beampy.pool.plan_actions import Boot

LIMITS = Limits(
    min=1,
    max=3,
    max_concurrency=100,
    single_use=False,
    idle_after=30.0,
    min_idle_after=None,
    max_queue=10,
    max_zombies=4,
    boot_rounds=3,
    backoff=0.25,
    boot_timeout=30.0,
    shutdown_timeout=30.0,
)


class FakeManager:
    """A plan, and a clock that goes on by a second whenever it is looked at."""

    def __init__(self, **limits: Any) -> None:
        self.now = 0.0
        self.plan = Plan(replace(LIMITS, **limits), 0.0)
        self.plan.start(0.0)
        self.stopping: str | None = None
        self.scaled: list[tuple[int, int]] = []
        self.tell = SimpleNamespace(scaled=lambda *limits: self.scaled.append(limits))

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def act(self) -> None:
        pass

    def boots(self) -> list[int]:
        """What the plan wants to be booted since the last time."""
        return [action.boot for action in self.plan.take_actions() if isinstance(action, Boot)]


async def test_what_is_missing_is_booted_and_waited_for() -> None:
    manager: Any = FakeManager()
    waiting = asyncio.ensure_future(up(manager, 3))
    await asyncio.sleep(0)
    boots = manager.boots()
    assert len(boots) == 3
    for boot in boots:
        assert not waiting.done()
        assert manager.plan.booted(boot, manager.now)
    await waiting
    assert manager.scaled == [(3, 3), (1, 3)]
    await up(manager, 2)  # they are there: nothing is asked for
    assert len(manager.scaled) == 2


async def test_no_more_are_wanted_than_a_pool_may_have() -> None:
    manager: Any = FakeManager(max=2)
    waiting = asyncio.ensure_future(up(manager, 9))
    await asyncio.sleep(0)
    for boot in manager.boots():
        manager.plan.booted(boot, manager.now)
    await waiting
    assert manager.scaled == [(2, 2), (1, 2)]


async def test_a_boot_that_never_ends_is_not_waited_for_longer_than_it_may_take() -> None:
    manager: Any = FakeManager(boot_timeout=5.0)
    await up(manager, 3)
    assert manager.now >= 5
    assert manager.scaled == [(3, 3), (1, 3)]


@pytest.mark.parametrize("end", ["failed", "stopping", "cancelled"])
async def test_it_ends_where_nothing_comes(end: str) -> None:
    manager: Any = FakeManager(boot_timeout=1e9)
    waiting = asyncio.ensure_future(up(manager, 3))
    await asyncio.sleep(0)
    if end == "failed":
        for boot in manager.boots():
            manager.plan.boot_failed(boot, OSError("no room"), manager.now)
    elif end == "stopping":
        manager.stopping = "it is closed"
    else:
        waiting.cancel()
    if end == "cancelled":
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        await waiting
    assert manager.plan.limits.min == (3 if end == "stopping" else 1)


def test_what_others_say_meanwhile_holds_afterwards() -> None:
    manager: Any = FakeManager()
    want(manager, "one", 2)
    want(manager, "other", 3)
    assert manager.plan.limits.min == 3
    want(manager, "other", 0)
    assert manager.plan.limits.min == 2
    manager.plan.resize(0, 5, 0.0)  # somebody has said so
    want(manager, "one", 4)
    assert manager.plan.limits.min == 4
    want(manager, "one", 0)
    assert manager.plan.limits.min == 0
