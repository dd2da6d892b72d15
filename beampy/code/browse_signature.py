"""Signatures as text, of any object, without running a line of anybody's code.

Rule: what an object looks like is told by whoever wrote it (`__repr__`, `__getattr__`, `__signature__`), and that may
hang, raise or change something. So defaults are shown where they are plain constants or have a name, else as "…";
annotations are shown by their names; attributes are read from the dicts of objects and classes. `inspect.signature`
does none of this. Place: under browse_objects.py. It does not know modules or paths.
"""

from __future__ import annotations

import re
from functools import partial
from inspect import Parameter, Signature
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    EllipsisType,
    FunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    NoneType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, Final, NamedTuple

LONGEST: Final = 1000  # characters of a signature: some ten lines of a screen
VALUE: Final = 40  # characters of a default
HOPS: Final = 20  # decorators and partials around a function
DEEP: Final = 4  # tuples in tuples, and types in types
UNKNOWN: Final = "…"

ONLY, BOTH, REST, KEYWORD, KEYWORDS = range(5)  # the numbers of inspect's kinds of parameters
TEXTUAL = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, MethodWrapperType)
BOUND = (BuiltinFunctionType, MethodWrapperType)  # of those, the ones that have their self, or module, already
_own_text = re.compile(r"\(\$(\w+)(?:, )?")

_mro_of: Any = type.__dict__["__mro__"].__get__
_dict_of: Any = type.__dict__["__dict__"].__get__
_class_text: Any = type.__dict__["__text_signature__"].__get__
_static_function: Any = staticmethod.__dict__["__func__"].__get__
_class_function: Any = classmethod.__dict__["__func__"].__get__


class One(NamedTuple):
    """A parameter. The texts of its default and annotation are "" where it has none."""

    name: str
    kind: int
    default: str = ""
    annotation: str = ""


class Shape(NamedTuple):
    """What a function takes and gives."""

    parameters: list[One]
    returns: str = ""

    def bound(self) -> Shape:
        """Without its first parameter."""
        first = self.parameters[:1]
        return self._replace(parameters=self.parameters[1:]) if first and first[0].kind in (ONLY, BOTH) else self

    def open(self) -> bool:
        """Whether it takes anything: then it says nothing."""
        return [one.kind for one in self.parameters] == [REST, KEYWORDS]


# what Python itself keeps of objects and classes


def mro(cls: type) -> tuple[type, ...]:
    """The classes in which the attributes of `cls` are looked up."""
    found: tuple[type, ...] = _mro_of(cls)
    return found


def class_dict(cls: type) -> Any:
    """The attributes of `cls` itself: a mappingproxy."""
    return _dict_of(cls)


def in_class(cls: type, name: str) -> tuple[Any, type] | None:
    """The attribute of a class as it is stored, and where."""
    for there in mro(cls):
        names = _dict_of(there)
        if name in names:
            return names[name], there
    return None


def own_dict(obj: Any) -> dict[Any, Any]:
    """The attributes of an object itself, as a copy; {} where it has no dict, or where that is anybody's code."""
    found = in_class(type(obj), "__dict__")
    if found is None or type(found[0]) not in (GetSetDescriptorType, MemberDescriptorType):
        return {}
    names = found[0].__get__(obj)
    return dict.copy(names) if issubclass(type(names), dict) else {}


# signatures


def signature_text(obj: Any, *, bound: bool = False) -> str | None:
    """The signature of what can be called; None where it cannot, or says nothing. `bound`: without its self."""
    found = _shape(obj, HOPS)
    if found is None:
        return None
    text = found if isinstance(found, str) else shown(found.bound() if bound else found)
    if bound and isinstance(found, str):
        text = re.sub(r"^\(self(?:, /(?=[,)]))?(?:, )?", "(", text)
    return cut(text, LONGEST)


def shown(shape: Shape) -> str:
    """As one writes it."""
    parts: list[str] = []
    before = None
    for one in shape.parameters:
        if before == ONLY and one.kind != ONLY:
            parts.append("/")
        if one.kind == KEYWORD and before not in (REST, KEYWORD):
            parts.append("*")
        text = {REST: "*", KEYWORDS: "**"}.get(one.kind, "") + one.name
        text += f": {one.annotation}" if one.annotation else ""
        if one.default:
            text += f" = {one.default}" if one.annotation else f"={one.default}"
        parts.append(text)
        before = one.kind
    if before == ONLY:
        parts.append("/")
    return f"({', '.join(parts)})" + (f" -> {shape.returns}" if shape.returns else "")


