"""The picture of a card, and the card as a browser gets it."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beampy.notebook import picture
from beampy.notebook.card import (
    CHARTS,
    FOLDED,
    LINE_POINTS,
    POINTS,
    Bar,
    Card,
    Group,
    Increments,
    Line,
    Row,
    charts,
    head,
    text,
    thin,
    whole,
)
from beampy.pool.progress import Curve

NASTY = '<script>alert("x")</script>&\'"'
VOID = {"br", "img", "hr", "meta"}


def curve(*points: tuple[float, float]) -> Curve:
    made = Curve()
    for point in points:
        made.add(*point)
    return made


def line(id: int, *points: tuple[float, float], name: str = "loss", state: str = "running", number: int = 0) -> Line:
    return Line(id, name, f"r{number}", number, id, state, curve(*points))


class Tags(HTMLParser):
    """That what is opened is closed, in order; and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.texts.append(data)


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def test_what_the_user_has_named_is_text() -> None:
    card = Card(
        NASTY,
        NASTY,
        note=NASTY,
        groups=[Group(NASTY, 1, total=2), Group("b")],
        rows=[Row(NASTY, "lost", why=NASTY, bars=[Bar(NASTY, 1, 2)])],
        lines=[line(1, (0, 1.0), name=NASTY)],
    )
    tags = read(picture.html(card))
    assert "script" not in tags.names
    assert sum(NASTY in text for text in tags.texts) >= 6


def test_a_picture_has_all_there_is() -> None:
    card = Card(
        "train",
        "p",
        groups=[Group("train", 6, 2, 1, 2, 4, 12, 1.5, 4.0)],
        rows=[Row("r0", "running", 0, 1, 1, 3, 2, [Bar("epochs", 30, 120)]), Row("r1", "lost", 1, why="killed")],
        lines=[line(1, (0, 1.0), (1, 0.25)), line(2, (0, 1.0), state="lost", number=1)],
        note="r1 was lost: killed",
    )
    page = picture.html(card)
    told = " ".join(read(page).texts)
    for part in (
        "train",
        "6/12",
        "2 failed",
        "1 cancelled",
        "1.5/s",
        "4s left",
        "30/120",
        "0.25",
        "lost",
        "r1 was lost: killed",
    ):
        assert part in told, part
    assert page.count('class="bp-mark"') == 1  # where the lost one ended
    assert "6/12, 2 failed, 1 cancelled" in picture.text(card)


def test_many_runners_are_folded_and_counted() -> None:
    rows = [Row(f"r{number}", "running" if number % 2 else "idle", number) for number in range(64)]
    page = picture.html(Card("t", "p", rows=rows, more_rows={"idle": 3}))
    assert page.count("<tr>") == FOLDED + 1
    rest = 64 - FOLDED
    assert f"and {rest + 3} more runners: {rest // 2} running, {rest // 2 + 3} idle" in page


def test_a_chart_stands_alone_as_svg() -> None:
    root = ElementTree.fromstring(picture.svg([line(1, (0, 1.0), (10, 0.0)), line(2)]))
    assert root.tag.endswith("svg")
    texts = [one.text for one in root.iter() if one.tag.endswith("}text")]
    assert {"0", "0.5", "1", "10"} >= set(texts) & {"0", "0.5", "1", "10"} >= {"0", "1"}


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
@example([(0.0, 0.0), (5e-324, 5e-324)])
@example([(1e-320, 2.5e-290), (1e-323, 2.5000000000000003e-290)])
def test_no_number_breaks_a_picture(points: list[tuple[float, float]]) -> None:
    card = Card("t", "p", lines=[line(1, *points)], rows=[Row("r0", "running")])
    page = picture.html(card)
    read(page)
    ElementTree.fromstring(picture.svg(card.lines))
    assert "nan" not in picture.svg(card.lines).lower()
    assert "inf" not in picture.svg(card.lines).lower()
    picture.text(card)
    json.loads(text(whole(card, 1)))
    json.loads(text(Increments().next(card)))


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300), st.integers(2, 8))
def test_ticks_are_within_and_few(low: float, width: float, most: int) -> None:
    low, high = picture.span([low, low + width])
    found = picture.ticks(low, high, most)
    assert len(found) <= most
    assert found == sorted(found)
    slack = abs(high - low) * 1e-9 if math.isfinite(high - low) else 1e300
    assert all(low - slack <= tick <= high + slack for tick in found)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (1e-310, "0"), (25000.0, "25k"), (-2e6, "-2M"), (3e9, "3G"), (0.1 + 0.2, "0.3")]
)
def test_numbers_at_axes(value: float, shown: str) -> None:
    assert picture.tick_text(value) == shown


