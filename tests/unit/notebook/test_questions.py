"""Questions: where they go, and that none of them waits for a node that is not there."""

from __future__ import annotations

import threading
import types
from typing import Any

import pytest

import beampy as bp
from beampy.core import current
from beampy.notebook.asking import Asker
from beampy.notebook.questions import Questions, is_local_module
from beampy.notebook.scope import Target


def test_without_a_node_nothing_is_known_and_one_is_started_beside(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(current, "_fallback", [])
    asked_on: list[str] = []
    done = threading.Event()

    def bring_up() -> Any:
        asked_on.append(threading.current_thread().name)
        done.set()
        raise OSError("it cannot be started, which is nobody's fault here")

    monkeypatch.setattr(current, "bring_up", bring_up)
    questions = Questions()
    assert questions.names("b@localhost", (Target("name", "x"),), questions.until()) is None
    assert done.wait(30)
    assert asked_on == ["beampy-questions"]
    assert questions.nodes() == []
    for thread in threading.enumerate():
        if thread.name == "beampy-questions":
            thread.join(30)


def test_what_is_asked_of_ones_own_node_is_answered_at_once():
    with bp.start("mine@localhost", listen=False):
        questions = Questions()
        questions.asker = Asker(lambda: 0.0)  # its deadline has passed
        found = questions.names("mine@localhost", (Target("module", "json"),), 0.0)
        assert found is not None
        assert "loads" in [row[0] for row in found]
        assert questions.nodes()[0] == "mine@localhost"


def test_a_node_that_is_not_there_is_none():
    with bp.start("mine@localhost", listen=False):
        questions = Questions()
        assert questions.names("nobody@localhost", (Target("module", "json"),), questions.until()) is None
        assert not questions.asker.waits_for("nobody@localhost")


def test_a_runner_that_is_up_and_answers_is_the_one_that_is_asked():
    questions = Questions()

    def pool_of(**states: str) -> Any:
        runners = {at: types.SimpleNamespace(node=node, state=state) for at, (node, state) in enumerate(states.items())}
        return types.SimpleNamespace(_manager=types.SimpleNamespace(runners=runners))

    assert questions.runner(pool_of(a="booting", b="up", c="up")) == "b"
    questions.asker.ask("b", "k", lambda flight: flight.came(None, TimeoutError()), 0.0)
    assert questions.runner(pool_of(a="booting", b="up", c="up")) == "c"
    assert questions.runner(pool_of(b="up")) == "b"
    assert questions.runner(pool_of(a="booting")) is None
    assert questions.runner(bp.Pool()) is None  # it was never started


def test_modules_of_the_kernel():
    assert is_local_module("json")
    assert is_local_module("xml.sax.xmlreader")
    assert not is_local_module("no_module_of_this_name")
