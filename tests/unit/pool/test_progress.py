"""Progress: what `track` and `log` cost their code nothing and tell its caller, in time and within bounds."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import math
import threading
from typing import Any

import pytest

import beampy as bp
import beampy.runtime.records
from beampy import api
from beampy.core.group_leader import Channel, Report, leader
from beampy.otp.rpc import remote_call
from beampy.pool import progress
from beampy.pool.progress import BARS, CURVES, POINTS, RATE, CallProgress, Curve, Reports, log, thinned, track
from beampy.wire.codec import FOREIGN, Decoder, Encoder
from tests.unit.core.test_group_leader import Recorder, recorded, until
from tests.unit.otp.leader_ground import leading
from tests.unit.otp.rpc_ground import here
from tests.unit.otp.tidy import process

in_threads = pytest.mark.loops("asyncio", "uvloop")
virtual = pytest.mark.loops("sim")  # what is sent when depends on the time


def told(recorder: Recorder) -> CallProgress:
    """What a caller knows after all that came."""
    heard = CallProgress()
    for at, message in enumerate(recorder.got):
        if isinstance(message, Report):
            heard.take(message, float(at))
    return heard


def bars(heard: CallProgress) -> dict[str, tuple[int, int | None, bool]]:
    return {label: (bar.done, bar.total, bar.ended) for label, bar in heard.bars.items()}


def now() -> Channel:
    channel = leader.get()
    assert channel is not None
    return channel


# --- calls


@leading
async def test_the_last_report_of_a_call_is_there_before_its_value(recorder):
    async def work() -> int:
        for n in track(range(7)):
            log(loss=n)
        return 1

    assert await remote_call(here(), work) == 1
    assert bars(told(recorder)) == {"work": (7, 7, True)}
    assert told(recorder).curves["loss"].points == tuple((n, float(n)) for n in range(7))


@in_threads
@leading
async def test_functions_in_threads_report_too(recorder):
    def work() -> int:
        return sum(track(range(100), label="rows"))

    assert await remote_call(here(), work) == 4950
    assert bars(told(recorder)) == {"rows": (100, 100, True)}


@leading
async def test_the_last_report_of_a_call_that_fails_is_there_before_its_failure(recorder):
    async def work() -> None:
        for n in track(range(7)):
            if n == 3:
                raise ValueError(n)

    with pytest.raises(ValueError, match="3"):
        await remote_call(here(), work)
    assert bars(told(recorder))["work"][:2] == (3, 7)


@leading
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_reports_come_while_the_function_runs(recorder, kind):
    gates = [asyncio.Event() for _ in "abc"]

    async def letters() -> Any:
        for letter in "abc":
            yield letter

    async def work() -> None:
        at = 0
        if kind == "plain":
            for _ in track("abc", label="letters"):
                await gates[at].wait()
                at += 1
        else:
            async for _ in track(letters(), 3, "letters"):
                await gates[at].wait()
                at += 1

    call = remote_call(here(), work)
    for done, gate in enumerate(gates):
        await until(lambda done=done: bars(told(recorder)) == {"letters": (done, 3, False)})
        assert not call.done()
        gate.set()
    await call
    assert bars(told(recorder)) == {"letters": (3, 3, True)}


@virtual
@leading
async def test_reports_are_at_most_ten_a_second_whatever_the_code_does(recorder):
    async def work() -> None:
        for _ in track(range(1000)):
            await asyncio.sleep(0.003)
            log(x=1)

    await remote_call(here(), work)
    reports = [message for message in recorder.got if isinstance(message, Report)]
    assert 3 * RATE * 0.8 < len(reports) <= 3 * RATE + 3  # the first comes at once, and the last
    assert bars(told(recorder)) == {"work": (1000, 1000, True)}
    assert len(told(recorder).curves["x"].points) == 1000


@virtual
@leading
async def test_what_is_printed_meanwhile_sends_no_reports(recorder):
    async def work() -> None:
        for n in track(range(50)):
            now().write(1, f"{n}\n")
            await asyncio.sleep(0.001)

    await remote_call(here(), work)
    assert sum(isinstance(message, Report) for message in recorder.got) <= 3
    assert recorder.text().count("\n") == 50


@virtual
@leading
async def test_code_that_stands_still_sends_nothing(recorder):
    async def work() -> None:
        for _ in track(range(3)):
            await asyncio.sleep(1000)

    await remote_call(here(), work)
    assert sum(isinstance(message, Report) for message in recorder.got) <= 5


@in_threads
@leading
async def test_threads_of_one_call_report_side_by_side(recorder):
    async def work() -> None:
        def part(name: str) -> None:
            for n in track(range(2000), label=name):
                log(**{name: n})

        await asyncio.gather(*(asyncio.to_thread(part, name) for name in "abc"))

    await remote_call(here(), work)
    heard = told(recorder)
    assert bars(heard) == dict.fromkeys("abc", (2000, 2000, True))
    for name in "abc":
        assert heard.curves[name].points[-1][1] == 1999.0


@process
async def test_a_report_is_plain_data_and_small_at_its_largest():
    channel, recorder = recorded()
    token = leader.set(channel)
    open_bars = [track(itertools.repeat(0), label=f"{n:03}" + "\N{GRINNING FACE}" * 100) for n in range(BARS)]
    for bar in open_bars:
        next(bar)
    for step in range(300):
        log(1e9 + step, **{f"{n:03}" + "\N{GRINNING FACE}" * 100: 1 / (step + 1) for n in range(CURVES)})
    leader.reset(token)
    channel.flush()
    (report,) = recorder.got
    assert len(report.bars) == BARS
    assert len(report.curves) == CURVES
    assert all(points[-1] == (1e9 + 299, 1 / 300) for _, points in report.curves)
    kind, parts, buffers = Encoder("a@h", 1, lambda ref: None).encode(report)
    body = b"".join(parts)
    assert not kind & FOREIGN
    assert not buffers
    assert len(body) < 65_536
    assert Decoder("a@h", 1).decode(kind, body, None) == report
    del open_bars, bar


# --- track


def reports() -> tuple[Reports, Channel]:
    """Of a call whose reports are taken by hand."""

    class Still(Channel):
        def soon(self, fn: Any) -> None:
            pass

    channel = Still.__new__(Still)
    channel.report = found = Reports(channel)
    return found, channel


@pytest.fixture
def mine() -> Any:
    """The reports of this test's code."""
    found, channel = reports()
    token = leader.set(channel)
    yield found
    leader.reset(token)