def test_a_whole_card_is_bounded() -> None:
    lines = [line(number, *((step, step / 7) for step in range(1000)), number=number) for number in range(128)]
    made = whole(Card("t", "p", lines=lines), 3)
    points = [len(one["points"]) // 2 for one in made["lines"]]
    assert len(points) == 128
    assert sum(points) <= POINTS
    assert all(one["points"][-2:] == [999, float(f"{999 / 7:.6g}")] for one in made["lines"])
    assert len(thin(lines[0].curve.points, LINE_POINTS)) == LINE_POINTS


def test_more_curves_than_there_is_room_for_are_counted() -> None:
    card = Card("t", "p", lines=[line(number, (0, 1.0), name=f"c{number}") for number in range(CHARTS + 3)])
    assert len(charts(card.lines)) == CHARTS
    assert head(card)["more_charts"] == 3
    assert "3 more curves" in picture.html(card)


def test_steps_that_go_back_are_sent_whole() -> None:
    sent, one = Increments(), line(1, (0, 1.0), (1, 2.0))
    card = Card("t", "p", lines=[one])
    sent.next(card)
    one.curve.add(0, 5.0)
    (change,) = sent.next(card)["lines"]
    assert change["points"] == [0, 1, 1, 2, 0, 5]


def test_lines_that_have_gone_are_named() -> None:
    sent = Increments()
    sent.next(Card("t", "p", lines=[line(1, (0, 1.0)), line(2, (0, 1.0))]))
    again = sent.next(Card("t", "p", lines=[line(2, (0, 1.0))]))
    assert (again["seq"], again["gone"], again["lines"]) == (2, [1], [])


def test_a_line_that_only_ends_is_told() -> None:
    sent, points = Increments(), ((0, 1.0), (1, 2.0))
    sent.next(Card("t", "p", lines=[line(1, *points)]))
    card = Card("t", "p", lines=[line(1, *points, state="lost")])
    assert not sent.same(card)
    assert sent.next(card)["lines"] == [{"id": 1, "state": "lost", "new": []}]
    assert sent.same(card)


def test_the_colours_of_the_style_sheet_have_the_contrast_of_wcag_aa() -> None:
    for ground, names in (((255, 255, 255), "light"), ((17, 17, 17), "dark"), ((33, 33, 33), "dark")):
        colours = _colours(names)
        assert len(colours) >= 12
        for name, colour in colours.items():
            assert _contrast(colour, ground) >= 4.5, (names, name)


def _colours(theme: str) -> dict[str, tuple[int, int, int]]:
    """The colours of text and lines that the style sheet gives a theme."""
    marked = 'body[data-jp-theme-light="' + ("true" if theme == "light" else "false")
    block = picture.style().partition(marked)[2].partition("}")[0]
    found = {}
    for part in block.split(";"):
        name, _, value = part.rpartition("--bp-")[2].partition(":")
        value = value.strip()
        if value.startswith("#") and len(value) == 7 and name not in ("track", "grid"):
            found[name] = (int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16))
    return found


def _contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """WCAG 2.2, relative luminance."""

    def light(colour: tuple[int, int, int]) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_theme_of_the_system_has_the_colours_of_the_theme_of_the_page() -> None:
    system = picture.style().partition("prefers-color-scheme: dark")[2].partition("}")[0]
    for name, (red, green, blue) in _colours("dark").items():
        assert f"--bp-{name}: #{red:02x}{green:02x}{blue:02x}" in system
