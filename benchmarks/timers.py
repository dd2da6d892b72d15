"""Timers and names: send_after, cancel_timer and whereis, each so many a second.

The timers are set an hour ahead, so none fires; each is cancelled after all were set. asyncio by
hand has call_later and cancel, and no names.
"""

from __future__ import annotations

from time import perf_counter

import beampy as bp
from benchmarks.case import Case, Figure, Figures, per_second
from benchmarks.harness import main

MESSAGE = ("message", 1)


async def timers(n: int) -> Figures:
    me = bp.self()
    began = perf_counter()
    refs = [bp.send_after(3600, me, MESSAGE) for _ in range(n)]
    made = per_second(n, began)

    began = perf_counter()
    for ref in refs:
        bp.cancel_timer(ref)
    cancelled = per_second(n, began)

    bp.register("looked_up", me)
    began = perf_counter()
    for _ in range(n):
        bp.whereis("looked_up")
    found = per_second(n, began)
    return {"send_after": made, "cancel_timer": cancelled, "whereis": found}


CASES = (
    Case(
        "timers",
        timers,
        (
            Figure("send_after", "timers/s"),
            Figure("cancel_timer", "timers/s"),
            Figure("whereis", "look-ups/s"),
        ),
        size=200_000,
        smoke=500,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
