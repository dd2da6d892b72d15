"""Whether a plan holds together: what must be true between any two events.

Rule: each fact that the plan keeps twice, for speed, is compared here; each promise that it makes is looked up.
Place: `Plan.check`, for tests, and for a debugger's prompt. It changes nothing, and looks at everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beampy.pool.plan import Plan


def check(plan: Plan) -> None:
    """AssertionError says what is wrong."""
    plan._queue.check()
    plan._slots.check()
    runners, boots = plan._runners, plan._boots
    up = [runner for runner in runners.values() if runner.state == "up"]

    on_slots = {call: runner for runner in runners.values() for call in runner.calls}
    assert sum(len(runner.calls) for runner in runners.values()) == len(on_slots), "a call is on two runners"
    assert on_slots == plan._where, "calls and runners differ"
    assert not any(call in plan._queue for call in on_slots), "a call waits and has a slot"

    assert len(up) == plan.up, "a runner that is up takes no calls, or another one does"
    assert sum(len(runner.calls) for runner in up) == plan._busy, "the calls on slots were miscounted"
    assert sum(len(runner.zombies) for runner in up) == plan._zombies, "the cancelled calls were miscounted"
    for runner in runners.values():
        assert len(runner.calls) <= plan._capacity, f"runner {runner.id} has more calls than slots"
        assert runner.zombies.keys() <= runner.calls, f"runner {runner.id} has a zombie that is none of its calls"
        assert not runner.calls or runner.state not in ("asked", "away"), f"runner {runner.id} has calls"
        assert runner.state != "asked" or runner.asked, f"runner {runner.id} was never asked"
        assert runner.id not in boots, f"runner {runner.id} is booting"

    if plan._queue:
        assert all(len(runner.calls) == plan._capacity for runner in up), "a call waits beside a free slot"
        assert plan.stopped_at is None, "a call waits, and the plan was stopped"
    if boots:
        assert max(boots) <= plan._boot, "a boot has a number to come"
        assert list(boots) == sorted(boots), "boots are not in order"
        assert plan.stopped_at is None, "a machine boots, and the plan was stopped"
        assert plan.due <= next(iter(boots.values())), "a boot may hang for ever"
    assert 0 <= plan._floor <= plan.limits.min, "the floor is not between 0 and min"
