"""mailbox: patterns, the order of messages, what a selective receive looks at, limits, and receive itself."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from typing import Any, NamedTuple
from unittest import mock

import pytest

import beampy as bp
from beampy import api
from beampy.core import mailbox as boxes
from beampy.core.ids import Pid, Ref
from beampy.core.mailbox import MISSING, ClosedMailbox, LimitedMailbox, Mailbox, length, matcher, messages, weight
from beampy.errors import BadPattern, NotInNode, NotInProcess, ReceiveTimeout
from beampy.testing import harness


class Point(NamedTuple):
    x: Any
    y: Any


class Failing:
    """An == that raises, as comparing arrays with each other does."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    def __hash__(self) -> int:
        return 1


class Counted:
    """Counts how often it is compared; equal to nothing."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return False

    __hash__ = None  # type: ignore[assignment]


# patterns


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        (int, [1, True], ["1", 1.0, None, int]),
        (object, [None, 1, ...], []),
        (Point, [Point(1, 2)], [(1, 2)]),
        ((), [()], [(1,), None, []]),
        (("add", ...), [("add", 1), ("add", None), Point("add", 1)], [("add",), ("add", 1, 2), ["add", 1], "add"]),
        ((..., ...), [(1, 2), Point(1, 2)], [(1,)]),
        (("add", int), [("add", 1), ("add", int)], [("add", "1"), ("sub", 1)]),
        (("a", ("b", ...)), [("a", ("b", 1))], [("a", "b"), ("a", ("c", 1)), ("a", ["b", 1])]),
        (Point(1, ...), [Point(1, 2)], [(1, 2), Point(2, 1)]),
        (("n", None), [("n", None)], [("n", 0)]),
        (("n", 1), [("n", 1), ("n", True), ("n", 1.0)], [("n", "1")]),
        (lambda m: m == 5, [5], [6]),
    ],
)
def test_patterns(pattern: Any, fitting: list[Any], others: list[Any]) -> None:
    fits = matcher(pattern)
    assert [message for message in fitting if not fits(message)] == []
    assert [message for message in others if fits(message)] == []


async def later(_: Any) -> bool:
    return True


@pytest.mark.parametrize("pattern", [1, "add", None, [1], {"a": 1}, later])
def test_what_is_no_pattern(pattern: Any) -> None:
    with pytest.raises(BadPattern, match="is no pattern"):
        matcher(pattern)


def test_a_value_of_a_pattern_fits_itself_without_being_asked() -> None:
    failing = Failing()
    assert matcher(("a", failing))(("a", failing))
    assert not matcher(("a", failing))(("a", 1))


# the mailbox


def take(box: Mailbox, pattern: Any) -> Any:
    """What receive(pattern, timeout=0) does."""
    return box.take(boxes._remembered(pattern), matcher(pattern))


def test_messages_leave_in_order() -> None:
    box = Mailbox([1, 2])
    box.append(3)
    assert (box.total(), length(box), messages(box)) == (3, 3, [1, 2, 3])
    assert [box.popleft() for _ in range(3)] == [1, 2, 3]
    assert not box
    with pytest.raises(IndexError):
        box.popleft()


def test_what_is_passed_over_stays_older_than_what_comes() -> None:
    box = Mailbox([1, "a", 2, "b"])
    assert take(box, str) == "a"
    box.append(3)
    assert messages(box) == [1, 2, "b", 3]
    assert take(box, str) == "b"
    assert take(box, str) is MISSING
    assert box
    assert [box.popleft() for _ in range(3)] == [1, 2, 3]


def test_a_saved_message_is_taken_from_its_place() -> None:
    box = Mailbox([1, "a", 2.0, "b"])
    assert take(box, bytes) is MISSING
    assert take(box, float) == 2.0
    assert take(box, str) == "a"
    assert messages(box) == [1, "b"]


def test_none_is_a_message() -> None:
    box = Mailbox([1, None])
    assert take(box, lambda m: m is None) is None
    assert messages(box) == [1]


def test_a_mailbox_of_saved_messages_only_is_true() -> None:
    box = Mailbox([1])
    assert take(box, str) is MISSING
    assert box
    assert deque.__len__(box) == 0
    assert length(box) == 1


def test_nothing_is_looked_at_twice_for_equal_patterns() -> None:
    box = Mailbox(("x", Counted()) for _ in range(10_000))
    Counted.looks = 0
    for _ in range(5):
        # a new pattern each time, equal to the last
        assert take(box, ("x", "wan" + "ted")) is MISSING
    assert Counted.looks == 10_000
    box.append(("x", "wanted"))
    assert take(box, ("x", "wanted")) == ("x", "wanted")
    assert Counted.looks == 10_000
    assert take(box, ("x", "another")) is MISSING
    assert Counted.looks == 20_000


def test_a_take_of_something_else_forgets_what_was_looked_at_for_the_first() -> None:
    box = Mailbox([1, "a"])
    assert take(box, bytes) is MISSING
    assert take(box, str) == "a"
    assert take(box, bytes) is MISSING
    assert take(box, float) is MISSING
    assert take(box, int) == 1


def test_predicates_are_asked_anew_each_time() -> None:
    box = Mailbox([1])
    answers = iter([False, True])

    def moody(_: object) -> bool:
        return next(answers)

    assert take(box, moody) is MISSING
    assert take(box, moody) == 1


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("a", 5), ("a", mock.ANY), ("a", 6)),
        (("a", mock.ANY, 1), ("a", 5, 2), ("a", 5, 2)),
        (("a", Point(1, 2)), ("a", (1, 2)), ("a", (1, 2))),
        ((1, 2), (1, 2, ...), (1, 2, 3)),
        (Point, int, 1),
        (("a", Failing()), ("a", Failing()), None),
    ],
)
def test_patterns_that_equal_each_other_and_take_other_messages(first: Any, second: Any, message: Any) -> None:
    box = Mailbox([message])
    assert take(box, first) is MISSING
    assert take(box, second) is (MISSING if message is None else message)


def test_a_pattern_that_changed_since_is_another_one() -> None:
    box = Mailbox([("a", ["y"])])
    changing = ["x"]
    assert take(box, ("a", changing)) is MISSING
    changing[0] = "y"
    assert take(box, ("a", changing)) == ("a", ["y"])


@pytest.mark.parametrize(
    "pattern",
    [
        int,
        ("a", ...),
        ("a", 1, None, "x", 2.5, int, ("n", b"")),
        ("r", Ref("a@h", 1, 7), Pid("a@h", 1, 7)),
        Point(1, 2),
    ],
)
def test_the_usual_patterns_are_remembered(pattern: Any) -> None:
    box = Mailbox([["a message"]])
    asked = []

    def fits(message: Any) -> bool:
        asked.append(message)
        return False

    assert box.take(pattern, fits) is MISSING
    assert box.take(pattern, fits) is MISSING
    assert len(asked) == 1


def test_a_predicate_that_raises_loses_nothing_and_keeps_the_order() -> None:
    box = Mailbox([1, 2, 3])

    def fails_at_two(message: Any) -> bool:
        if message == 2:
            raise ValueError("two")
        return False

    with pytest.raises(ValueError, match="two"):
        take(box, fails_at_two)
    assert messages(box) == [1, 2, 3]
    box.append("a")
    with pytest.raises(ValueError, match="two"):  # now among the saved ones
        take(box, fails_at_two)
    assert messages(box) == [1, 2, 3, "a"]
    assert take(box, str) == "a"
    assert [box.popleft() for _ in range(3)] == [1, 2, 3]


def test_what_cannot_be_compared_does_not_fit_and_hides_nothing() -> None:
    failing = Failing()
    box = Mailbox([("a", 1), ("a", failing)])
    assert take(box, ("a", Failing())) is MISSING
    assert take(box, ("a", failing)) == ("a", failing)
    assert messages(box) == [("a", 1)]


def test_discarding_takes_the_oldest_and_leaves_the_rest_as_it_is() -> None:
    box = Mailbox([1, "a", 2, "b"])
    assert take(box, bytes) is MISSING
    box.append("c")
    assert box.discard(lambda m: isinstance(m, str))
    assert box.discard(lambda m: m == "c")
    assert not box.discard(lambda m: m == "c")
    assert messages(box) == [1, 2, "b"]


# limits


class Full:
    """Remembers what a limited mailbox told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def __call__(self, total: int) -> None:
        self.told.append(total)


