"""Trees: what is to be evaluated on a node, as plain data: where to begin, and the steps from there.

    0, (Step("filter", (expr,), {}), Step("head", (5,), {}))          objects[0].filter(expr).head(5)
    Call("scan_parquet", ("flights.parquet",), {}), ()                polars.scan_parquet("flights.parquet")

Rule: a tree is only written down; it has no frame in it, but numbers of the objects that are sent beside it, in lists,
tuples and dicts too: `join(other)`, `concat([a, b])`. What other trees give are objects as well, with the next numbers:
those trees go before it, in a row. So a plan that was written in a long loop is no deeper than any other.

Place: asking.py writes them, evaluate.py carries them out where the data is. Pure; it does not know polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHOWN = 3  # steps of a chain that are shown in messages, from its end: the last ones tell what was asked for


class Object(NamedTuple):
    """One of the objects that a tree comes with, or what a tree before it gave, as an argument."""

    number: int


EXPR = "\0beampy.frames:expression"  # begins a tuple that stands for an expression, which its reader makes again


class Packed:
    """An argument that is not what it will be there."""

    __slots__ = ()

    def unpacked(self) -> Any:
        """What it is, on the node that carries out the tree."""
        raise NotImplementedError


class Call(NamedTuple):
    """A function of polars, by its name: `polars.scan_csv(…)`."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Step(NamedTuple):
    """A method of what came before; with `args` None an attribute of it."""

    name: str
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any]


# Methods that change their object in place: they are given a copy, which shares its memory, and what they give is that.
IN_PLACE = frozenset({"__setattr__", "__setitem__", "append", "extend", "insert_column", "replace_column", "scatter"})


def changed(value: Any, fn: Callable[[Any], Any]) -> Any:
    """An argument with `fn` done to what is in it, through lists, tuples and dicts, which are copied.

    >>> changed([1, {"a": 2}], lambda each: each + 1 if each == 2 else each)
    [1, {'a': 3}]
    """
    kind = value.__class__
    if kind is list:
        return [changed(each, fn) for each in value]
    if kind is tuple:
        if len(value) == 2 and value[0].__class__ is str and value[0] == EXPR:
            return fn(value)
        return tuple(changed(each, fn) for each in value)
    if kind is dict:
        return {key: changed(each, fn) for key, each in value.items()}
    return fn(value)


def inside(value: Any, kind: type, found: list[Any]) -> list[Any]:
    """`found`, with what is of that kind in an argument, through lists, tuples and dicts, in their order.

    >>> inside(["a", {"b": (1, 2)}], int, [])
    [1, 2]
    """
    cls = value.__class__
    if cls is list or cls is tuple:
        for each in value:
            inside(each, kind, found)
    elif cls is dict:
        for each in value.values():
            inside(each, kind, found)
    elif isinstance(value, kind):
        found.append(value)
    return found


def sent(root: int | Call, steps: Sequence[Step], fn: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A tree in plain tuples, which cost less to send, with `fn` done to its arguments.

    >>> sent(0, [Step("head", (5,), {})], str)
    (0, (('head', ('5',), {}),))
    """
    begins = root if isinstance(root, int) else (root.name, changed(root.args, fn), changed(root.kwargs, fn))
    return begins, tuple(
        [
            (name, args and changed(args, fn), kwargs and changed(kwargs, fn))  # mostly one of them is empty
            for name, args, kwargs in steps
        ]
    )


def shown(steps: Sequence[Any], call: Any = None) -> str:
    """What is asked for, for people: the last steps of it.

    >>> shown((Step("str", None, {}), Step("to_uppercase", (), {})))
    'str.to_uppercase'
    """
    names = [_for_people(step[0]) for step in steps]
    if not names:
        return "the frame" if call is None else str(call[0])
    text = ".".join(names[-SHOWN:]).replace(".[", "[")
    return f"….{text}" if len(names) > SHOWN else text


def _for_people(name: str) -> str:
    """Of syntax what it is, and not how Python calls it.

    >>> _for_people("__getitem__"), _for_people("__radd__"), _for_people("head")
    ('[]', 'radd', 'head')
    """
    if name == "__getitem__":
        return "[]"
    return name.strip("_") if name.startswith("__") else name


def _as_it_is(value: Any) -> Any:
    return value


def evaluated(
    root: Any,
    steps: Any,
    objects: list[Any],
    function: Callable[[str], Callable[..., Any]],
    before: Sequence[tuple[Any, Any]] = (),
    expression: Callable[[Any], Any] = _as_it_is,
) -> Any:
    """What a tree gives, of its root and steps as they were sent. `function` finds a function of polars by its name,
    `expression` makes one again that was sent as a tuple; `before` are the trees that come first: each gives one more
    object.

    >>> evaluated(0, [("upper", (), {})], ["a"], print)
    'A'
    """
    objects = [*objects]

    def argument(value: Any) -> Any:
        if value.__class__ is tuple:  # `changed` leaves those that stand for an expression
            return expression(value)
        if value.__class__ is Object:
            return objects[value.number]
        return value.unpacked() if isinstance(value, Packed) else value

    for each in before:
        objects.append(_carried_out(*each, objects, function, argument))
    return _carried_out(root, steps, objects, function, argument)


def _carried_out(
    root: Any,
    steps: Any,
    objects: list[Any],
    function: Callable[[str], Callable[..., Any]],
    argument: Callable[[Any], Any],
) -> Any:
    if root.__class__ is int:
        made = objects[root]
    else:
        name, args, kwargs = root
        made = function(name)(*changed(args, argument), **changed(kwargs, argument))
    for name, args, kwargs in steps:
        if args is None:
            made = getattr(made, name)
            continue
        in_place = name in IN_PLACE or (kwargs and kwargs.get("in_place") is True)
        if in_place:
            made = made.clone()
        result = getattr(made, name)(*changed(args, argument), **changed(kwargs, argument))
        made = made if in_place else result
    return made
