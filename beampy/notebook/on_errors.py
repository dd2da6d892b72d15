"""What a cell of `%%on` raised, as the notebook shows it: the traceback of there, from the cell's own line on.

Rule: an exception stays what it is; only how it is shown is set (IPython's `_render_traceback_`). How the cell was
called there, and how its exception came here, helps nobody and is left out. Errors of beampy about the call itself
speak of the cell, not of the function that runs it.

Place: under on_magic.py. It knows no shell.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import traceback
from typing import TYPE_CHECKING, Any, Final

from beampy.errors import EncodeError, PoolTimeout, RemoteTraceback

if TYPE_CHECKING:
    from collections.abc import Callable

FILE: Final = "<cell "  # how the file name of a cell begins: see evaluator.py
HEAD: Final = "Traceback (most recent call last):"
GROUP: Final = f"  + Exception Group {HEAD}"
FUNCTION: Final = "beampy.notebook.evaluator.evaluate"

_OURS: Final = re.compile(r'  File "[^"]*beampy[/\\](?:notebook[/\\]evaluator|code[/\\]mapped)\.py"')  # what cells call
_NAME: Final = re.compile(r"name '(\w+)' is not defined")
_SENT: Final = re.compile(r"(?:message\.(?:.*\.)?|the call of \S+: args\[0\]\.)send\['(\w+)'\](.*)", re.DOTALL)
_VALUE: Final = re.compile(r"the value of .*\.values\['(\w+)'\](.*)", re.DOTALL)


def explained(error: Exception, where: str, here: Callable[[str], bool], *, fresh: bool = False) -> Exception:
    """The exception to raise here for one of a cell that ran at `where`.

    here(name): whether the notebook has a variable of that name, which was not sent along. fresh: no names of earlier
    cells are there.
    """
    if isinstance(error, EncodeError) and (found := _unsendable(error)) is not None:
        return found
    cause = error.__cause__
    if not isinstance(cause, RemoteTraceback):
        return _of_the_call(error)
    if isinstance(error, SyntaxError) and str(error.filename or "").startswith(FILE):
        return _not_python(error)
    text = trimmed(cause.text)
    if isinstance(error, NameError) and (name := _NAME.search(str(error))):
        told = f"name {name[1]!r} is not defined on {where}"
        if here(name[1]):
            told += f"; `-i {name[1]}` sends it from here"
        elif fresh:
            told += ", where each cell begins without the names of others"
        text = text.replace(str(error), told)
        error.args = (told,)
    shows = _stand_in if isinstance(error, BaseExceptionGroup) else _shows
    return shows(error, text.replace(HEAD, f"Traceback of {where} (most recent call last):"))


def trimmed(text: str) -> str:
    """A traceback without the frames before those of the cell, and without our own between them.

    One that has no frame of a cell stays as it is.

    >>> trimmed('Traceback (most recent call last):\n  File "a.py", line 1, in f\n  File "<cell 1", line 2, in g\nE')
    'Traceback (most recent call last):\n  File "<cell 1", line 2, in g\nE'
    """
    first, _, rest = text.rstrip("\n").partition("\n")
    if first == GROUP:  # its own frames, behind bars, and then those of what is in it
        frames = list(itertools.takewhile(lambda line: line.startswith("  | "), rest.split("\n")))
        own = trimmed("\n".join([HEAD, *(line[4:] for line in frames)])).split("\n")[1:]
        return "\n".join([first, *(f"  | {line}" for line in own), *rest.split("\n")[len(frames) :]])
    kept: list[str] = []
    before: list[str] | None = None  # frames of this traceback, while none of the cell has come
    ours = within = False  # in a frame of ours; in a traceback that a frame of the cell has begun
    for line in text.rstrip("\n").split("\n"):
        if not line.startswith("  "):  # between tracebacks
            kept += before or ()
            before = [] if line == HEAD else None
            ours = within = False
            kept.append(line)
            continue
        if line.startswith('  File "'):
            if line.startswith(f'  File "{FILE}'):
                before, within = None, True
            ours = within and _OURS.match(line) is not None
        if not ours:
            (kept if before is None else before).append(line)
    return "\n".join(kept + (before or []))


def _unsendable(error: EncodeError) -> EncodeError | None:
    """The same, said of the variable."""
    for option, pattern in (("-i", _SENT), ("-o", _VALUE)):
        if found := pattern.fullmatch(error.what):
            return EncodeError(f"%%on: {option} {found[1]}{found[2]}", error.cause)
    return None


def _of_the_call(error: Exception) -> Exception:
    """An error whose `target` is the function that runs cells."""
    target: Any = getattr(error, "target", None)
    with contextlib.suppress(AttributeError, TypeError):
        if getattr(target, "function", None) == FUNCTION:
            error.target = target._replace(function="this cell")  # type: ignore[attr-defined]
        elif target == FUNCTION:
            error.target = "this cell"  # type: ignore[attr-defined]
            if isinstance(error, PoolTimeout):
                error.remedy = "%%on … -t SECONDS"
    return error


def _shows(error: Exception, text: str) -> Exception:
    with contextlib.suppress(AttributeError, TypeError):  # a class with slots: it is shown as any exception
        error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]
    return error


def _stand_in(error: Exception, text: str) -> Exception:
    """One of another class of the same name: IPython shows some its own way, with all the frames of here."""
    kind = type(type(error).__name__, (Exception,), {"__doc__": "An exception of a cell that ran elsewhere."})
    return _shows(kind(error.msg if isinstance(error, SyntaxError) else str(error)), text)


def _not_python(error: SyntaxError) -> Exception:
    error.__notes__ = []
    return _stand_in(error, "".join(traceback.format_exception_only(type(error), error)).rstrip("\n"))
