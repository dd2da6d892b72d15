"""Trees: written down, sent as plain tuples, carried out."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.frames.tree import Call, Object, Step, Tree, changed, evaluated, shown, with_arguments


class Box:
    """Something that can be changed in place, and says so."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.first = Named(items[0]) if items else None

    def clone(self) -> Box:
        return Box(*self.items)

    def append(self, other: Any) -> None:
        self.items.append(other)

    def plus(self, *others: Any, **named: Any) -> Box:
        return Box(*self.items, *others, *named.items())

    def sort(self, in_place: bool = False) -> Box:
        if not in_place:
            return Box(*sorted(self.items))
        self.items.sort()
        return Box("what is given is not looked at")


class Named:
    def __init__(self, value: Any) -> None:
        self.value = value

    def doubled(self) -> Any:
        return self.value * 2


def carried_out(tree: Tree, *objects: Any) -> Any:
    root, steps = tree.plain()
    return evaluated(root, steps, list(objects), {"box": Box}.__getitem__)


def test_steps_follow_each_other_and_attributes_are_steps_too():
    tree = Tree(0, (Step("plus", (2,), {"a": 3}), Step("first", None, {}), Step("doubled", (), {})))
    assert carried_out(tree, Box(1)) == 2
    assert carried_out(Tree(0, (Step("items", None, {}),)), Box(1, 2)) == [1, 2]
    assert carried_out(Tree(1, ()), "a", "b") == "b"


def test_a_function_is_found_by_its_name():
    tree = Tree(Call("box", (1, Object(0)), {}), (Step("items", None, {}),))
    assert carried_out(tree, "x") == [1, "x"]
    with pytest.raises(KeyError):
        carried_out(Tree(Call("other", (), {}), ()))


def test_arguments_are_objects_and_trees_in_lists_tuples_and_dicts_too():
    inner = Tree(1, (Step("items", None, {}),))
    tree = Tree(0, (Step("plus", (Object(1), [inner, 5], (Object(0),)), {"named": {"deep": inner}}),))
    other = Box(7)
    box = Box(0)
    found = carried_out(tree, box, other).items
    assert found == [0, other, [[7], 5], (box,), ("named", {"deep": [7]})]


@pytest.mark.parametrize(
    "step",
    [Step("append", (2,), {}), Step("__setattr__", ("items", [3, 1, 2]), {}), Step("sort", (), {"in_place": True})],
    ids=lambda step: step.name,
)
def test_what_changes_its_object_changes_a_copy_and_gives_that(step: Step):
    box = Box(3, 1)
    made = carried_out(Tree(0, (step,)), box)
    assert made is not box
    assert box.items == [3, 1]
    wanted = {"append": [3, 1, 2], "__setattr__": [3, 1, 2], "sort": [1, 3]}[step.name]
    assert made.items == wanted


def test_not_in_place_is_as_it_is():
    made = carried_out(Tree(0, (Step("sort", (), {"in_place": False}),)), Box(3, 1))
    assert made.items == [1, 3]


def test_containers_are_copied_and_what_is_not_one_is_left():
    value = [1, {"a": (2, 3)}]
    copied = changed(value, lambda each: each)
    assert copied == value
    assert copied is not value
    assert copied[1] is not value[1]
    assert changed(value, lambda each: -each if each == 3 else each) == [1, {"a": (2, -3)}]
    assert value == [1, {"a": (2, 3)}]
    subclass = type("Mine", (list,), {})([1])
    assert changed(subclass, lambda each: 0 if each == 1 else each) is subclass


def test_arguments_of_all_steps_are_changed_and_those_of_the_call():
    tree = Tree(Call("box", (1,), {"a": 1}), (Step("plus", (1,), {}), Step("items", None, {})))
    other = with_arguments(tree, lambda each: 9 if each == 1 else each)
    assert other == Tree(Call("box", (9,), {"a": 9}), (Step("plus", (9,), {}), Step("items", None, {})))
    assert tree.steps[0].args == (1,)


def test_plain_tuples_say_the_same():
    tree = Tree(Call("box", (1,), {}), (Step("items", None, {}),))
    root, steps = tree.plain()
    assert (type(root), type(steps), type(steps[0])) == (tuple, tuple, tuple)
    assert (root, steps) == (("box", (1,), {}), (("items", None, {}),))
    assert Tree(0, ()).plain() == (0, ())


def test_a_tree_that_is_there_twice_is_carried_out_once():
    made: list[Box] = []

    def counted(*items: Any) -> Box:
        made.append(Box(*items))
        return made[-1]

    tree = Tree(Call("box", (1,), {}), ())
    for _ in range(30):  # with each of them carried out it would be a thousand million
        tree = Tree(Call("box", (tree, tree), {}), ())
    root, steps = tree.plain()
    evaluated(root, steps, [], {"box": counted}.__getitem__)
    assert len(made) == 31


def test_what_is_asked_for_is_shown_by_its_last_steps():
    def steps(*names: str) -> tuple[Step, ...]:
        return tuple(Step(name, (), {}) for name in names)

    assert shown(steps("filter")) == "filter"
    assert shown(steps("a", "b", "c")) == "a.b.c"
    assert shown(steps("a", "b", "c", "d")) == "….b.c.d"
    assert shown((), Call("scan_csv", (), {})) == "scan_csv"
    assert shown(()) == "the frame"
