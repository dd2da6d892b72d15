"""Delegation: the classes of remote frames get every public name that polars' own class has.

Rule: a name that a class has itself is left alone; all others are passed on, with polars' signature, and its
documentation below a line that says where it runs; so completers, which run nothing, find all of them. What is refused
is not there: asking for it says why, and what to do instead.

Place: between surface.py, which says what a name gives, and the classes, which know how to ask.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NoReturn

from beampy.errors import FrameRefused
from beampy.frames.surface import Entry, Gives, class_of, refusal, removal, surface
from beampy.frames.tree import Step

if TYPE_CHECKING:
    from collections.abc import Callable

# What a name of theirs is called in texts and annotations here.
SHOWN = {
    Gives.FRAME: "RemoteDataFrame",
    Gives.LAZY: "RemoteLazyFrame",
    Gives.SERIES: "RemoteSeries",
    Gives.GROUPS: "RemoteGroupBy",
    Gives.WINDOWS: "RemoteWindowGroupBy",
    Gives.LAZY_GROUPS: "RemoteLazyGroupBy",
}
NAMES = {
    "DataFrame": "RemoteDataFrame",
    "LazyFrame": "RemoteLazyFrame",
    "Series": "RemoteSeries",
}  # in the annotations of what gives values: a list of frames

# The line before polars' documentation.
WHERE = {
    Gives.FRAME: "Runs on the node that has the data: a RemoteDataFrame at once, which stays there.",
    Gives.SERIES: "Runs on the node that has the data: a RemoteSeries at once, which stays there.",
    Gives.LAZY: "Is written down: nothing is sent until the plan is computed or collected.",
    Gives.GROUPS: "Runs on the node that has the data, with what is done with the groups, in one message.",
    Gives.WINDOWS: "Runs on the node that has the data, with what is done with the groups, in one message.",
    Gives.LAZY_GROUPS: "Is written down: nothing is sent until the plan is computed or collected.",
    Gives.VALUE: "Runs on the node that has the data; the value comes here: `await` the Handle, or `.result()`.",
}


def delegate(cls: Any, kind: str) -> None:
    """Give a class the public names of polars' class of that kind."""
    theirs = class_of(kind)
    names = surface(kind)
    for name, entry in names.items():
        if name not in vars(cls) and entry.gives is not Gives.REFUSED:
            setattr(cls, name, _passed_on(cls, theirs, name, entry))
    cls.__getattr__ = _missing(cls.__name__, kind)


def _missing(shown: str, kind: str) -> Callable[[Any, str], Any]:
    def missing(self: Any, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(f"{shown!r} object has no attribute {name!r}", name=name, obj=self)
        if why := refusal(kind, name):
            raise FrameRefused(f"{shown}.{name}", why)
        said = removal(kind, name) or f"{shown!r} object has no attribute {name!r}"
        raise AttributeError(said, name=name, obj=self)

    missing.__name__ = "__getattr__"
    return missing


def _passed_on(cls: type, theirs: type, name: str, entry: Entry) -> Any:
    if entry.gives in (Gives.OURS, Gives.NAMESPACE):
        raise TypeError(f"{cls.__name__} has to have {name!r} itself")
    original = inspect.getattr_static(theirs, name)
    if entry.attribute:
        return property(_reading(name, entry.gives), doc=documented(original, entry.gives))
    return _calling(cls, getattr(theirs, name), name, entry.gives)


def _reading(name: str, gives: Gives) -> Callable[[Any], Any]:
    def reading(self: Any) -> Any:
        return self._ask(gives, Step(name, None, {}))

    return reading


def _calling(cls: type, original: Any, name: str, gives: Gives) -> Callable[..., Any]:
    def calling(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._ask(gives, Step(name, args, kwargs))

    calling.__name__ = name
    calling.__qualname__ = f"{cls.__qualname__}.{name}"
    calling.__module__ = cls.__module__
    calling.__doc__ = documented(original, gives)
    try:
        calling.__signature__ = signature_of(original, gives)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return calling
    return calling


def signature_of(original: Any, gives: Gives) -> inspect.Signature:
    """Polars' signature, with what it gives here. TypeError, ValueError: there is none."""
    signature = inspect.signature(original)
    given = SHOWN.get(gives) or f"Handle[{_remote(signature.return_annotation)}]"
    return signature.replace(return_annotation=given)


def documented(original: Any, gives: Gives) -> str:
    """Polars' documentation, below a line that says where it runs."""
    theirs = (getattr(original, "__doc__", None) or "").rstrip()
    space = "\n" if theirs.startswith("\n") else "\n\n"  # and is left as it is indented
    return f"{WHERE[gives]}{space}{theirs}" if theirs else WHERE[gives]


def _remote(annotation: Any) -> str:
    """An annotation of polars with the names that its frames have here.

    >>> _remote("list[DataFrame]")
    'list[RemoteDataFrame]'
    """
    if annotation is inspect.Signature.empty:
        return "Any"
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"(?<![\w.])(?:pl\.)?(DataFrame|LazyFrame|Series)\b", lambda found: NAMES[found[1]], text)
