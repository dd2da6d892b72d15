"""What live.js makes of what the kernel says: run by node, without a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest

from beampy.notebook.card import Card, Group, Increments, Line, Row, text, whole
from beampy.notebook.picture import tick_text, ticks
from beampy.pool.live_picture import duration, figures, number, size
from beampy.pool.progress import Curve
from tests.unit.notebook import in_node

pytestmark = [in_node.wants_node]

STUBS = """
globalThis.requestAnimationFrame = () => 1; globalThis.setInterval = () => 1; globalThis.clearInterval = () => {};
globalThis.document = { visibilityState: "visible" };
const sent = [], on = {};
const hear = (name, fn) => { on[name] = fn; }, send = (told) => sent.push(told.kind);
const model = (snapshot) => ({ get: () => snapshot, on: hear, send });
const lines = (store) => [...store.lines.values()].map((line) => [line.id, line.state, line.xs, line.ys]);
"""


def run(code: str, **values: Any) -> Any:
    """What `code` gives to `tell`, with live.js before it."""
    given = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
    return in_node.run("live", STUBS + given, code)


def curve(*points: tuple[float, float]) -> Curve:
    made = Curve()
    for point in points:
        made.add(*point)
    return made


def test_numbers_are_written_as_in_the_picture() -> None:
    values = [0.0, 1.0, 0.123456, 12.0, 999.9, 1234.6, -1234.6, 1e9, 2.5e12, 1e-5, 3.2e-7, -0.25, 99999.0, 1e300]
    counts = [0, 7, 999, 1000, 1234567]
    times = [0.0, 4.2, 75.0, 3700.0, 200_000.0, -1.0]
    sizes = [87 * 2**20, 3 * 2**30, 5 * 2**10]
    found = run(
        "tell([values.map(figures), counts.map(number), times.map(duration), sizes.map(size), values.map(tickText)])",
        values=values,
        counts=counts,
        times=times,
        sizes=sizes,
    )
    ours = [[figures(one) for one in values], [number(one) for one in counts], [duration(one) for one in times]]
    assert found == [*ours, [size(one) for one in sizes], [tick_text(one) for one in values]]


def test_axes_are_those_of_the_picture() -> None:
    spans = [(0.0, 1.0), (3.0, 190.0), (-0.002, 0.0031), (1e-12, 5e-12), (-1e9, 3e12)]
    found = run("tell(spans.map(([low, high]) => ticks(low, high, 5)))", spans=spans)
    assert found == [pytest.approx(ticks(low, high, 5)) for low, high in spans]


def test_increments_after_a_whole_card_give_the_curve() -> None:
    sent, one = Increments(), curve((0, 1.0), (1, 2.0))
    card = Card("t", "p", groups=[Group("f", 1, total=2)], rows=[Row("r", "running")])
    card = Card("t", "p", lines=[Line(1, "loss", "r", 0, 1, "running", one)])
    sent.next(card)
    first = text(whole(card, sent.seq))
    more = []
    for step in range(2, 30):
        one.add(step, step)
        more.append(text(sent.next(card)))
    again = text(whole(card, sent.seq - 5))  # is behind what the page has
    told = run(
        "const store = new Store(model(first)); for (const card of more) on['msg:custom']({kind: 'more', card});\n"
        "on['msg:custom']({kind: 'more', card: more[3]}); on['msg:custom']({kind: 'all', card: again});\n"
        "tell([store.seq, store.gap, sent, lines(store)])",
        first=first,
        more=more,
        again=again,
    )
    xs = list(range(30))
    assert told == [sent.seq, False, [], [[1, "running", xs, [1.0, 2.0, *xs[2:]]]]]


def test_what_was_missed_is_asked_for_and_comes_whole() -> None:
    sent, one = Increments(), curve((0, 0.0))
    card = Card("t", "p", lines=[Line(1, "loss", "r", 0, 1, "running", one)])
    sent.next(card)
    first = text(whole(card, sent.seq))
    more = []
    for step in range(1, 6):
        one.add(step, step)
        more.append(text(sent.next(card)))
    one.add(6, 6)
    answer = text(whole(card, sent.seq))
    one.add(7, 7)
    last = text(sent.next(card))
    told = run(
        "const store = new Store(model(first)), take = (kind, card) => on['msg:custom']({kind, card});\n"
        "store.asked = -1e9; take('more', more[0]); take('more', more[3]); const gap = store.gap;\n"
        "take('all', answer_); take('more', last);\n"
        "tell([gap, store.gap, sent, lines(store)])",
        first=first,
        more=more,
        answer_=answer,
        last=last,
    )
    xs = list(range(8))
    assert told == [True, False, ["ask"], [[1, "running", xs, xs]]]  # 6 and 7 once, though both told of 6


def test_lines_that_have_gone_go_and_those_that_ended_say_so() -> None:
    sent = Increments()
    lines = [Line(number, "loss", "r", 0, number, "running", curve((0, 1.0))) for number in (1, 2)]
    sent.next(Card("t", "p", lines=lines))
    first = text(whole(Card("t", "p", lines=lines), sent.seq))
    lost = Line(2, "loss", "r", 0, 2, "lost", lines[1].curve)
    more = text(sent.next(Card("t", "p", lines=[lost])))
    told = run(
        "const store = new Store(model(first)); on['msg:custom']({kind: 'more', card: more}); tell(lines(store))",
        first=first,
        more=more,
    )
    assert told == [[2, "lost", [0], [1]]]


def test_a_long_curve_is_bounded_in_the_page() -> None:
    told = run(
        "const line = new Line({id: 1, points: []});\n"
        "for (let step = 0; step < 100000; step++) line.more([step, -step]);\n"
        "tell([line.xs.length <= POINTS + 1, line.xs[0], line.xs.at(-1), line.ys.at(-1)])"
    )
    assert told == [True, 0, 99999, -99999]
