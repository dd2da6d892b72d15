"""What completion and hover share: turns with IPython's completer, and methods that are put in the place of others."""

from __future__ import annotations

import threading
import types
from typing import Any

import pytest

from beampy.notebook import completion, editors, inspection
from beampy.notebook.editors import in_turn, wrapped


def test_two_threads_are_never_in_it_at_once(monkeypatch: pytest.MonkeyPatch):
    entered, leave = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        leave.wait(30)
        return "done"

    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(in_turn(slow)))
    thread.start()
    assert entered.wait(30)
    monkeypatch.setattr(editors, "TURN", 0.01)
    assert in_turn(lambda: "too early") is None
    leave.set()
    thread.join(30)
    assert got == ["done"]
    assert in_turn(lambda: "now") == "now"


def test_an_error_gives_the_turn_back():
    with pytest.raises(ZeroDivisionError):
        in_turn(lambda: 1 / 0)
    assert in_turn(lambda: "now") == "now"


def test_who_does_not_get_its_turn_answers_that_there_is_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completion, "in_turn", lambda *args, **kwargs: None)
    monkeypatch.setattr(inspection, "in_turn", lambda *args, **kwargs: None)
    events = types.SimpleNamespace(register=lambda *args: None, unregister=lambda *args: None)
    kernel = types.SimpleNamespace(do_complete=len, do_inspect=len)
    shell = types.SimpleNamespace(kernel=kernel, user_ns={}, events=events)
    undo = completion.install(shell), inspection.install(shell)
    assert kernel.do_complete("abc", 3)["matches"] == []
    assert kernel.do_inspect("abc", 3) == {"status": "ok", "found": False, "data": {}, "metadata": {}}
    for one in undo:
        one()
    assert (kernel.do_complete, kernel.do_inspect) == (len, len)


class Owner:
    """Has a method."""

    def method(self) -> str:
        return "the class's"


def test_a_method_is_given_back_as_it_was():
    owner = Owner()
    undo = wrapped(owner, "method", lambda: "ours")
    assert owner.method() == "ours"
    undo()
    assert owner.method() == "the class's"
    assert vars(owner) == {}


def test_what_somebody_has_put_around_ours_stays():
    owner = Owner()
    undo = wrapped(owner, "method", lambda: "ours")
    theirs = wrapped(owner, "method", lambda: "theirs")
    undo()
    assert owner.method() == "theirs"
    theirs()
    assert owner.method() == "ours"