def test_a_limit_of_messages() -> None:
    full = Full()
    box = LimitedMailbox(2, 0, full)
    box.append(1)
    box.append("a")
    assert full.told == []
    box.append(2)
    assert full.told == [3]
    assert box.popleft() == 1
    assert take(box, int) == 2
    box.append(3)
    assert full.told == [3]
    box.append(4)
    assert full.told == [3, 3]
    assert box.used == 0  # nobody counts bytes that nobody limits


def test_saved_messages_count() -> None:
    full = Full()
    box = LimitedMailbox(2, 0, full)
    for message in (1, 2):
        box.append(message)
    assert take(box, str) is MISSING
    box.append(3)
    assert full.told == [3]


def test_a_limit_of_bytes() -> None:
    full = Full()
    box = LimitedMailbox(1000, 10_000, full)
    box.append(bytes(4000))
    box.append(bytes(4000))
    assert full.told == []
    assert 8000 <= box.used <= 9000
    box.append(bytes(4000))
    assert full.told == [3]
    assert take(box, bytes) == bytes(4000)
    box.append(bytearray(100))
    assert full.told == [3]
    assert take(box, str) is MISSING
    assert take(box, bytearray) == bytearray(100)
    assert box.discard(lambda _: True)
    box.popleft()
    assert (box.used, bool(box)) == (0, False)


