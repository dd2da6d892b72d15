"""links: one process's links with the unlink protocol, and its monitors. Two of them: tests/property/test_links.py."""

from __future__ import annotations

from beampy.core.ids import Pid, Ref
from beampy.core.links import ACTIVE, Links, Monitor

A, B, C = (Pid("a@h", serial, 7) for serial in (1, 2, 3))


def test_linking_is_idempotent() -> None:
    links = Links()
    assert links.link(A)
    assert not links.link(A)
    assert links.active() == [A]


def test_links_are_listed_oldest_first() -> None:
    links = Links()
    links.link(B)
    links.linked_by(A)
    links.link(C)
    assert links.active() == [B, A, C]


def test_being_linked_needs_no_signal_back() -> None:
    links = Links()
    links.linked_by(A)
    links.linked_by(A)
    assert not links.link(A)
    assert links.active() == [A]


def test_unlinking_waits_for_its_acknowledgement() -> None:
    links = Links()
    links.link(A)
    assert links.unlink(A) == 1
    assert links.active() == []
    assert A in links.links
    assert links.unlink(A) is None
    links.unlink_acknowledged(A, 1)
    assert links.links == {}


def test_unlinking_a_stranger_is_nothing() -> None:
    links = Links()
    assert links.unlink(A) is None
    links.unlinked_by(A)
    links.unlink_acknowledged(A, 1)
    assert links.links == {}


def test_an_exit_over_an_active_link_counts_once() -> None:
    links = Links()
    links.link(A)
    assert links.take_exit(A)
    assert not links.take_exit(A)


def test_no_exit_counts_after_an_unlink() -> None:
    links = Links()
    links.link(A)
    links.unlink(A)
    assert not links.take_exit(A)
    assert links.links == {}


def test_a_link_made_again_is_not_torn_down_by_the_old_acknowledgement() -> None:
    links = Links()
    links.link(A)
    old = links.unlink(A)
    assert old is not None
    assert links.link(A)
    links.unlink_acknowledged(A, old)
    assert links.active() == [A]


def test_only_the_latest_acknowledgement_counts() -> None:
    links = Links()
    links.link(A)
    first = links.unlink(A)
    links.link(A)
    second = links.unlink(A)
    assert first is not None
    assert second is not None
    assert first != second
    links.unlink_acknowledged(A, first)
    assert links.links == {A: second}
    links.unlink_acknowledged(A, second)
    assert links.links == {}


def test_the_peers_unlink_ends_an_active_link_only() -> None:
    links = Links()
    links.link(A)
    links.unlinked_by(A)
    assert links.links == {}
    links.link(A)
    pending = links.unlink(A)
    links.unlinked_by(A)  # the two unlinks crossed
    assert links.links == {A: pending}


def test_a_link_signal_under_a_pending_unlink_is_ignored() -> None:
    links = Links()
    links.link(A)
    pending = links.unlink(A)
    links.linked_by(A)
    assert links.links == {A: pending}


def test_ids_of_unlinks_are_never_the_mark_of_an_active_link() -> None:
    links = Links()
    for _ in range(3):
        links.link(A)
        assert links.unlink(A) != ACTIVE
        links.links.clear()


def test_monitors_are_a_table_by_ref() -> None:
    links = Links()
    ref = Ref("a@h", 1, 7)
    links.monitors[ref] = Monitor(("name", "a@h"), A, "tag", False)
    assert links.monitors[Ref("a@h", 1, 7)] == (("name", "a@h"), A, "tag", False)
    assert links.active() == []
