"""Whom a node connects to, and whom it lets go of."""

from __future__ import annotations

from beampy.dist import mesh


def test_the_new_one_is_told_of_all_others_in_order():
    assert mesh.introduce(["c@h", "b@h", "new@h", "a@h"], "new@h") == ["a@h", "b@h", "c@h"]
    assert mesh.introduce(["new@h"], "new@h") == []


def test_only_the_unknown_are_connected_to_once():
    assert mesh.to_connect(["b@h", "b@h", "a@h", "c@h"], "a@h", ["c@h"]) == ["b@h"]


def test_a_node_lets_go_of_the_start_that_was_lost_and_of_no_other():
    assert mesh.lets_go("b@h", 5, "a@h", {"b@h": 5})
    assert not mesh.lets_go("b@h", 5, "a@h", {"b@h": 6}), "it has been restarted"
    assert not mesh.lets_go("b@h", 5, "a@h", {}), "not connected"
    assert not mesh.lets_go("a@h", 5, "a@h", {"a@h": 5}), "itself"
