"""gen_statem's timeouts: beam.md 3.5. A machine gets the event go, which sets them, and then q.

Where one timer must go off before another that was started first, that one is long: on a real clock the machine may
be held up between the two.
"""

from __future__ import annotations

from typing import Any

import beampy as bp
from beampy.otp.statem import CancelTimeout, EventTimeout, Keep, Next, Repeat, StateTimeout, Timer, UpdateTimeout
from tests.conformance.statem_script import LATER, MS, Script, insert, machine, rest, run, told
from tests.conformance.vectors import probe


def cancelled(action: Any, then: Any = None) -> Script:
    """Go sets a timeout, q does `then`."""
    return {"go": Keep(action), "q": then}


# state timeouts


@probe
async def test_state_timeout_fires():
    return await run(2, ["go"], {"go": Next("b", StateTimeout(10 * MS, "t"))})


@probe
async def test_state_timeout_cancelled_by_state_change():
    return await run(2, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Next("b")))


@probe
async def test_state_timeout_kept_by_keep_state():
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "t")))


@probe
async def test_state_timeout_kept_by_same_state():
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Next("a")))


@probe
async def test_state_timeout_kept_by_repeat_state():
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Repeat()))


@probe
async def test_state_timeout_restarted():
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Keep(StateTimeout(40 * MS, "u"))))


@probe
async def test_state_timeout_cancel():
    cancels = [CancelTimeout("state_timeout"), StateTimeout(None, "x")]
    after = [await run(2, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Keep(action))) for action in cancels]
    return [*after, await run(1, ["go"], {"go": Keep(CancelTimeout("state_timeout"))})]


@probe
async def test_state_timeout_update():
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "t"), Keep(UpdateTimeout("state_timeout", "u"))))


@probe
async def test_state_timeout_set_with_state_change_survives():
    then = Next("b", StateTimeout(40 * MS, "of_b"))
    return await run(3, ["go", "q"], cancelled(StateTimeout(30 * MS, "of_a"), then))


@probe
async def test_state_timeout_postponed():
    m = await machine({"go": Keep(StateTimeout(10 * MS, "t")), ("a", "t"): LATER, ("a", "x"): Next("b")})
    bp.cast(m, "go")
    first = [await told(), await told()]
    bp.send(m, "x")
    return [*first, await told(), await told(), *await rest()]


# event timeouts


@probe
async def test_event_timeout_fires():
    # Erlang's second way is a bare number, which is its own content
    return [await run(2, ["go"], {"go": Keep(EventTimeout(10 * MS, content))}) for content in ("t", 10)]


@probe
async def test_event_timeout_cancelled_by_any_event():
    script = {"go": Keep(EventTimeout(30 * MS, "t"))}
    return [await run(2, ["go", event], script) for event in ("q", ("info", "q"))]


@probe
async def test_event_timeout_cancelled_by_timeout():
    return await run(2, ["go"], {"go": Keep(EventTimeout(400 * MS, "t"), StateTimeout(10 * MS, "u"))})


@probe
async def test_event_timeout_cancelled_by_next_event():
    return await run(2, ["go"], {"go": Keep(EventTimeout(20 * MS, "t"), *insert("n1"))})


@probe
async def test_event_timeout_cancelled_by_retried_event():
    return await run(3, ["e1", "go"], {("a", "e1"): LATER, "go": Next("b", EventTimeout(20 * MS, "t"))})


@probe
async def test_event_timeout_survives_state_change():
    return await run(2, ["go"], {"go": Next("b", EventTimeout(10 * MS, "t"))})


@probe
async def test_event_timeout_cancelled_by_postponed_event():
    return await run(2, ["go", "e1"], {"go": Keep(EventTimeout(20 * MS, "t")), "e1": LATER})


# named timeouts


def named(ms: float, content: str, name: str = "n") -> Timer:
    return Timer(name, ms * MS, content)


@probe
async def test_named_timeout_survives_state_change():
    return await run(4, ["go", "q", "r"], {"go": Keep(named(30, "t")), "q": Next("b"), "r": Next("c")})


@probe
async def test_named_timeout_survives_events():
    return await run(3, ["go", ("info", "q")], {"go": Keep(named(30, "t"))})


@probe
async def test_named_timeout_overwritten():
    return await run(3, ["go", "q"], cancelled(named(30, "t"), Keep(named(40, "u"))))


@probe
async def test_named_timeout_cancelled():
    cancels = [(2, CancelTimeout(("timeout", "n"))), (3, CancelTimeout(("timeout", "m")))]
    return [await run(n, ["go", "q"], cancelled(named(30, "t"), Keep(cancel))) for n, cancel in cancels]


@probe
async def test_named_timeouts_are_apart():
    return await run(3, ["go"], {"go": Keep(named(400, "t", "n"), named(20, "t", "m"))})


@probe
async def test_named_timeout_update():
    update = Keep(UpdateTimeout(("timeout", "n"), "u"))
    return [await run(3, ["go", "q"], cancelled(named(30, "t"), update)), await run(2, ["go"], {"go": update})]


@probe
async def test_timeouts_of_three_kinds():
    three = Keep(EventTimeout(20 * MS, "e"), StateTimeout(20 * MS, "s"), named(20, "g"))
    return await run(3, ["go", "q"], {"go": three, "q": Next("b")})


# timeouts of 0: events at once


@probe
async def test_timeout_zero_before_queued():
    return [await run(3, ["go", "q"], {"go": Keep(action)}) for action in (StateTimeout(0, "t"), named(0, "t"))]


@probe
async def test_timeout_zero_event():
    return await run(3, ["go", "q"], {"go": Keep(EventTimeout(0, "t"))})


@probe
async def test_timeout_zero_event_not_after_next_event():
    return await run(3, ["go", "q"], {"go": Keep(EventTimeout(0, "t"), *insert("n1"))})


@probe
async def test_timeout_zero_order():
    return await run(4, ["go", "q"], {"go": Keep(StateTimeout(0, "t"), named(0, "u"), EventTimeout(0, "v"))})


@probe
async def test_timeout_zero_order_reversed():
    return await run(5, ["go", "q"], {"go": Keep(EventTimeout(0, "v"), named(0, "u"), StateTimeout(0, "t"))})


@probe
async def test_timeout_zero_after_next_event():
    return await run(4, ["go", "q"], {"go": Keep(StateTimeout(0, "t"), *insert("n1"))})


@probe
async def test_timeout_zero_after_retried():
    return await run(5, ["e1", "go", "q"], {("a", "e1"): LATER, "go": Next("b", StateTimeout(0, "t"))})


@probe
async def test_timeout_zero_cancelled_by_next_event_that_changes_state():
    return await run(3, ["go", "q"], {"go": Keep(StateTimeout(0, "t"), *insert("n1")), "n1": Next("b")})