def test_the_account_is_clean_when_the_box_is_empty_whatever_messages_became() -> None:
    box = LimitedMailbox(10, 100_000, Full())
    growing: list[Any] = []
    box.append(growing)
    growing.extend(range(1000))
    box.append(1)
    box.popleft()
    assert box.used == 0
    box.append(growing)
    growing.clear()
    box.popleft()
    box.popleft()
    assert box.used == 0


class Buffer:
    nbytes = 5000


@pytest.mark.parametrize(
    ("message", "at_least", "at_most"),
    [
        (None, 8, 64),
        (b"x" * 1000, 1000, 1100),
        (Buffer(), 5064, 5064),
        (memoryview(bytes(3000)), 3064, 3064),
        (("put", Buffer()), 5000, 5200),
        (["x" * 100] * 10, 1000, 3000),
        ({"x" * 100}, 100, 600),
        (frozenset({1}), 28, 600),
        (deque([b"x" * 100]), 100, 2000),
        ({"k" * 100: "v" * 100}, 200, 900),
        ((), 0, 100),
    ],
)
def test_weights(message: Any, at_least: int, at_most: int) -> None:
    assert at_least <= weight(message) <= at_most


def test_the_weight_of_what_has_a_size_of_its_own_opinion() -> None:
    class Odd:
        nbytes = "many"

        def __sizeof__(self) -> int:
            raise TypeError

    assert weight(Odd()) == 64
    assert weight([Odd()]) == sys.getsizeof([None]) + 64


def test_a_closed_mailbox_takes_nothing_and_has_nothing() -> None:
    box = ClosedMailbox()
    box.append(1)
    box.appendleft(1)
    assert not box
    assert take(box, int) is MISSING


def test_no_mailbox_is_an_empty_one() -> None:
    assert messages(None) == []
    assert length(None) == 0
    assert messages(deque([1, 2])) == [1, 2]
    assert length(deque([1, 2])) == 2


def test_what_a_process_yields_says_what_it_is() -> None:
    assert repr(boxes.RECEIVE) == "<receive(), which only a process may do>"


# receive, in processes


async def run(body: Any) -> Any:
    return await harness.run(body)


async def test_receive_takes_in_order_and_by_pattern() -> None:
    async def body() -> list[Any]:
        for message in (1, "a", None, ("add", 2)):
            bp.send(bp.self(), message)
        return [await bp.receive(("add", int)), await bp.receive(), await bp.receive(str), await bp.receive()]

    assert await run(body) == [("add", 2), 1, "a", None]


async def test_a_receive_that_waits_looks_once_at_each_message() -> None:
    looks = 0

    async def body() -> None:
        me = bp.self()

        async def sender() -> None:
            for n in range(10_000):
                bp.send(me, n)
                if n % 100 == 0:
                    await asyncio.sleep(0)
            bp.send(me, "wanted")

        def wanted(message: Any) -> bool:
            nonlocal looks
            looks += 1
            return message == "wanted"

        bp.spawn(sender)
        assert await bp.receive(wanted) == "wanted"
        assert looks == 10_001
        assert [await bp.receive() for _ in range(10_000)] == list(range(10_000))

    await run(body)


