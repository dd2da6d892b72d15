"""Objects that are there: what is in them, looked at without running a line of their code.

Rule: attributes are read as they are stored. No property runs, no `__getattr__`, `__dir__` or `__repr__` of an object
or a class; what these would make up is not seen. The one exception is a module's `__dir__` beside its `__getattr__`
(PEP 562): the names that it tells are told, and nothing is asked for. Place: under browse.py. What is not
imported is browse_source.py's.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import stat
import sys
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from types import (
    BuiltinFunctionType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

from beampy.code import browse_signature as shapes
from beampy.code.browse_signature import class_dict, in_class, mro, own_dict
from beampy.code.browse_source import DOC, FILE, NoSource, first_line, outline_of

TOLD: Final = 10_000  # names that a module's __dir__ may tell

_doc_of_property: Any = property.__dict__["__doc__"].__get__
_getter_of: Any = property.__dict__["fget"].__get__
_plain_values: Final = frozenset({"builtins", "types", "typing", "functools"})  # whose own docs say nothing of a value


class Live:
    """An object, and where it was found: `owner` is the class that was looked in, `bound` whether on an instance."""

    def __init__(self, value: Any, name: str = "", owner: type | None = None, bound: bool = False) -> None:
        self.value = value
        self.name = name
        self.owner = owner
        self.bound = bound

    # what it is

    @property
    def kind(self) -> str:
        """One of the words of `Name.kind`."""
        value = self.value
        cls = type(value)
        if issubclass(cls, ModuleType):
            return "module"
        if issubclass(cls, type):
            return "class"
        if issubclass(cls, staticmethod | classmethod):
            return "method"
        if issubclass(cls, property | cached_property) or cls is GetSetDescriptorType:
            return "property"
        if cls in (FunctionType, BuiltinFunctionType, MethodType) or _called_by_c(cls):
            return "function" if self.owner is None else "method"
        return "value"

    def signature(self) -> str | None:
        """As text, without self on an instance."""
        if self.kind in ("module", "property"):
            return None
        cls = type(self.value)
        bound = self.bound and not issubclass(cls, type | staticmethod | classmethod | MethodType)
        return shapes.signature_text(self.value, bound=bound and self.kind == "method")

    def doc(self) -> str:
        """All of it, without the indentation."""
        text = self._doc()
        if not text and self.owner is not None:  # a method has the words of the one that it overrides
            for there in mro(self.owner):
                stored = class_dict(there).get(self.name)
                text = text or (Live(stored)._doc() if stored is not None else "")
        return inspect.cleandoc(text[:DOC]) if text else ""

    def line(self) -> str:
        """The first line of its documentation; "" for values whose class is Python's own."""
        if self.kind == "value" and class_dict(type(self.value)).get("__module__", "builtins") in _plain_values:
            return ""
        return first_line(self.doc())

    def _doc(self) -> str:
        value = self.value
        cls = type(value)
        if issubclass(cls, type):
            return next((text for there in mro(value)[:-1] or (value,) if (text := _doc_in(there))), "")
        if issubclass(cls, property):
            return _text(_doc_of_property(value)) or Live(_getter_of(value))._doc()
        if issubclass(cls, staticmethod | classmethod):
            return Live(_inner(value))._doc()
        if cls in (FunctionType, BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType):
            return _text(value.__doc__)
        if cls is MethodType:
            return Live(value.__func__)._doc()
        names = own_dict(value)
        if "__doc__" in names:
            return _text(names["__doc__"])
        if cls is partial:
            return Live(value.func)._doc()
        if issubclass(cls, ModuleType) or value is None:
            return ""
        stored = in_class(cls, "__doc__")
        if stored is not None and type(stored[0]) is GetSetDescriptorType:  # C's: of methods, of numpy's ufuncs
            return _text(stored[0].__get__(value))
        return next((text for there in mro(cls)[:-1] if (text := _doc_in(there))), "")

    # what is in it

    def step(self, name: str) -> Live | None:
        """The attribute of this name; None where none is stored. LookupError where only running code would tell."""
        value = self.value
        cls = type(value)
        if issubclass(cls, ModuleType):
            names = own_dict(value)
            return Live(names[name]) if name in names else None
        if issubclass(cls, type):
            found = in_class(value, name)
            return None if found is None else Live(found[0], name, value)
        if issubclass(cls, staticmethod | classmethod):
            return Live(_inner(value)).step(name)
        if self.kind == "property":
            raise LookupError(f"{self.name} is a property: what it gives is known only when it runs")
        found = in_class(cls, name)
        if found is not None and type(found[0]) is MemberDescriptorType:
            try:
                return Live(found[0].__get__(value))
            except AttributeError:
                return None
        if found is not None and in_class(type(found[0]), "__set__") is not None:
            return Live(found[0], name, cls, True)
        names = own_dict(value)
        if name in names:
            return Live(names[name])
        return None if found is None else Live(found[0], name, cls, True)

    def listed(self) -> set[str]:
        """The names of what is in it."""
        value = self.value
        cls = type(value)
        names: set[Any] = set()
        if issubclass(cls, ModuleType):
            return {name for name in own_dict(value) if type(name) is str} | told(value)
        for there in mro(value if issubclass(cls, type) else cls):
            names.update(class_dict(there))
        if not issubclass(cls, type):
            names.update(own_dict(value))
        return {name for name in names if type(name) is str}

    # where it is written

    def source(self) -> tuple[str, str, int]:
        """Its text, file, and first line. NoSource."""
        value: Any = self.value
        for _ in range(shapes.HOPS):
            cls = type(value)
            if issubclass(cls, staticmethod | classmethod):
                value = _inner(value)
            elif issubclass(cls, property):
                value = _getter_of(value)
            elif cls is MethodType:
                value = value.__func__
            elif cls is partial:
                value = value.func
            elif issubclass(cls, cached_property):
                value = own_dict(value).get("func")
            elif "__wrapped__" in (names := own_dict(value)) and not issubclass(cls, type):
                value = names["__wrapped__"]
            else:
                break
        cls = type(value)
        if cls is FunctionType:
            return of_function(value)
        if issubclass(cls, ModuleType):
            file = file_of(value)
            return "".join(lines_of(file)), file, 1
        if issubclass(cls, type):
            return of_class(value)
        if self.kind in ("function", "method", "property"):
            raise NoSource("it is written in C, or another compiled language")
        raise NoSource("it is a value: only modules, classes and functions have a source")


