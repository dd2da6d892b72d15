"""Classes made again: empty at first, so that cycles can be closed, then filled with what they had.

Rule: making a class again runs no code of the program: neither its metaclass's `__new__` and `__init__`, nor
`__init_subclass__`, nor `__set_name__`. All that these did is in the class's dictionary already, and registries that
they keep would have everything twice. Two kinds of classes are made by their metaclass after all: enums, whose members
are instances of them, and those of a metaclass written in C.

Place: under closures.py, which writes the parts. It does not know what pickles them, nor other definitions.
"""

from __future__ import annotations

import enum
import types
from _abc import _abc_init, _get_dump  # type: ignore[import-not-found]  # abc has no public names for these
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The interpreter makes these for each class; a line number would make a new version of a class that moved.
_MADE = frozenset({"__weakref__", "__firstlineno__", "_abc_impl"})
# enum makes these of the members. What each Python keeps there is its own business.
_OF_MEMBERS = frozenset(
    {
        *("_generate_next_value_", "_member_names_", "_member_map_", "_member_type_", "_value2member_map_"),
        *("_unhashable_values_", "_unhashable_values_map_", "_hashable_values_", "_value_repr_"),
        *("_flag_mask_", "_singles_mask_", "_all_bits_", "_inverted_", "_boundary_"),
    }
)
_OF_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_", "_inverted_"})
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE, from CPython's object.h: a class made at run time
_SIZE: int = vars(type)["__basicsize__"].__get__(type)
_STOP = "<stop>"  # no identifier, so no attribute of anybody's


def parts(cls: type) -> tuple[Any, tuple[Any, ...], Any]:
    """(maker, its arguments, state for `fill`): all there is to a class."""
    own = vars(cls)
    names = {"__module__": cls.__module__, "__qualname__": "".join(cls.__qualname__)}
    state = {
        "".join(name): value  # a string of its own: what pickle has met before depends on interning
        for name, value in own.items()
        if name not in _MADE and name not in names and not _of_layout(cls, value)
    }
    if issubclass(cls, enum.Enum):
        members: Mapping[str, Any] = cls.__members__
        state = {name: value for name, value in state.items() if name not in _OF_MEMBERS and name not in members}
        values = {name: member._value_ for name, member in members.items()}
        more = {name: _attributes(member) for name, member in members.items() if _attributes(member)}
        boundary = own["_boundary_"].name if "_boundary_" in own and own["_boundary_"] is not None else ""
        return empty_enum, (type(cls), cls.__name__, cls.__bases__, names, values, boundary), (state, [], more)
    if "__slots__" in own:
        names["__slots__"] = state.pop("__slots__")
    registered = [ref() for ref in _get_dump(cls)[0]] if "_abc_impl" in own else []
    registered.sort(key=lambda one: (one.__module__, one.__qualname__) if one is not None else ("", ""))
    return empty, (type(cls), cls.__name__, cls.__bases__, names), (state, [one for one in registered if one], {})


def _of_layout(cls: type, value: Any) -> bool:
    """Whether an attribute is a slot of the class, or its `__dict__`: these come with the layout."""
    kinds = (types.MemberDescriptorType, types.GetSetDescriptorType)
    return isinstance(value, kinds) and value.__objclass__ is cls


def _attributes(member: Any) -> dict[str, Any]:
    return {name: value for name, value in getattr(member, "__dict__", {}).items() if name not in _OF_MEMBER}


class _Caught(Exception):
    pass


class _Catch:
    """An attribute that takes the class as soon as it is one, and ends the making there.

    type.__new__ calls `__set_name__` of all attributes when everything else is done but `__init_subclass__`.
    """

    made: type | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.made = owner
        raise _Caught


def empty(meta: Any, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> type:
    """A class with nothing in it but `names`, which give its layout. Whatever its metaclass raises, if that is C's.

    >>> class Plugin:
    ...     def __init_subclass__(cls, key): cls.key = key
    >>> empty(type, "Email", (Plugin,), {"__module__": "x"}).__mro__[1] is Plugin
    True
    """
    if _is_of_c(meta):
        return types.new_class(name, bases, {"metaclass": meta}, lambda space: space.update(names))
    catch = _Catch()
    try:
        type.__new__(meta, name, bases, {**names, _STOP: catch})
    except (_Caught, RuntimeError):  # Python 3.11 raises RuntimeError from it
        if catch.made is None:
            raise
    cls = catch.made
    assert cls is not None
    catch.made = None
    type.__delattr__(cls, _STOP)
    if any("_abc_impl" in vars(base) for base in cls.__mro__[1:]) or _is_abc(meta):
        _abc_init(cls)
    return cls


def _is_of_c(meta: type) -> bool:
    """Whether there is more in its classes than Python code could have put there: those of ctypes, of some ORMs."""
    built_in = next(each for each in meta.__mro__ if not each.__flags__ & _HEAP)
    return built_in is not type or meta.__basicsize__ != _SIZE


def _is_abc(meta: type) -> bool:
    return any(each.__module__ == "abc" and each.__name__ == "ABCMeta" for each in meta.__mro__)


def empty_enum(
    meta: Any, name: str, bases: tuple[type, ...], names: dict[str, Any], values: dict[str, Any], boundary: str
) -> type:
    """An enum with its members and nothing else. Members of one value are one member, as they were."""
    space = meta.__prepare__(name, bases)
    for each, value in {**names, **values}.items():
        space[each] = value
    more = {"boundary": enum.FlagBoundary[boundary]} if boundary else {}
    made: type = meta.__new__(meta, name, bases, space, **more)
    return made


def fill(cls: Any, state: tuple[dict[str, Any], list[type], dict[str, dict[str, Any]]]) -> None:
    """Put into an empty class what was in it; in an enum, into its members too."""
    names, registered, members = state
    for name, value in names.items():
        type.__setattr__(cls, name, value)
    for one in registered:
        cls.register(one)
    for name, attributes in members.items():
        cls.__members__[name].__dict__.update(attributes)