async def test_receives_of_equal_patterns_look_once_at_each_message() -> None:
    async def body() -> None:
        me = bp.self()
        for _ in range(10_000):
            bp.send(me, ("reply", Counted()))
        Counted.looks = 0
        for n in range(10):
            bp.send(me, ("reply", "wanted", n))
            assert await bp.receive(("reply", "wanted", ...)) == ("reply", "wanted", n)
            assert await bp.receive(("reply", "no" + "ne"), timeout=0, default=None) is None
        # each tuple was looked at for two patterns at most, in turn
        assert Counted.looks <= 10 * 10_000
        Counted.looks = 0
        for _ in range(10):
            assert await bp.receive(("reply", "none"), timeout=0, default=None) is None
        assert Counted.looks == 0

    await run(body)


@pytest.mark.parametrize("pattern", [None, str, ("a", ...), lambda m: m == "x"])
async def test_looking_only(pattern: Any) -> None:
    async def body() -> None:
        default = object()
        assert await bp.receive(pattern, timeout=0, default=default) is default
        assert await bp.receive(pattern, timeout=-1, default=None) is None
        with pytest.raises(ReceiveTimeout) as caught:
            await bp.receive(pattern, timeout=0)
        assert caught.value.seconds == 0

    await run(body)


async def test_looking_only_sees_what_is_there() -> None:
    async def body() -> list[Any]:
        for message in (1, "a", None):
            bp.send(bp.self(), message)
        found = [await bp.receive(str, timeout=0), await bp.receive(timeout=0), await bp.receive(timeout=0)]
        return [*found, await bp.receive(timeout=0, default="empty")]

    assert await run(body) == ["a", 1, None, "empty"]


async def test_a_timeout_that_passes() -> None:
    async def body() -> None:
        bp.send(bp.self(), 1)
        with pytest.raises(TimeoutError) as caught:
            await bp.receive(str, timeout=0.01)
        assert isinstance(caught.value, ReceiveTimeout)
        assert caught.value.seconds == 0.01
        assert await bp.receive(str, timeout=0.01, default="none") == "none"
        assert api.self_process().node.statistics()["deadlines"] == 0
        assert await bp.receive() == 1

    await run(body)


async def test_a_message_in_time_takes_the_deadline_off() -> None:
    async def body() -> object:
        bp.send_after(0, bp.self(), "in time")
        found = await bp.receive(str, timeout=60)
        assert api.self_process().node.statistics()["deadlines"] == 0
        return found

    assert await run(body) == "in time"


async def test_any_message_in_time() -> None:
    async def body() -> object:
        bp.send_after(0, bp.self(), "in time")
        return await bp.receive(timeout=60)

    assert await run(body) == "in time"


async def test_the_body_of_a_node_receives_as_a_process_does() -> None:
    async with bp.Node():
        me = bp.self()
        for message in (1, "a", None):
            bp.send(me, message)
        assert await bp.receive(str) == "a"
        assert [await bp.receive(), await bp.receive(timeout=0)] == [1, None]
        bp.send_after(0, me, "later")
        assert await bp.receive() == "later"
        bp.send_after(0, me, ("reply", 1))
        assert await bp.receive(("reply", ...), timeout=60) == ("reply", 1)
        with pytest.raises(ReceiveTimeout):
            await bp.receive(str, timeout=0.01)

        async def task() -> str:
            return await bp.receive(str)

        with pytest.raises(NotInProcess):
            await asyncio.create_task(task())


async def test_a_message_and_the_deadline_in_one_tick() -> None:
    """The alarm rings and the message is sent before the process runs again: the message counts."""

    async def body() -> object:
        me = api.self_process()
        alarms = []
        alarm_of = type(me).alarm

        def note(process: Any, seconds: float) -> Any:
            alarms.append(alarm_of(process, seconds))
            return alarms[-1]

        async def both() -> None:
            alarms[0].ring()
            bp.send(me.pid, "message")

        with mock.patch.object(type(me), "alarm", note):
            bp.spawn(both)
            return await bp.receive(str, timeout=60)

    assert await run(body) == "message"


async def test_messages_that_do_not_match_do_not_prolong_a_timeout() -> None:
    async def body() -> None:
        me = bp.self()

        async def chatter() -> None:
            while True:
                bp.send(me, 1)
                await asyncio.sleep(0.001)

        bp.spawn_link(chatter)
        with pytest.raises(ReceiveTimeout):
            await bp.receive(str, timeout=0.02)

    await run(body)