def test_an_item_is_done_when_the_next_one_is_asked_for(mine):
    items = track(iter("abc"), 3, "x")
    assert mine() is None  # it has not begun
    assert next(items) == "a"
    assert mine() == Report((("x", 0, 3, False),), ())
    assert next(items) == "b"
    assert next(items) == "c"
    assert mine() == Report((("x", 2, 3, False),), ())
    assert list(items) == []
    assert mine() == Report((("x", 3, 3, True),), ())
    assert mine() is None


@pytest.mark.parametrize(
    ("items", "told_total", "total"),
    [([1, 2], None, 2), (iter([1]), None, None), (iter([1]), 5, 5), ({1: 2}, None, 1), ([1], 9, 9)],
)
def test_the_total_is_the_length_where_there_is_one(mine, items, told_total, total):
    for _ in track(items, told_total):
        break
    report = mine()
    assert report.bars[0][2] == total


def test_a_loop_that_is_left_has_ended(mine):
    for n in track(range(10), label="x"):
        if n == 4:
            break
    assert mine() == Report((("x", 4, 10, True),), ())


def test_a_bar_is_called_after_its_function_and_numbered_beside_another_one(mine):
    def epochs() -> None:
        for _ in track(range(2)):
            for _ in track(range(3)):
                pass
            assert [bar[0] for bar in mine().bars] == ["epochs", "epochs 2"]

    epochs()
    assert [bar[0] for bar in mine().bars] == ["epochs"]
    assert [list(track("x")) for _ in "a"] == [["x"]]
    name = mine().bars[0][0]  # from Python 3.12 on a comprehension is no function of its own
    assert name == "items" or "test_a_bar_is_called_after_its_function_and_numbered".startswith(name[:51])


