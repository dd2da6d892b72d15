"""The rules of the simulated links, without a loop."""

from __future__ import annotations

from beampy.testing.simlinks import Link, Links, LinkState

OPEN, HELD, CUT = LinkState.OPEN, LinkState.HELD, LinkState.CUT


def test_links_are_open_unless_a_rule_says_otherwise() -> None:
    links = Links()
    assert links.state("a", "b") is OPEN
    links.rule("a", "b", CUT)
    assert links.state("a", "b") is links.state("b", "a") is CUT
    assert links.state("a", "c") is OPEN
    links.rule("a", "c", HELD, both=False)
    assert links.state("a", "c") is HELD
    assert links.state("c", "a") is OPEN
    links.open_all()
    assert links.state("a", "b") is links.state("a", "c") is OPEN


def test_the_latest_rule_counts() -> None:
    links = Links()
    links.rule("a", None, CUT)
    assert links.state("a", "x") is links.state("x", "a") is CUT
    assert links.state("x", "y") is OPEN
    links.rule("a", "b", OPEN)
    assert links.state("a", "b") is OPEN
    assert links.state("a", "c") is CUT
    links.rule("a", None, OPEN)
    assert links.state("a", "c") is OPEN
    links.rule(None, None, HELD)
    assert links.state("x", "y") is HELD


def test_a_host_is_linked_to_itself_unless_it_is_down() -> None:
    links = Links()
    links.rule("a", None, CUT)
    assert links.state("a", "a") is OPEN
    links.open_all()
    links.set_down("a", True)
    assert links.state("a", "a") is links.state("b", "a") is links.state("a", "b") is CUT
    links.set_down("a", False)
    links.set_down("a", False)
    assert links.state("a", "b") is OPEN


def test_the_properties_of_links() -> None:
    links = Links()
    assert links.link("a", "b") is links.remote
    assert links.link("a", "a") is links.local
    links.set_link("a", "b", 0.5, None)
    assert links.link("b", "a") == Link(0.5, None)
    links.set_link("a", "c", None, 1e6)
    assert links.link("a", "c") == Link(links.remote.latency, 1e6)
