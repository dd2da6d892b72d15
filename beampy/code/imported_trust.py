"""Is the file still what was imported? Decided by what its code looks like, where times do not settle it.

The rule: a wrong yes sends code that does not run here, so a doubt is a no; but what only moves lines is the same.
Place: under origin.py. It reads a .pyc at most, and it changes nothing. It does not see an edit of
nothing but values, of a module without a .pyc, from before anybody looked.
"""

from __future__ import annotations

import dis
from importlib.machinery import SOURCE_SUFFIXES, SourceFileLoader
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

from beampy.code import imported, imported_autoreload, manifest
from beampy.code.classify import class_variables, is_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.machinery import ModuleSpec

    from beampy.code.imported import Stamp, Text

# The kernel stamps files with the time of its last tick: 10 ms at the slowest rate it is built for (100 Hz), and twice.
TICK: Final = 0.02
_DEEP: Final = 8  # classes in classes, decorators on decorators: nobody nests more, and a circle of them ends
_PYTHONS: Final = (GetSetDescriptorType, MemberDescriptorType)  # which run no code that somebody has written
_PATCHED: Final = "__autoreload_class__."  # in qualnames of methods that IPython's deduperreload put in place


def is_imported(
    spec: ModuleSpec, variables: Mapping[str, Any], text: Text, began: float, start: Stamp | None, reloaded: bool
) -> bool:
    """Whether `text` is what the module with these variables was made of.

    `began` is the time its import began (or an earlier one), `start` the stamp that its file had at some time after
    that, if known. `reloaded`: names of an older edit may be left in it.
    """
    since_start = start is not None and not start.same(text.stamp)
    if not since_start and text.stamp is not None and text.stamp.changed + TICK < began and _is_plain(spec):
        return True
    if text.code is None:
        return False
    if type(spec.loader) is not SourceFileLoader:  # it may load other code than the file's, as pytest does
        return not since_start
    if imported_autoreload.agrees(spec.name, text.source):
        return True
    if not text.from_pyc:
        before = imported.cached_code(spec)
        if before is not None and not same(before, text.code) and matches(variables, spec.name, before, reloaded):
            return False  # it may as well have been imported from what the .pyc was made of
    return matches(variables, spec.name, text.code, reloaded)


def _is_plain(spec: ModuleSpec) -> bool:
    """Whether it is a file of Python; some loaders make modules of other files, whose text does not compile."""
    return (spec.origin or "").endswith(tuple(SOURCE_SUFFIXES))


def same(one: CodeType, other: CodeType) -> bool:
    """Whether two modules' codes do the same; lines and files do not count."""
    if one == other:  # lines and all: by far the most, and fast
        return True
    try:
        return manifest.code_digest(one) == manifest.code_digest(other)
    except TypeError:
        return False


def matches(variables: Mapping[str, Any], name: str, code: CodeType, reloaded: bool = False) -> bool:
    """Whether the functions that the module has are those that its `code` defines."""
    defined = _by_qualname(code)
    for function in _functions(variables, name):
        live = function.__code__
        qualname = live.co_qualname
        if qualname.startswith(_PATCHED):
            live, qualname = _renamed(live, qualname, function.__qualname__), function.__qualname__
        if qualname in defined:
            if live.co_filename == code.co_filename and not any(same(live, each) for each in defined[qualname]):
                return False
        elif live.co_filename == code.co_filename and not reloaded:
            return False
    return True


def applied(variables: Mapping[str, Any], name: str, before: CodeType, text: Text) -> bool:
    """Whether the module has been patched from `before` to `text`: as IPython's autoreload does, not to reload it."""
    if imported_autoreload.agrees(name, text.source):
        return True
    after = text.code
    if after is None or not matches(variables, name, after):
        return False
    old, new = _constants(before), _constants(after)
    differing = {key for key in new if key not in old or _typed(old[key]) != _typed(new[key])}
    if any(key not in variables or _typed(variables[key]) != _typed(new[key]) for key in differing):
        return False
    had, has = _top(before), _top(after)
    if not has <= variables.keys() or not (had - has).isdisjoint(variables):
        return False
    return bool(differing) or had != has or not matches(variables, name, before)


def _typed(value: Any) -> tuple[type, Any]:
    return type(value), value


def _functions(variables: Mapping[str, Any], name: str, depth: int = 0) -> Iterator[FunctionType]:
    """The functions of a module, and of its classes, that were defined in it."""
    for value in list(variables.values()):
        if type(value) in (staticmethod, classmethod):
            value = value.__func__
        if is_class(value):
            names = class_variables(value)
            if names.get("__module__") == name and depth < _DEEP:
                yield from _functions(names, name, depth + 1)
        elif type(value) is property:
            for each in (value.fget, value.fset, value.fdel):
                yield from _wrapped(each, name)
        else:
            yield from _wrapped(value, name)


def _wrapped(value: object, name: str) -> Iterator[FunctionType]:
    """A function, and those that it decorates."""
    for _ in range(_DEEP):
        if type(value) is FunctionType and value.__module__ == name:
            yield value
        value = _attributes(value).get("__wrapped__")
        if value is None:
            return


def _attributes(value: object) -> dict[str, Any]:
    """What an object has of its own, if Python keeps it: a property `__dict__` would run code of the module's."""
    for kind in type.__dict__["__mro__"].__get__(type(value)):
        found = class_variables(kind).get("__dict__")
        if found is not None:
            return (found.__get__(value) or {}) if type(found) in _PYTHONS else {}
    return {}


def _by_qualname(code: CodeType) -> dict[str, list[CodeType]]:
    """Every code nested in this one: a name may be defined more than once."""
    found: dict[str, list[CodeType]] = {}
    todo = [code]
    while todo:
        for const in todo.pop().co_consts:
            if isinstance(const, CodeType):
                found.setdefault(const.co_qualname, []).append(const)
                todo.append(const)
    return found


def _top(code: CodeType) -> set[str]:
    """The names that a module defines functions and classes under."""
    return {each for each in _by_qualname(code) if "." not in each and each.isidentifier()}


def _renamed(code: CodeType, old: str, new: str) -> CodeType:
    """The same code, and all that is nested in it, under the qualname it has in the file."""
    consts = tuple(_renamed(each, old, new) if isinstance(each, CodeType) else each for each in code.co_consts)
    qualname = new + code.co_qualname[len(old) :] if code.co_qualname.startswith(old) else code.co_qualname
    return code.replace(co_qualname=qualname, co_consts=consts)


def _constants(code: CodeType) -> dict[str, Any]:
    """The names that a module binds to a constant, each with the last one."""
    found: dict[str, Any] = {}
    loaded: tuple[Any] | None = None
    for each in dis.get_instructions(code):
        if each.opname == "STORE_NAME" and loaded is not None:
            found[each.argval] = loaded[0]
        loaded = (each.argval,) if each.opname in ("LOAD_CONST", "LOAD_SMALL_INT") else None
    return found