def _called_by_c(cls: type) -> bool:
    call = None if cls is GenericAlias else in_class(cls, "__call__")
    return call is not None and type(call[0]) is not FunctionType and not issubclass(type(call[0]), type)


def _inner(value: Any) -> Any:
    """The function of a staticmethod or classmethod."""
    return (shapes._static_function if issubclass(type(value), staticmethod) else shapes._class_function)(value)


def _text(doc: Any) -> str:
    return str.__str__(doc) if issubclass(type(doc), str) else ""


def _doc_in(cls: type) -> str:
    """The words of a class itself."""
    stored = class_dict(cls).get("__doc__")
    return _text(stored)


def told(module: ModuleType) -> set[str]:
    """The names that a module makes when they are asked for, as far as it tells them."""
    names = own_dict(module)
    if "__getattr__" not in names:
        return set()
    found: list[Any] = []
    public: Any = names.get("__all__")
    if type(public) in (list, tuple):
        found += islice(public, TOLD)
    tell = names.get("__dir__")
    if type(tell) is FunctionType:
        with suppress(Exception):  # anybody's code
            found += islice(tell(), TOLD)
    return {name for name in found if type(name) is str and name.isidentifier()}


# sources


def file_of(module: ModuleType) -> str:
    """The file that a module was made from. NoSource."""
    names = own_dict(module)
    file = names.get("__file__")
    if type(file) is not str:
        raise NoSource("this module is built in, or was made by hand: it has no file")
    return file


