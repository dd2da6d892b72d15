"""signals: system messages, crash records that never fail, and the table of exit signals."""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from typing import Any

import pytest

from beampy.core import signals
from beampy.core.ids import Pid, Ref
from beampy.core.signals import Crash, Down, Exit, NodeDown, NodeUp, Timeout, is_expected, on_exit_signal, safe_repr

PID = Pid("a@h", 1, 7)
REF = Ref("a@h", 2, 7)

# system messages


@pytest.mark.parametrize(
    "message",
    [Down(REF, PID, "normal"), Down(REF, ("name", "a@h"), "x", "tag"), Exit(PID, "x"), NodeUp("b@h"),
     NodeDown("b@h", "closed"), Timeout(REF, "tick")],
)  # fmt: skip
def test_system_messages_are_tuples_with_names_that_pickle(message: Any) -> None:
    again = pickle.loads(pickle.dumps(message))
    assert again == message
    assert again.__class__ is message.__class__
    assert message == tuple(message)


def test_match_works_on_them() -> None:
    match Down(REF, PID, "boom"):
        case Down(ref=ref, reason="boom", tag=None):
            assert ref == REF
        case _:
            raise AssertionError


# crashes


class Unsaid(Exception):
    def __str__(self) -> str:
        raise LookupError("no words")

    __repr__ = __str__


class Picky(Exception):
    """Its pickle cannot be loaded: __init__ wants two arguments, args holds one."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a)


class Shapeshifter(Exception):
    def __reduce__(self) -> Any:
        return ValueError, ("something else",)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_crash_says_type_message_and_traceback() -> None:
    crash = Crash.of(raised(ValueError("bad value")))
    assert (crash.type, crash.message) == ("ValueError", "bad value")
    assert crash.traceback.startswith("Traceback (most recent call last):")
    assert "in raised" in crash.traceback
    assert crash.traceback.endswith("ValueError: bad value\n")
    assert isinstance(crash.exception, ValueError)
    assert str(crash) == "ValueError: bad value"
    assert repr(crash) == "Crash(ValueError: bad value)"


def test_a_crash_without_a_message_is_its_type() -> None:
    assert str(Crash.of(raised(KeyboardInterrupt()))) == "KeyboardInterrupt"


def test_types_are_named_with_their_module() -> None:
    assert Crash.of(Unsaid()).type == f"{__name__}.Unsaid"


def test_a_crash_of_an_exception_that_was_never_raised() -> None:
    assert Crash.of(ValueError("x")).traceback == "ValueError: x\n"


def test_the_record_of_an_exception_whose_str_raises() -> None:
    crash = Crash.of(raised(Unsaid()))
    assert crash.message == f"<{__name__}.Unsaid whose str() raised LookupError>"
    assert "in raised" in crash.traceback


def test_the_record_of_an_exception_that_cannot_be_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[str]:
        raise RecursionError

    monkeypatch.setattr(traceback, "format_exception", fail)
    crash = Crash.of(raised(ValueError("x")))
    assert crash.traceback.splitlines()[0] == "Traceback (most recent call last):"
    assert "in raised" in crash.traceback
    assert crash.traceback.endswith("ValueError: x\n")


@pytest.mark.parametrize("package", ["beampy.core.process", "beampy.otp.server"])
def test_the_traceback_begins_at_the_users_first_frame(package: str) -> None:
    namespace: dict[str, Any] = {"__name__": package}
    exec(compile("def ours(fn):\n    fn()\n", "ours.py", "exec"), namespace)

    def users() -> None:
        raise ValueError

    try:
        namespace["ours"](users)
    except ValueError as error:
        error.__traceback__ = error.__traceback__.tb_next  # this test's own frame
        text = Crash.of(error).traceback
    assert "in users" in text
    assert "ours.py" not in text


def test_a_traceback_with_nothing_but_our_frames_is_kept() -> None:
    namespace: dict[str, Any] = {"__name__": "beampy.core.process"}
    exec(compile("def ours():\n    raise ValueError\n", "ours.py", "exec"), namespace)
    try:
        namespace["ours"]()
    except ValueError as error:
        error.__traceback__ = error.__traceback__.tb_next
        text = Crash.of(error).traceback
    assert "in ours" in text


def test_crashes_are_equal_by_their_texts() -> None:
    one = Crash("ValueError", "x", "here", ValueError("x"))
    assert one == Crash("ValueError", "x", "there")
    assert hash(one) == hash(Crash("ValueError", "x"))
    assert one != Crash("ValueError", "y")
    assert one != Crash("KeyError", "x")
    assert one != "ValueError: x"


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_a_crash_travels_with_its_exception(through: Any) -> None:
    crash = Crash.of(raised(ValueError("x")))
    again = through(crash)
    assert again == crash
    assert again.traceback == crash.traceback
    assert isinstance(again.exception, ValueError)
    assert again.exception.args == ("x",)


@pytest.mark.parametrize("error", [Picky(1, 2), Shapeshifter("x"), ValueError(lambda: None)])
def test_what_does_not_pickle_stays_behind_and_its_text_travels(error: Exception) -> None:
    crash = Crash.of(raised(error))
    again = pickle.loads(pickle.dumps(crash))
    assert again == crash
    assert again.traceback == crash.traceback
    assert again.exception is None
    assert crash.exception is error


def test_a_crash_without_an_exception_travels() -> None:
    assert pickle.loads(pickle.dumps(Crash("T", "m", "tb"))).exception is None


# safe_repr


def test_safe_repr() -> None:
    assert safe_repr([1, "a"]) == "[1, 'a']"
    assert safe_repr(Unsaid()) == f"<{__name__}.Unsaid whose repr() raised LookupError>"
    assert safe_repr("x" * 1000, 10) == "'xxxxxxxx…"
    assert len(safe_repr("x" * 1000)) == 300
    assert safe_repr("x" * 298) == repr("x" * 298)


# exit signals


class Alike:
    """Equals everything, and must not count as any reason."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a reason of the user's was compared")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(("link", "trapping", "from_self"), list(itertools.product([False, True], repeat=3)))
def test_the_table_of_exit_signals(link: bool, trapping: bool, from_self: bool) -> None:
    def effect(reason: Any) -> Any:
        return on_exit_signal(reason, link=link, trapping=trapping, from_self=from_self)

    arrives = "message" if trapping else "die"
    if link:
        assert effect("kill") == (arrives, "kill")
    else:
        assert effect("kill") == ("die", "killed")
    if trapping:
        assert effect("normal") == ("message", "normal")
    else:
        assert effect("normal") == ("die" if from_self else "drop", "normal")
    for reason in ("killed", "shutdown", ("shutdown", "x"), ("kill",), b"kill", None, "noproc", Crash("T", "m")):
        assert effect(reason) == (arrives, reason)
    alike = Alike()
    assert effect(alike)[0] == arrives
    assert effect(alike)[1] is alike


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "x"), ("shutdown", None)])
def test_orderly_ends(reason: Any) -> None:
    assert is_expected(reason)


@pytest.mark.parametrize(
    "reason",
    ["kill", "killed", "noproc", "", None, 0, ("shutdown",), ("shutdown", 1, 2), ("normal", 1), ["shutdown", 1],
     (Alike(), 1), Alike(), Crash("T", "m")],
)  # fmt: skip
def test_ends_that_are_no_orderly_ones(reason: Any) -> None:
    assert not is_expected(reason)


def test_every_signal_says_where_it_goes() -> None:
    for kind in signals.Signal.__args__:
        assert "to" in kind._fields