def cut(text: str, size: int) -> str:
    """At most `size` characters of it."""
    return text if len(text) <= size else text[: size - 1] + UNKNOWN


def _shape(obj: Any, hops: int) -> Shape | str | None:
    kind = type(obj)
    if not hops:
        return None
    if issubclass(kind, type):
        return _of_class(obj, hops)
    if kind in TEXTUAL or kind is ClassMethodDescriptorType:
        return _of_text(obj.__text_signature__, kind in BOUND or kind is ClassMethodDescriptorType)
    if issubclass(kind, staticmethod):
        return _shape(_static_function(obj), hops - 1)
    if issubclass(kind, classmethod):
        return _without_first(_shape(_class_function(obj), hops - 1))
    if kind is MethodType:
        return _without_first(_shape(obj.__func__, hops - 1))
    if kind is partial:
        return _of_partial(obj, hops)
    names = own_dict(obj)
    if type(names.get("__signature__")) is Signature:
        return _of_signature(names["__signature__"])
    if "__wrapped__" in names:
        wrapped = _shape(names["__wrapped__"], hops - 1)
        if wrapped is not None:
            return wrapped
    if kind is FunctionType:
        return _of_function(obj)
    if kind in (GenericAlias, ModuleType):
        return None
    call = in_class(kind, "__call__")
    return None if call is None or type(call[0]) is not FunctionType else _without_first(_shape(call[0], hops - 1))


def _without_first(shape: Shape | str | None) -> Shape | str | None:
    return shape.bound() if isinstance(shape, Shape) else shape


def _of_function(fn: Any) -> Shape:
    code = fn.__code__
    names = code.co_varnames
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    defaults = fn.__defaults__ or ()
    by_name = fn.__kwdefaults__ or {}
    hints = fn.__annotations__
    hints = hints if type(hints) is dict else {}
    first = positional - len(defaults)

    def one(name: str, kind: int, default: str = "") -> One:
        return One(name, kind, default, annotation(hints[name]) if name in hints else "")

    found: list[One] = []
    for at in range(positional):
        kind = ONLY if at < code.co_posonlyargcount else BOTH
        found.append(one(names[at], kind, constant(defaults[at - first]) if at >= first else ""))
    at = positional + keyword
    if code.co_flags & 0x04:  # inspect.CO_VARARGS
        found.append(one(names[at], REST))
        at += 1
    found += [
        one(name, KEYWORD, constant(by_name[name]) if name in by_name else "")
        for name in names[positional : positional + keyword]
    ]
    if code.co_flags & 0x08:  # inspect.CO_VARKEYWORDS
        found.append(one(names[at], KEYWORDS))
    return Shape(found, annotation(hints["return"]) if "return" in hints else "")


def _of_signature(signature: Signature) -> Shape:
    empty = Parameter.empty
    found = [
        One(
            one.name,
            int(one.kind),
            "" if one.default is empty else constant(one.default),
            "" if one.annotation is empty else annotation(one.annotation),
        )
        for one in signature.parameters.values()
        if type(one) is Parameter
    ]
    returns = signature.return_annotation
    return Shape(found, "" if returns is Signature.empty else annotation(returns))


def _of_partial(obj: Any, hops: int) -> Shape | str | None:
    shape = _shape(obj.func, hops - 1)
    if not isinstance(shape, Shape):
        return None
    given, by_name = len(obj.args), obj.keywords
    found: list[One] = []
    by_keyword = False  # what follows a parameter given by name can be given by name only
    for one in shape.parameters:
        if given and one.kind in (ONLY, BOTH):
            given -= 1
            continue
        if one.kind in (BOTH, KEYWORD) and one.name in by_name:
            by_keyword = True
            one = one._replace(default=constant(by_name[one.name]), kind=KEYWORD)
        elif by_keyword and one.kind == BOTH:
            one = one._replace(kind=KEYWORD)
        elif by_keyword and one.kind == REST:
            continue
        found.append(one)
    return shape._replace(parameters=found)


