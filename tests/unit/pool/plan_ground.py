"""What tests of plans stand on: limits that name only what a test is about, and plans with runners that are up."""

from __future__ import annotations

from typing import Any

from beampy.pool.plan import Limits, Plan

LIMITS: dict[str, Any] = {
    "min": 0,
    "max": 4,
    "max_concurrency": 2,
    "single_use": False,
    "idle_after": 30.0,
    "min_idle_after": None,
    "max_queue": 100,
    "max_zombies": 1,
    "boot_rounds": 3,
    "backoff": 0.25,
    "boot_timeout": 30.0,
    "shutdown_timeout": 10.0,
}


def limits(**changes: Any) -> Limits:
    return Limits(**{**LIMITS, **changes})


def plan_of(up: int, *, least: int | None = None, **changes: Any) -> Plan:
    """A plan whose runners 1 to `up` are up. They are its min, if `least` says no other."""
    plan = Plan(limits(**{"min": up, **changes}), 0.0)
    plan.start(0.0)
    for boot in range(1, up + 1):
        assert plan.booted(boot, 0.0)
    if least is not None:
        plan.resize(least, plan.limits.max, 0.0)
    plan.take_actions()
    return plan
