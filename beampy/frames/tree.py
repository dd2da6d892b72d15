"""Trees: what is to be evaluated on a node, as plain data.

    Tree(0, (Step("filter", (expr,), {}), Step("head", (5,), {})))      objects[0].filter(expr).head(5)
    Tree(Call("scan_parquet", ("flights.parquet",), {}), ())            polars.scan_parquet("flights.parquet")

Rule: a tree is only written down; it has no frame in it, but numbers of the objects that are sent beside it. An
argument may be a tree itself, or an object, in lists, tuples and dicts too: `join(other)`, `concat([a, b])`.

Place: asking.py writes them, evaluate.py carries them out where the data is. Pure; it does not know polars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHOWN = 3  # steps of a chain that are shown in messages, from its end: the last ones tell what was asked for


class Object(NamedTuple):
    """One of the objects that a tree comes with, as an argument."""

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


class Tree(NamedTuple):
    """Where to begin, an object by its number or a function, and what to do then."""

    root: int | Call
    steps: tuple[Step, ...]

    def plain(self) -> tuple[Any, ...]:
        """The same in plain tuples, which cost less to send."""
        root = self.root
        return (root if isinstance(root, int) else tuple(root), tuple(map(tuple, self.steps)))


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


def with_arguments(tree: Tree, fn: Callable[[Any], Any]) -> Tree:
    """The tree with `fn` done to its arguments; those of trees in them are left to `fn`."""
    root = tree.root
    if isinstance(root, Call):
        root = Call(root.name, changed(root.args, fn), changed(root.kwargs, fn))
    steps = tuple(
        step if step.args is None else Step(step.name, changed(step.args, fn), changed(step.kwargs, fn))
        for step in tree.steps
    )
    return Tree(root, steps)


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
    done: dict[int, Any] | None = None,
    expression: Callable[[Any], Any] = _as_it_is,
) -> Any:
    """What a tree gives, of its root and steps as they were sent. `function` finds a function of polars by its name,
    `expression` makes one again that was sent as a tuple; `done` has what trees in it have given: one that is there
    several times is carried out once.

    >>> evaluated(0, [("upper", (), {})], ["a"], print)
    'A'
    """

    known = {} if done is None else done

    def argument(value: Any) -> Any:
        if value.__class__ is tuple:  # `changed` leaves those that stand for an expression
            return expression(value)
        if value.__class__ is Object:
            return objects[value.number]
        if value.__class__ is Tree:
            if id(value) not in known:
                known[id(value)] = evaluated(value.root, value.steps, objects, function, known, expression)
            return known[id(value)]
        return value.unpacked() if isinstance(value, Packed) else value

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
