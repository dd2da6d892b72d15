"""Trees: written down, sent as plain tuples, carried out."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.frames.tree import Call, Object, Step, changed, evaluated, inside, sent, shown


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


def as_it_is(value: Any) -> Any:
    return value


def carried_out(root: Any, *steps: Step, objects: list[Any], before: Any = ()) -> Any:
    plain = [sent(begin, then, as_it_is) for begin, then in before]
    return evaluated(*sent(root, steps, as_it_is), objects, {"box": Box}.__getitem__, plain)


def test_steps_follow_each_other_and_attributes_are_steps_too():
    steps = (Step("plus", (2,), {"a": 3}), Step("first", None, {}), Step("doubled", (), {}))
    assert carried_out(0, *steps, objects=[Box(1)]) == 2
    assert carried_out(0, Step("items", None, {}), objects=[Box(1, 2)]) == [1, 2]
    assert carried_out(1, objects=["a", "b"]) == "b"


def test_a_function_is_found_by_its_name():
    assert carried_out(Call("box", (1, Object(0)), {}), Step("items", None, {}), objects=["x"]) == [1, "x"]
    with pytest.raises(KeyError):
        carried_out(Call("other", (), {}), objects=[])


def test_arguments_are_objects_in_lists_tuples_and_dicts_too():
    step = Step("plus", (Object(1), [Object(2), 5], (Object(0),)), {"named": {"deep": Object(2)}})
    other, box = Box(7), Box(0)
    objects = [box, other]
    found = carried_out(0, step, objects=objects, before=[(1, (Step("items", None, {}),))]).items
    assert found == [0, other, [[7], 5], (box,), ("named", {"deep": [7]})]
    assert objects == [box, other]


def test_trees_before_it_may_be_about_those_before_them():
    made: list[Box] = []

    def counted(*items: Any) -> Box:
        made.append(Box(*items))
        return made[-1]

    before: list[Any] = [(("box", (Object(number - 1), Object(number - 1)), {}), ()) for number in range(1, 1001)]
    assert evaluated(("box", (Object(1000),), {}), (), ["x"], {"box": counted}.__getitem__, before) is made[-1]
    assert len(made) == 1001
    assert made[0].items == ["x", "x"]


@pytest.mark.parametrize(
    "step",
    [Step("append", (2,), {}), Step("__setattr__", ("items", [3, 1, 2]), {}), Step("sort", (), {"in_place": True})],
    ids=lambda step: step.name,
)
def test_what_changes_its_object_changes_a_copy_and_gives_that(step: Step):
    box = Box(3, 1)
    made = carried_out(0, step, objects=[box])
    assert made is not box
    assert box.items == [3, 1]
    wanted = {"append": [3, 1, 2], "__setattr__": [3, 1, 2], "sort": [1, 3]}[step.name]
    assert made.items == wanted


def test_not_in_place_is_as_it_is():
    made = carried_out(0, Step("sort", (), {"in_place": False}), objects=[Box(3, 1)])
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


def test_what_is_in_an_argument_is_found_in_its_order():
    value = {"a": [1, (2, {"b": 3.0})], "c": True, "d": "4"}
    assert inside(value, int, []) == [1, 2, True]
    assert inside(3, int, [0]) == [0, 3]
    assert inside(value, bytes, []) == []


def test_arguments_of_all_steps_are_changed_and_those_of_the_call():
    steps = (Step("plus", (1,), {}), Step("items", None, {}))
    root, plain = sent(Call("box", (1,), {"a": 1}), steps, lambda each: 9 if each == 1 else each)
    assert (root, plain) == (("box", (9,), {"a": 9}), (("plus", (9,), {}), ("items", None, {})))
    assert [type(each) for each in (root, plain, *plain)] == [tuple] * 4
    assert steps[0].args == (1,)
    assert sent(0, (), as_it_is) == (0, ())


def test_what_is_asked_for_is_shown_by_its_last_steps():
    def steps(*names: str) -> tuple[Step, ...]:
        return tuple(Step(name, (), {}) for name in names)

    assert shown(steps("filter")) == "filter"
    assert shown(steps("a", "b", "c")) == "a.b.c"
    assert shown(steps("a", "b", "c", "d")) == "….b.c.d"
    assert shown((), Call("scan_csv", (), {})) == "scan_csv"
    assert shown(()) == "the frame"