def _of_class(cls: type, hops: int) -> Shape | str | None:
    own = in_class(cls, "__signature__")
    if own is not None and type(own[0]) is Signature:
        return _of_signature(own[0])
    call = in_class(type(cls), "__call__")
    if call is not None and type(call[0]) is FunctionType:
        made = _shape(call[0], hops - 1)
        if isinstance(made, Shape) and not made.bound().open():
            return made.bound()
    last: Shape | None = None
    for there in mro(cls)[:-1]:
        names = _dict_of(there)
        for maker in ("__new__", "__init__"):
            fn = names.get(maker)
            fn = _static_function(fn) if type(fn) is staticmethod else fn
            if type(fn) is FunctionType:
                shape = _shape(fn, hops - 1)
                if isinstance(shape, Shape):
                    last = shape.bound()._replace(returns="")
                    if not last.open():
                        return last
        if last is not None:
            return last
        text = _of_text(_class_text(there), True)
        if text is not None:
            return text
    plain = cls is object or not ({"__init__", "__new__"} & {*_made_by_c(cls)})
    return Shape([]) if plain else None


def _made_by_c(cls: type) -> list[str]:
    return [maker for there in mro(cls)[:-1] for maker in ("__new__", "__init__") if maker in _dict_of(there)]


def _of_text(text: Any, bound: bool) -> str | None:
    """A signature of C code: "($self, key, /)"."""
    if type(text) is not str:
        return None
    own = _own_text.match(text)
    if own is None:
        return text
    rest = text[own.end() :]
    if bound or own[1] in ("module", "type"):
        return "(" + re.sub(r"^/(, )?", "", rest)
    return "(self" + ("" if rest == ")" else ", ") + rest


# values and types


def constant(value: Any, deep: int = DEEP) -> str:
    """A default as one would write it, where that runs nobody's code."""
    kind = type(value)
    if kind in (NoneType, bool, float, complex, EllipsisType) or (kind is int and value.bit_length() <= 128):
        return "..." if value is ... else repr(value)
    if kind in (str, bytes):
        return repr(value) if len(value) <= VALUE else repr(value[:VALUE]) + UNKNOWN
    if kind is tuple and deep and len(value) <= DEEP:
        inner = ", ".join(constant(one, deep - 1) for one in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if kind in (list, dict, set, frozenset) and not value:
        return {list: "[]", dict: "{}", set: "set()", frozenset: "frozenset()"}[kind]
    if issubclass(kind, type):
        return _class_name(value)
    if kind in (FunctionType, BuiltinFunctionType):
        return str(value.__name__)
    return UNKNOWN


def annotation(hint: Any, deep: int = DEEP) -> str:
    """A type as one would write it, where that runs nobody's code."""
    kind = type(hint)
    if kind is str:
        return cut(hint, LONGEST)
    if hint is None or hint is NoneType:
        return "None"
    if hint is ...:
        return "..."
    if issubclass(kind, type):
        return _class_name(hint)
    if not deep:
        return UNKNOWN
    if kind is UnionType:
        return " | ".join(annotation(one, deep - 1) for one in hint.__args__)
    if kind is GenericAlias:
        return _generic(hint.__origin__, hint.__args__, deep)
    if _dict_of(kind).get("__module__") != "typing":
        return UNKNOWN
    names = own_dict(hint)
    if "__metadata__" in names:  # Annotated: its notes are values
        return annotation(names.get("__origin__"), deep - 1)
    if "__origin__" in names and type(names.get("__args__")) is tuple:
        return _generic(names["__origin__"], names["__args__"], deep)
    for key in ("_name", "__forward_arg__", "__name__"):  # Any, ForwardRef, TypeVar
        found = names.get(key)
        stored = in_class(kind, key) if found is None else None
        if stored is not None and type(stored[0]) in (MemberDescriptorType, GetSetDescriptorType):
            try:
                found = stored[0].__get__(hint)
            except AttributeError:
                continue
        if type(found) is str:
            return found
    return UNKNOWN


def _generic(origin: Any, args: tuple[Any, ...], deep: int) -> str:
    name = annotation(origin, deep - 1)
    if name == "Literal":
        return f"Literal[{', '.join(constant(one) for one in args)}]"
    inner = [annotation(one, deep - 1) for one in args]
    if name == "Union":
        return " | ".join(inner)
    if name.endswith("Callable") and len(inner) > 1:
        takes = "..." if inner[:-1] == ["..."] else f"[{', '.join(inner[:-1])}]"
        return f"{name}[{takes}, {inner[-1]}]"
    return f"{name}[{', '.join(inner)}]" if inner else name


_module_of: Any = type.__dict__["__module__"].__get__
_qualname_of: Any = type.__dict__["__qualname__"].__get__


def _class_name(cls: type) -> str:
    names = _dict_of(cls)
    module = names.get("__module__") if "__module__" in names else _module_of(cls)
    name = str(_qualname_of(cls))
    return f"{module}.{name}" if type(module) is str and module not in ("builtins", "typing") else name
