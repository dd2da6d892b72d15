"""What a card shows of the calls that it hears of."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.notebook.activity import FUNCTIONS, OTHERS, TRACES, Activity, short_name
from beampy.notebook.card import Increments, whole
from beampy.otp.rpc_function import shown
from beampy.pool.live_view import RunnerView, View
from beampy.pool.progress import CallProgress, Report


def train() -> None: ...


def score() -> None: ...


class Call:
    """A call as the activity asks it."""

    def __init__(self, number: int, function: Any = train) -> None:
        self.number = number
        self.label: str | None = None
        self.progress: CallProgress | None = None
        self.name = f"{function.__module__}.{function.__qualname__}" if callable(function) else function
        self.end = "ok"

    def outcome(self) -> str:
        return self.end

    def log(self, **points: list[tuple[float, float]]) -> None:
        if self.progress is None:
            self.progress = CallProgress()
        self.progress.take(Report((), tuple((name, tuple(some)) for name, some in points.items())), 0.0)


def started(told: Activity, call: Call, runner: str, now: float = 1.0) -> Call:
    call.label = runner
    told.take(call, "started", now)
    return call


def finished(told: Activity, call: Call, outcome: str = "ok", now: float = 2.0) -> None:
    call.end = outcome
    told.take(call, "finished", now)


def logged(told: Activity, call: Call, *points: tuple[float, float], name: str = "loss") -> None:
    call.log(**{name: list(points)})
    told.take(call, "progress", 1.5)


def view(*runners: RunnerView, ended: bool = False) -> View:
    return View("p", 1.0, 4, runners, waiting=3, running=2, finished=12, failed=1, cancelled=2, ended=ended)


def test_calls_are_counted_by_function_and_by_runner() -> None:
    told = Activity(0.0)
    first, second = started(told, Call(1), "r1"), started(told, Call(2), "r2")
    told.take(Call(3), "queued", 1.0)
    started(told, Call(4, score), "r1")
    finished(told, first)
    finished(told, second, "error")
    card = told.card(3.0, None)
    by_name = {group.what.rpartition(".")[2]: group for group in card.groups}
    assert [(by_name["train"].done, by_name["train"].failed, by_name["train"].waiting)] == [(2, 1, 1)]
    assert (by_name["score"].running, by_name["score"].done, by_name["score"].total) == (1, 0, 1)
    assert [(row.name, row.running, row.done, row.failed) for row in card.rows] == [("r1", 1, 1, 0), ("r2", 0, 1, 1)]
    assert (card.running, card.waiting, card.done, card.failed) == (1, 1, 2, 1)


def test_a_map_says_how_many_there_will_be_and_when_it_is_over() -> None:
    told = Activity(0.0)
    told.mapped(shown(train), 10)
    for number in range(2):
        finished(told, started(told, Call(number), "r1", now=1.0), now=3.0)
    (group,) = told.card(5.0, None).groups
    assert (group.done, group.total, group.rate, group.left) == (2, 10, 0.5, 16.0)


def test_the_total_of_an_endless_map_is_not_known() -> None:
    told = Activity(0.0)
    told.mapped(shown(train), None)
    started(told, Call(1), "r1")
    (group,) = told.card(5.0, None).groups
    assert group.total is None
    assert group.left is None


def test_a_call_that_was_refused_and_is_tried_again_is_no_failure() -> None:
    told = Activity(0.0)
    finished(told, Call(1), "rejected")
    assert told.card(1.0, None).done == 0
    assert told.calls == {}


def test_a_call_that_waits_again_is_on_no_runner() -> None:
    told = Activity(0.0)
    call = started(told, Call(1), "r1")
    told.take(call, "retried", 2.0)
    told.take(call, "queued", 2.0)
    card = told.card(2.0, None)
    assert (card.running, card.waiting, card.rows[0].running) == (0, 1, 0)
    started(told, call, "r2")
    finished(told, call)
    card = told.card(2.0, None)
    assert (card.running, card.waiting, card.done, card.failed) == (0, 0, 1, 0)
    assert [(row.name, row.done) for row in card.rows] == [("r1", 0), ("r2", 1)]


def test_a_curve_ends_where_its_runner_was_lost_and_the_next_attempt_begins_its_own() -> None:
    told = Activity(0.0)
    call = started(told, Call(7), "r1")
    logged(told, call, (0, 1.0), (1, 0.9))
    told.take(call, "retried", 2.0)
    told.runner_down("r1", "lost", "killed by signal 9")
    call.progress = None  # as the pool does
    started(told, call, "r2")
    logged(told, call, (0, 1.0))
    card = told.card(3.0, None)
    assert [(line.runner, line.call, line.state, line.curve.points) for line in card.lines] == [
        ("r1", 7, "lost", ((0, 1.0), (1, 0.9))),
        ("r2", 7, "running", ((0, 1.0),)),
    ]
    assert (card.rows[0].name, card.rows[0].state, card.rows[0].why) == ("r1", "lost", "killed by signal 9")
    assert card.note == "r1 was lost: killed by signal 9"
    assert card.lines[0].id != card.lines[1].id


@pytest.mark.parametrize(("outcome", "state"), [("ok", "done"), ("lost", "lost"), ("error", "lost")])
def test_a_line_says_how_its_call_ended(outcome: str, state: str) -> None:
    told = Activity(0.0)
    call = started(told, Call(1), "r1")
    logged(told, call, (0, 1.0))
    finished(told, call, outcome)
    assert [line.state for line in told.card(2.0, None).lines] == [state]


def test_what_was_cancelled_is_neither_done_nor_failed() -> None:
    told = Activity(0.0)
    told.mapped(shown(train), 3)
    finished(told, started(told, Call(1), "r1"))
    finished(told, started(told, Call(2), "r1"), "cancelled")
    told.ended = 3.0
    card = told.card(3.0, None)
    (group,) = card.groups
    assert (group.done, group.failed, group.cancelled, group.running, card.state) == (1, 0, 1, 0, "cancelled")
    finished(told, started(told, Call(3), "r1"), "error")
    assert told.card(3.0, None).state == "failed"  # a failure ends the others of its map


def test_each_runner_has_a_colour_of_its_own_that_stays() -> None:
    told = Activity(0.0)
    for number, runner in enumerate(["r1", "r2", "r1"]):
        call = started(told, Call(number), runner)
        logged(told, call, (0, 1.0))
        finished(told, call)
    assert [line.number for line in told.card(2.0, None).lines] == [0, 1, 0]


def test_what_is_kept_of_curves_is_bounded_and_what_runs_is_kept() -> None:
    told = Activity(0.0)
    runs = started(told, Call(0), "r1")
    logged(told, runs, (0, 1.0))
    for number in range(1, TRACES + 10):
        call = started(told, Call(number), "r1")
        logged(told, call, (0, 1.0))
        finished(told, call)
    card = told.card(2.0, None)
    assert len(card.lines) == TRACES
    assert card.lines[0].call == 0
    assert card.more_lines == 10


def test_functions_are_told_apart_up_to_a_number() -> None:
    told = Activity(0.0)
    for number in range(FUNCTIONS + 20):
        finished(told, started(told, Call(number, f"m:f{number}"), "r1"))
    assert len(told.groups) == FUNCTIONS + 1
    assert told.groups[OTHERS].done == 20
    card = told.card(2.0, None)
    assert card.done == FUNCTIONS + 20
    assert len(card.groups) + card.more_groups == FUNCTIONS + 1


def test_the_state_of_a_runner_is_that_of_the_pool() -> None:
    told = Activity(0.0)
    for number, runner in enumerate(["busy", "idle", "away", "gone"]):
        call = started(told, Call(number), runner)
        if runner != "busy":
            finished(told, call)
    seen = view(
        RunnerView("busy", "up", 4), RunnerView("idle", "up"), RunnerView("away", "away"), RunnerView("new", "booting")
    )
    told.seen(seen)
    rows = {row.name: row.state for row in told.card(2.0, seen).rows}
    assert rows == {"busy": "running", "idle": "idle", "away": "away", "gone": "ended", "new": "booting"}


def test_a_runner_of_the_pool_that_did_nothing_for_the_cell_has_no_row() -> None:
    told = Activity(0.0)
    started(told, Call(1), "r1")
    seen = view(RunnerView("r1", "up"), RunnerView("other", "up", busy=1))
    told.seen(seen)
    told.runner_down("other", "lost", "gone")
    assert [row.name for row in told.card(2.0, seen).rows] == ["r1"]


def test_the_card_of_a_pool_shows_all_of_it() -> None:
    told = Activity(0.0, pool_wide=True)
    seen = view(RunnerView("r1", "up", 4, 2, done=5, failed=1), RunnerView("r2", "booting"))
    told.seen(seen)
    card = told.card(2.0, seen)
    assert [(row.name, row.state, row.running, row.done, row.failed) for row in card.rows] == [
        ("r1", "running", 2, 5, 1),
        ("r2", "booting", 0, 0, 0),
    ]
    assert (card.waiting, card.running, card.done, card.failed, card.max) == (3, 2, 10, 1, 4)
    told.runner_down("r2", "failed", "no such image")
    assert told.card(2.0, seen).note == "r2 did not come up: no such image"
    told.ended = 3.0
    assert told.card(9.0, view(ended=True)).state == "stopped"


def test_what_ends_stays_as_it_ended() -> None:
    told = Activity(0.0)
    finished(told, started(told, Call(1), "r1"), "error")
    told.ended = 4.0
    card = told.card(100.0, None, button="cancel")
    assert (card.state, card.age, card.button) == ("failed", 4.0, "")
    told.cancelled = True
    assert told.card(100.0, None).state == "cancelled"


def test_increments_and_wholes_give_a_browser_the_same_curve() -> None:
    told, sent = Activity(0.0), Increments()
    call = started(told, Call(1), "r1")
    got: list[float] = []
    for step in range(50):
        logged(told, call, (step, step / 2))
        if step % 7 == 0:
            got += _points(sent.next(told.card(2.0, None)))
    got += _points(sent.next(told.card(2.0, None)))
    (line,) = whole(told.card(2.0, None), sent.seq)["lines"]
    assert got == line["points"]
    assert line["points"] == [value for step in range(50) for value in (step, step / 2)]
    assert sent.next(told.card(2.0, None))["lines"] == []


def _points(increment: dict[str, Any]) -> list[float]:
    return [value for line in increment["lines"] for value in line.get("points") or line["new"]]


def test_short_names() -> None:
    assert short_name("__main__.train") == "train"
    assert short_name("helpers.score") == "helpers.score"