def test_more_bars_than_are_shown_iterate_all_the_same(mine, caplog):
    opened = [track(range(2), label=str(n)) for n in range(BARS + 5)]
    assert [next(one) for one in opened] == [0] * len(opened)
    assert [list(one) for one in opened] == [[1]] * len(opened)
    assert len(mine().bars) == BARS
    assert [record.getMessage() for record in caplog.records] == [
        f"a call has more than {BARS} bars: the others are not shown"
    ]


def test_loops_that_have_ended_make_room(mine, caplog):
    for n in range(3 * BARS):
        for _ in track(range(1), label=str(n)):
            pass
    assert mine().bars[-1] == (str(3 * BARS - 1), 1, 1, True)
    assert caplog.records == []


async def test_asynchronous_iterables_are_tracked_and_closed(mine):
    closed = []

    async def source() -> Any:
        try:
            for n in range(5):
                yield n
        finally:
            closed.append(True)

    async for n in track(source(), 5, "x"):
        if n == 2:
            break
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert closed == [True]
    assert mine() == Report((("x", 2, 5, True),), ())
    assert [n async for n in track(source(), label="x")] == [0, 1, 2, 3, 4]
    assert mine() == Report((("x", 5, None, True),), ())


def test_what_cannot_be_iterated_over_is_refused_at_once(mine):
    with pytest.raises(TypeError, match="not iterable"):
        track(3)  # type: ignore[call-overload]


def test_what_the_garbage_collection_runs_may_report_wherever_that_is(mine):
    items = track(range(3), label="x")
    next(items)
    with mine._lock:  # in the middle of something
        del items
        log(y=1)
        next(track([1], label="z"))
    assert mine() == Report((("x", 0, 3, True), ("z", 0, 1, True)), (("y", ((0, 1.0),)),))


# --- log


def test_steps_are_counted_and_go_on_from_those_that_are_given(mine):
    log(a=1)
    log(a=2, b=3)
    log(10, a=4)
    log(b=5)
    assert mine().curves == (("a", ((0, 1.0), (1, 2.0), (10, 4.0))), ("b", ((1, 3.0), (11, 5.0))))
    log(b=6)
    assert mine().curves == (("b", ((12, 6.0),)),)


def test_values_are_what_float_takes(mine):
    class Tensor:
        def __float__(self) -> float:
            return 0.5

    log(t=Tensor(), yes=True, text="7")  # type: ignore[arg-type]
    assert mine().curves == (("t", ((0, 0.5),)), ("yes", ((0, 1.0),)), ("text", ((0, 7.0),)))
    log(large=2**2000, small=-(2**2000))
    assert mine().curves == (("large", ((1, math.inf),)), ("small", ((1, -math.inf),)))
    with pytest.raises(TypeError, match="log: loss is a number, not None"):
        log(loss=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"log: loss is a number, not \[1\]"):
        log(loss=[1])  # type: ignore[arg-type]
    assert mine() is None


def test_more_curves_than_are_shown_are_left_out(mine, caplog):
    log(**{f"c{n}": 1.0 for n in range(CURVES + 1)})
    log(one_more=1, c0=2)
    report = mine()
    assert len(report.curves) == CURVES
    assert len(report.curves[0][1]) == 2
    assert len(caplog.records) == 1