def lines_of(file: str) -> list[str]:
    """The lines of a file, or of what only linecache has. NoSource."""
    known = linecache.cache.get(file)
    if known is not None and len(known) == 1 and linecache.getlines(file):  # not read yet
        known = linecache.cache.get(file)
    if known is not None and len(known) == 4 and known[1] is None:
        return known[2]  # code that came another way than from a file here
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        raise NoSource(f"its file, {file}, is not there") from None
    if not stat.S_ISREG(found.st_mode) or inspect.getmodulename(file) is None or not file.endswith((".py", ".pyw")):
        raise NoSource(f"its file, {file}, has no Python source")
    if found.st_size > FILE:
        raise NoSource(f"its file, {file}, has {found.st_size} bytes: more than {FILE} are not read")
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    if not lines and found.st_size:
        raise NoSource(f"its file, {file}, cannot be read")
    return lines


def of_function(fn: FunctionType) -> tuple[str, str, int]:
    """The source of a function."""
    code = fn.__code__
    lines = lines_of(code.co_filename)
    first = code.co_firstlineno
    if not 0 < first <= len(lines):
        raise NoSource(f"its file, {code.co_filename}, has no line {first} any more")
    return "".join(inspect.getblock(lines[first - 1 :])), code.co_filename, first


def of_class(cls: type) -> tuple[str, str, int]:
    """The source of a class: the last one of this name in the file of its module, or of its methods."""
    names = class_dict(cls)
    files: dict[str, int | None] = {}
    module = names.get("__module__")
    there = sys.modules.get(module) if type(module) is str else None
    if there is not None and issubclass(type(there), ModuleType):
        file = own_dict(there).get("__file__")
        if type(file) is str:
            files[file] = None
    for value in list(names.values()):
        value = _inner(value) if issubclass(type(value), staticmethod | classmethod) else value
        if type(value) is FunctionType and value.__module__ == module:
            files[value.__code__.co_filename] = value.__code__.co_firstlineno
    qualname = str(shapes._qualname_of(cls))
    why = NoSource("nothing says where this class is written")
    for file, before in files.items():
        try:
            lines = lines_of(file)
        except NoSource as error:
            why = error
            continue
        exact = written(lines, qualname) if "__firstlineno__" not in names else None
        if exact is not None:
            return "".join(lines[exact[0] - 1 : exact[1]]), file, exact[0]
        first = class_line(lines, qualname, names.get("__firstlineno__"), before)
        if first:
            return "".join(inspect.getblock(lines[first - 1 :])), file, first
        why = NoSource(f"its file, {file}, has no class {qualname} any more")
    raise why


def written(lines: list[str], qualname: str) -> tuple[int, int] | None:
    """The first and last line of a class that is in no function."""
    if "<" in qualname:
        return None
    try:
        item = outline_of("".join(lines)).find(qualname)
    except (SyntaxError, ValueError):
        return None
    return None if item is None or item.kind != "class" else (item.first, item.last)


def class_line(lines: list[str], qualname: str, known: Any, before: int | None) -> int:
    """The line where a class begins, its decorators included; 0 where it is not found.

    `known`: what the class says itself (Python 3.13); `before`: the first line of one of its methods.
    """
    head = re.compile(rf"(\s*)class {re.escape(qualname.rpartition('.')[2])}\b")
    begins = type(known) is int and 0 < known <= len(lines) and lines[known - 1]
    if begins and (head.match(begins) or begins.lstrip().startswith("@")):
        return int(known)
    nested = "." in qualname
    found = [
        (at, len(match[1]))
        for at, line in enumerate(lines, 1)
        if (match := head.match(line)) and (nested or not match[1]) and (before is None or at < before)
    ] or [(at, len(match[1])) for at, line in enumerate(lines, 1) if (match := head.match(line))]
    if not found:
        return 0
    first, indent = found[-1]
    while first > 1 and re.match(rf"\s{{{indent}}}@", lines[first - 2]):
        first -= 1
    return first
