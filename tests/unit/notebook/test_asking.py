"""Asking nodes: in time, whatever they do. The clock is the test's; answers come when the test says so."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from beampy.notebook import asking
from beampy.notebook.asking import (
    BESIDE,
    FLIGHTS,
    FRESH,
    GIVEN_UP,
    LONGEST_PAUSE,
    NOT,
    PAUSE,
    WAIT,
    Asker,
    Breaker,
    Flight,
)

NODE = "b@localhost"
DEADLINE = 1e9  # of the test's clock: whoever waits for real does so for a very long time
AT_ONCE = 0.0  # a deadline that has passed: nobody waits


class Ground:
    """An asker with a clock that stands, and the questions that it has sent."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asker = Asker(lambda: self.now)
        self.sent: list[Flight] = []

    def ask(self, key: str = "k", until: float = AT_ONCE, **options: Any) -> Any:
        """Ask; the answer is the test's to give."""
        return self.asker.ask(NODE, key, self.sent.append, until, **options)

    def answered(self, key: str, value: Any) -> Any:
        """Ask a node that answers at once."""
        return self.asker.ask(NODE, key, lambda flight: flight.came(value), DEADLINE)


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_an_answer_is_given_and_kept(ground: Ground):
    assert ground.answered("k", [1]) == [1]
    assert ground.ask() == [1]
    assert ground.sent == []


def test_it_is_asked_again_when_it_is_old_and_when_a_cell_has_ended(ground: Ground):
    ground.answered("k", 1)
    ground.now += FRESH + 0.1
    assert ground.answered("k", 2) == 2
    ground.asker.cell_ended()
    assert ground.answered("k", 3) == 3


def test_what_is_good_for_longer_is_given_at_once_and_asked_for_beside(ground: Ground):
    ground.answered("k", "old")
    ground.now += 30
    assert ground.ask(until=DEADLINE, lasting=60) == "old"
    assert len(ground.sent) == 1
    ground.sent[0].came("new")
    assert ground.ask() == "new"


def test_who_is_late_gets_what_was_known_and_the_answer_is_for_the_next(ground: Ground):
    assert ground.ask() is None
    ground.sent[0].came("late")
    assert ground.ask() == "late"


def test_a_node_that_was_late_is_not_waited_for_until_it_answers(ground: Ground):
    assert ground.asker.waits_for(NODE)
    ground.ask("one")
    assert not ground.asker.waits_for(NODE)
    assert ground.ask("two", until=DEADLINE) is None  # it returns, though nobody answers
    ground.sent[0].came("one")
    assert ground.asker.waits_for(NODE)
    assert ground.answered("two", 2) == 2


def test_it_is_tried_beside_after_a_pause_that_doubles(ground: Ground):
    ground.ask("first")
    tries = []
    for step in range(200):
        ground.now += 0.1
        before = len(ground.sent)
        ground.ask(f"k{step}", until=DEADLINE)
        if len(ground.sent) > before:
            ground.sent[-1].came(None, TimeoutError())
            tries.append(ground.now)
    pauses = [later - earlier for earlier, later in zip([100.0, *tries], tries, strict=False)]
    assert pauses[0] == pytest.approx(PAUSE, abs=0.15)
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))
    assert len(tries) < 8


def test_the_end_of_a_cell_has_it_tried_at_once(ground: Ground):
    ground.ask("first")
    ground.ask("second")
    assert len(ground.sent) == 1
    ground.asker.cell_ended()
    ground.ask("third", until=DEADLINE)
    assert [flight.key for flight in ground.sent] == ["first", "third"]


def test_a_failure_is_no_answer_and_opens_the_breaker(ground: Ground):
    ground.answered("k", "known")
    ground.asker.cell_ended()

    def fails(flight: Flight) -> None:
        raise ConnectionError("no such node")

    assert ground.asker.ask(NODE, "k", fails, DEADLINE) == "known"
    assert not ground.asker.waits_for(NODE)
    assert ground.asker.waits_for("c@localhost")


def test_who_asks_the_same_waits_for_the_same(ground: Ground):
    asker = Asker()  # with a real clock: both threads wait
    sent: list[Flight] = []
    begun = threading.Event()
    got: list[Any] = []

    def send(flight: Flight) -> None:
        sent.append(flight)
        begun.set()

    def ask() -> None:
        got.append(asker.ask(NODE, "k", send, asker.clock() + 30))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    sent[0].came("one answer")
    for thread in threads:
        thread.join(30)
    assert got == ["one answer"] * 3
    assert len(sent) == 1


def test_a_node_has_a_limited_number_of_questions(ground: Ground):
    for number in range(FLIGHTS + 5):
        ground.asker._breaker(NODE).worked()
        ground.ask(f"k{number}")
    assert len(ground.sent) == FLIGHTS


def test_a_question_that_never_ends_is_given_up(ground: Ground):
    ground.ask("lost")
    ended: list[str] = []
    ground.sent[0].give_up = lambda: ended.append("lost")
    ground.now += GIVEN_UP + 0.1
    ground.ask("next")
    assert ended == ["lost"]
    ground.sent[0].came("too late")  # nobody minds
    assert ground.asker.known(NODE, "lost") is None


def test_answers_are_limited_in_number_and_in_size(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking, "ENTRIES", 3)
    for number in range(5):
        ground.answered(f"k{number}", number)
    assert [ground.asker.known(NODE, f"k{number}") for number in range(5)] == [None, None, 2, 3, 4]
    monkeypatch.setattr(asking, "ROWS", 10)
    ground.answered("large", [0] * 8)
    assert ground.asker.known(NODE, "k4") == 4
    assert ground.asker.known(NODE, "k3") is None
    ground.answered("huge", [0] * 50)
    assert ground.asker.known(NODE, "huge") == [0] * 50
    assert ground.asker.known(NODE, "k4") is None


def test_nodes_are_limited_in_number(ground: Ground, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking, "NODES", 2)
    for node in "abc":
        ground.asker.ask(node, "k", lambda flight: flight.came(1), DEADLINE)
    assert len(ground.asker._breakers) == 2


def test_a_breaker():
    breaker = Breaker()
    assert breaker.verdict(0) == WAIT
    breaker.failed(0)
    breaker.failed(0.1)  # of a question that was on its way: it makes nothing longer
    assert (breaker.verdict(PAUSE - 0.1), breaker.verdict(PAUSE)) == (NOT, BESIDE)
    now = PAUSE
    for _ in range(20):
        breaker.tried(now)
        assert breaker.verdict(now) == NOT
        now = breaker.retry_at
        assert breaker.verdict(now) == BESIDE
    assert breaker.pause == LONGEST_PAUSE
    breaker.worked()
    assert (breaker.verdict(now), breaker.pause) == (WAIT, PAUSE)