@pytest.mark.parametrize("pattern", [None, str])
async def test_a_cancelled_receive_takes_nothing(pattern: Any) -> None:
    async def body() -> list[Any]:
        bp.send(bp.self(), 1)
        if pattern is None:
            assert await bp.receive() == 1
            bp.send_after(0.03, bp.self(), 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await bp.receive(pattern)
        bp.send_after(0.03, bp.self(), "later")
        return [await bp.receive(), await bp.receive()]

    assert await run(body) == [1, "later"]


async def test_a_predicate_that_raises_in_a_receive_that_waits() -> None:
    async def body() -> None:
        def fails(message: Any) -> bool:
            raise LookupError(message)

        bp.send_after(0, bp.self(), "a")
        with pytest.raises(LookupError, match="a"):
            await bp.receive(fails, timeout=60)
        assert api.self_process().node.statistics()["deadlines"] == 0
        assert await bp.receive(timeout=0) == "a"

    await run(body)


async def test_mailbox_gives_messages_one_by_one() -> None:
    async def body() -> list[Any]:
        seen = []
        for message in (1, None, 2, "end", "left"):
            bp.send(bp.self(), message)
        async for message in bp.mailbox():
            if message == "end":
                break
            seen.append(message)
        return [*seen, await bp.receive()]

    assert await run(body) == [1, None, 2, "left"]


async def test_receive_belongs_in_a_process() -> None:
    async def receives(*args: Any) -> Any:
        return await bp.receive(*args)

    with pytest.raises(NotInProcess, match="code outside of a process"):
        await bp.receive(str)
    with pytest.raises(NotInProcess, match="this asyncio task"):
        await asyncio.create_task(receives())
    with pytest.raises(NotInNode):
        bp.self()

    async def body() -> None:
        for args in ((), (str,)):
            with pytest.raises(NotInProcess, match="this asyncio task"):
                await asyncio.create_task(receives(*args))
        with pytest.raises(BadPattern):
            await bp.receive(5)

    await run(body)


# limits, in processes


@pytest.mark.parametrize("limit", [3, (3, 0), (1000, 4 * weight(bytes(1000)) - 1)])
@pytest.mark.parametrize("where", ["spawn", "node"])
async def test_a_process_over_its_limit_is_killed(limit: Any, where: str, caplog: pytest.LogCaptureFixture) -> None:
    events = []

    async def slow() -> None:
        await bp.receive(("never",))

    async def body() -> None:
        node = api.self_process().node
        node.trace(lambda event, pid, detail: events.append((event, pid, detail)) if event == "long_mailbox" else None)
        options = {"max_mailbox": limit} if where == "spawn" else {}
        pid, ref = bp.spawn(slow, monitor=True, **options)
        await asyncio.sleep(0)
        for _ in range(3):
            bp.send(pid, bytes(1000))
            await asyncio.sleep(0)
        assert bp.is_alive(pid)
        bp.send(pid, bytes(1000))
        assert not bp.is_alive(pid)
        assert await harness.expect(bp.Down) == bp.Down(ref, pid, "killed")
        assert events == [("long_mailbox", pid, 4)]
        node.trace(None)

    with caplog.at_level(logging.ERROR):
        await harness.run(body, **({"max_mailbox": limit} if where == "node" else {}))
    assert "is killed: its mailbox holds 4 messages" in caplog.text
    assert "slow" in caplog.text


async def test_a_limit_without_a_tracer_and_of_a_process_that_fills_its_own_mailbox() -> None:
    went_on = []

    async def fills() -> None:
        for n in range(10):
            bp.send(bp.self(), n)
        went_on.append("to its next await")
        await bp.receive()
        went_on.append("and no further")

    async def body() -> object:
        pid = bp.spawn(fills, max_mailbox=3)
        return await harness.ended(pid)

    assert await run(body) == "killed"
    assert went_on == ["to its next await"]


async def test_a_reader_that_keeps_up_never_meets_its_limit() -> None:
    async def reader(to: bp.Pid) -> None:
        total = 0
        while total < 1000:
            total += await bp.receive()
            await bp.receive(("never",), timeout=0, default=None)
        bp.send(to, total)

    async def body() -> object:
        pid = bp.spawn(reader, bp.self(), max_mailbox=(3, 1000))
        while bp.is_alive(pid):
            bp.send(pid, 1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return await harness.expect(int)

    assert await run(body) == 1000


async def test_without_a_limit_there_is_none() -> None:
    async def body() -> int:
        async def keeps() -> None:
            await bp.receive(("never",))

        pid = bp.spawn(keeps)
        for n in range(20_000):
            bp.send(pid, n)
        info = bp.process_info(pid)
        assert info is not None
        return info.message_queue_len

    assert await run(body) == 20_000
