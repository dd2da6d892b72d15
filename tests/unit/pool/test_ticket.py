"""Tickets: signed, for one node and one time, and nothing else gets in."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.pool.spec import RunnerSpec
from beampy.pool.ticket import MAX_TICKET, BadTicket, Ticket, Tickets, read, signed

KEY = bytes(range(32))


@pytest.fixture
def tickets() -> Tickets:
    return Tickets("p", KEY)


def test_a_ticket_is_good_once(tickets: Tickets) -> None:
    text = tickets.issue(7, "r@h", expires=60.0)
    assert tickets.redeem(text, "r@h", now=59.9) == 7
    with pytest.raises(BadTicket, match="used before"):
        tickets.redeem(text, "r@h", now=59.9)


def test_a_ticket_is_for_one_node_and_stays_good_for_it(tickets: Tickets) -> None:
    text = tickets.issue(7, "r@h", expires=60.0)
    with pytest.raises(BadTicket, match="its ticket is for r@h, and it is s@h"):
        tickets.redeem(text, "s@h", now=0.0)
    assert tickets.redeem(text, "r@h", now=0.0) == 7


def test_a_ticket_expires(tickets: Tickets) -> None:
    text = tickets.issue(7, "r@h", expires=60.0)
    with pytest.raises(BadTicket, match="has expired"):
        tickets.redeem(text, "r@h", now=60.1)


def test_a_ticket_that_was_revoked(tickets: Tickets) -> None:
    text = tickets.issue(7, "r@h", expires=60.0)
    tickets.revoke(7)
    tickets.revoke(7)
    with pytest.raises(BadTicket, match="given up"):
        tickets.redeem(text, "r@h", now=0.0)


def test_a_ticket_of_another_pool(tickets: Tickets) -> None:
    other = Tickets("q", KEY).issue(7, "r@h", expires=60.0)
    with pytest.raises(BadTicket, match="another pool's"):
        tickets.redeem(other, "r@h", now=0.0)
    with pytest.raises(BadTicket, match="not one of this pool's"):
        tickets.redeem(Tickets("p", bytes(32)).issue(7, "r@h", expires=60.0), "r@h", now=0.0)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_is_accepted(at: int, by: int) -> None:
    text = signed(Ticket("p", 1, "r@h", 60.0), KEY)
    changed = bytearray(text.encode())
    changed[at % len(changed)] ^= by
    try:
        found = read(changed.decode("latin-1"), KEY)
    except BadTicket:
        return
    assert found == Ticket("p", 1, "r@h", 60.0)  # spare bits of base64 that mean nothing


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80), st.none(), st.integers()))
def test_garbage_is_a_bad_ticket(garbage: object) -> None:
    with pytest.raises(BadTicket):
        read(garbage, KEY)  # type: ignore[arg-type]


def test_a_long_one_is_not_even_read() -> None:
    with pytest.raises(BadTicket):
        read("A" * (MAX_TICKET + 1) + ".AAAA", KEY)


def test_a_spec_survives_its_trip() -> None:
    spec = RunnerSpec("r@h", "p@h", [{"host": "127.0.0.1", "port": 1}], "m", "c", "t", node={"packages": "off"})
    assert RunnerSpec.from_text(spec.to_text()) == spec


def test_a_later_versions_spec_is_read_as_far_as_it_is_known() -> None:
    told = json.loads(base64.urlsafe_b64decode(RunnerSpec("r@h", "p@h", [], "m", "c", "t").to_text()))
    text = base64.urlsafe_b64encode(json.dumps(told | {"colour": "red"}).encode()).decode()
    assert RunnerSpec.from_text(text).name == "r@h"


@pytest.mark.parametrize("text", ["", "x", "AAAA", base64.urlsafe_b64encode(b'{"name": "r@h"}').decode()])
def test_what_is_no_spec_says_so_and_shows_nothing_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="BEAMPY_RUNNER holds no runner's spec") as caught:
        RunnerSpec.from_text(text)
    assert not text or text not in str(caught.value)


def test_a_spec_shows_no_secrets() -> None:
    assert "hush" not in repr(RunnerSpec("r@h", "p@h", [], "m", "hush", "hush"))