def test_outside_of_calls_nothing_is_told_to_anybody():
    items = [1, 2]
    assert list(track(items)) == items
    assert type(track(items)) is type(iter(items))
    log(x=1)
    with pytest.raises(TypeError):
        log(x=None)  # type: ignore[arg-type]


def test_outside_of_calls_whoever_views_this_process_is_told():
    seen = progress.view_here()
    try:
        assert progress.view_here() is seen
        progress.leave_here()
        for _ in track([1, 2], label="here"):
            log(x=1)
        assert seen() == Report((("here", 2, 2, True),), (("x", ((0, 1.0), (1, 1.0))),))
    finally:
        progress.leave_here()
    assert type(track([1])) is type(iter([1]))


# --- the caller's side


def test_a_curve_keeps_its_shape_and_its_bound():
    curve = Curve()
    for step in range(100_000):
        curve.add(step, float(step))
        assert len(curve.points) <= POINTS + 1 or step > 5000
    points = curve.points
    assert POINTS / 2 <= len(points) <= POINTS + 1
    assert points[0] == (0, 0.0)
    assert points[-1] == (99_999, 99_999.0)
    gaps = {b[0] - a[0] for a, b in itertools.pairwise(points[:-1])}
    assert len(gaps) == 1


@pytest.mark.parametrize("most", [1, 2, 3, 10, 99, 100, 1000])
def test_thinned_points_are_even_and_end_with_the_last(most):
    points = tuple((n, float(n)) for n in range(100))
    kept = thinned(points, most)
    assert len(kept) == min(most, 100)
    assert kept[-1] == points[-1]
    assert list(kept) == sorted(set(kept))
    if most > 1:
        assert kept[0] == points[0]


def test_a_bar_has_a_fraction_and_a_rate():
    heard = CallProgress()
    heard.take(Report((("x", 10, 40, False),), ()), 100.0)
    bar = heard.bars["x"]
    assert (bar.fraction, bar.rate) == (0.25, None)
    heard.take(Report((("x", 30, 40, False),), ()), 102.0)
    assert (bar.fraction, bar.rate, repr(bar)) == (0.75, 10.0, "<x: 30 of 40>")
    heard.take(Report((("y", 1, None, True),), ()), 102.0)
    assert heard.bars["y"].fraction is None
    assert heard.bars["y"].ended


def test_a_loop_that_begins_again_has_a_rate_of_its_own():
    heard = CallProgress()
    heard.take(Report((("x", 0, 9, False),), ()), 0.0)
    heard.take(Report((("x", 9, 9, True),), ()), 1.0)
    heard.take(Report((("x", 3, 9, False),), ()), 50.0)
    heard.take(Report((("x", 5, 9, False),), ()), 52.0)
    assert heard.bars["x"].rate == 1.0
    assert bars(heard) == {"x": (5, 9, False)}


def test_a_caller_keeps_a_bounded_number_whatever_it_is_told():
    heard = CallProgress()
    for n in range(300):
        heard.take(Report(((f"b{n}", 1, 2, n % 2 == 0),), ((f"c{n}", ((0, 1.0),)),)), float(n))
    assert len(heard.bars) <= BARS
    assert len(heard.curves) <= CURVES


@pytest.mark.parametrize(
    "nonsense",
    [Report(1, ()), Report((("x",),), ()), Report((), (("x", 3),)), Report((), (("x", ((1,),)),))],  # type: ignore[arg-type]
)
def test_nonsense_harms_nobody(nonsense, caplog):
    caplog.set_level(logging.WARNING)
    CallProgress().take(nonsense, 0.0)
    assert caplog.records == []


async def test_reports_after_the_end_of_the_node_harm_nobody():
    async with bp.Node():
        channel = Channel(api.self_process(), api.self_process().node.new_ref())
    token = leader.set(channel)
    assert list(track(range(3))) == [0, 1, 2]
    thread = threading.Thread(target=lambda: list(track(range(3))))
    thread.start()
    thread.join()
    leader.reset(token)
    await asyncio.sleep(0)
