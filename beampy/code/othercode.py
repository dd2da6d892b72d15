"""Code of another process, made runnable here: its lines for tracebacks, its source compiled where the Python differs.

Bytecode is for one minor version of Python. Where the origin has another one its source is compiled here, as far as it
was sent along; where it was not, VersionSkew says so. Not known here: where it runs.
"""

from __future__ import annotations

import ast
import linecache
import os
import platform
from collections import OrderedDict
from types import CodeType
from typing import TYPE_CHECKING

from beampy.code.sourcelines import starts_at
from beampy.errors import VersionSkew

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1024  # files whose lines are remembered: a long notebook has some hundred cells

_remembered: OrderedDict[str, list[str]] = OrderedDict()


def compiled_here(
    python: str, path: str, text: str, first: int, qualname: str, line: int, flags: int, start: tuple[int, int] | None
) -> CodeType:
    """The code of this name and line in a statement that begins at line `first`. VersionSkew where it is not there.

    Of several, such as two lambdas in a line, it is that which starts at `start` (see sourcelines).
    """
    if text:
        try:
            padded = "\n" * (first - 1) + text
            whole = compile(padded, path, "exec", flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError:
            pass
        else:
            found = [one for one in _nested(whole) if (one.co_qualname, one.co_firstlineno) == (qualname, line)]
            if len(found) > 1:
                found = [one for one in found if start is not None and starts_at(one) == start]
            if len(found) == 1:
                return found[0]
    raise VersionSkew(
        f"{qualname} ({path}:{line})",
        "this node",
        f"Python {platform.python_version()}",
        "its origin",
        f"Python {python}",
        "Its source cannot be read there: put it into a module, or run the same Python on both",
    )


def _nested(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _nested(const)


def remember_lines(path: str, text: str, first: int) -> None:
    """Let tracebacks and inspect.getsource find these lines, where there is no such file here.

    Where two versions differ, those that came last are shown.
    """
    if not text or os.path.exists(path):
        return
    lines = _remembered.get(path)
    if lines is None:
        if path in linecache.cache:
            return  # of this process
        lines = _remembered[path] = []
        if len(_remembered) > MOST:
            linecache.cache.pop(_remembered.popitem(last=False)[0], None)
    new = text.splitlines(keepends=True)
    lines.extend(["\n"] * (first - 1 + len(new) - len(lines)))
    lines[first - 1 : first - 1 + len(new)] = new
    linecache.cache[path] = (sum(map(len, lines)), None, lines, path)
