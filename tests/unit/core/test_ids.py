"""ids: node names, and identities that are equal, ordered, hashed and pickled by their fields."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import pytest

from beampy.core.ids import NO_NODE, Pid, Ref, is_destination, node_name, pid_of
from beampy.errors import BadName, NotRegistered

KINDS = pytest.mark.parametrize("kind", [Pid, Ref])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "nonode@nohost"),
        ("a", "a@localhost"),
        ("a@h", "a@h"),
        ("app-1.x_y@10.0.0.1", "app-1.x_y@10.0.0.1"),
        ("a@::1", "a@::1"),
        ("a@host:4370", "a@host:4370"),
        ("x" * 128 + "@" + "h" * 126, "x" * 128 + "@" + "h" * 126),
    ],
)
def test_node_names(given: str | None, name: str) -> None:
    assert node_name(given) == name


@pytest.mark.parametrize(
    "bad",
    ["", "@", "a@", "@h", "a b", "a@h h", "a@b@c", "ä@h", "a/b", "a@h\n", "x" * 129, "a@" + "h" * 127, 5, b"a", object],
)
def test_what_is_no_node_name(bad: Any) -> None:
    with pytest.raises(BadName) as caught:
        node_name(bad)
    assert (caught.value.kind, caught.value.name) == ("node", bad)


def test_a_node_alone_has_erlangs_name() -> None:
    assert node_name(None) == NO_NODE


@KINDS
def test_equal_by_all_three_fields(kind: Any) -> None:
    one = kind("a@h", 1, 7)
    assert one == one
    assert one == kind("a@h", 1, 7)
    assert hash(one) == hash(kind("a@h", 1, 7))
    for other in (kind("b@h", 1, 7), kind("a@h", 2, 7), kind("a@h", 1, 8)):
        assert one != other
    assert one not in (1, "a@h", ("a@h", 1, 7), None)


def test_a_pid_is_no_ref() -> None:
    assert Pid("a@h", 1, 7) != Ref("a@h", 1, 7)
    assert len({Pid("a@h", 1, 7), Ref("a@h", 1, 7)}) == 2


@KINDS
def test_ordered_by_node_creation_number(kind: Any) -> None:
    expected = [kind(*fields) for fields in [("a@h", 9, 1), ("a@h", 1, 2), ("a@h", 2, 2), ("b@h", 1, 1)]]
    for shuffled in itertools.permutations(expected):
        assert sorted(shuffled) == expected


def test_the_repr_says_node_and_number() -> None:
    assert repr(Pid("a@h", 17, 3)) == "<Pid a@h 17>"
    assert repr(Ref("a@h", 18, 3)) == "<Ref a@h 18>"


@KINDS
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_copy_is_equal_and_has_no_shortcut(kind: Any, protocol: int) -> None:
    original = kind("a@h", 1, 7)
    shortcut = "_local" if kind is Pid else "_holder"
    setattr(original, shortcut, object())
    again = pickle.loads(pickle.dumps(original, protocol))
    assert again == original
    assert again.__class__ is kind
    assert getattr(again, shortcut) is None


@KINDS
def test_copies_are_the_identity_itself(kind: Any) -> None:
    """An identity never changes, and a copied message leads where the original does."""
    original = kind("a@h", 1, 7)
    assert copy.copy(original) is original
    assert copy.deepcopy({"to": [original]})["to"][0] is original


@KINDS
def test_there_is_nothing_to_add(kind: Any) -> None:
    with pytest.raises(AttributeError):
        kind("a@h", 1, 7).color = "red"


class Client:
    """Something with a pid."""

    def __init__(self, pid: Any) -> None:
        self.pid = pid


class Nameless:
    """Something with a pid that nobody has now."""

    @property
    def pid(self) -> Pid:
        raise NotRegistered("key")


PID, REF = Pid("a@h", 1, 7), Ref("a@h", 1, 7)


def test_the_pid_of_what_has_one() -> None:
    assert pid_of(Client(PID)) == PID
    assert pid_of(Nameless()) is None
    assert pid_of(5) is None
    assert pid_of(5, "default") == "default"


@pytest.mark.parametrize(
    "dest", [PID, REF, "name", ("name", "a@h"), Client(PID), Client(None), Nameless()], ids=lambda d: type(d).__name__
)
def test_destinations(dest: Any) -> None:
    assert is_destination(dest)


@pytest.mark.parametrize(
    "dest", [None, 5, b"name", ("a", 1), ("a", "b", "c"), (PID, "a@h"), ["a", "b"], Client(5), object()]
)
def test_what_is_no_destination(dest: Any) -> None:
    assert not is_destination(dest)
