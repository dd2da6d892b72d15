"""`%%on NODE|pool`: what a cell that begins with it says, and what its first line is completed with.

    %%on b@localhost -i rows,limit -o best -t 60
    best = min(rows[:limit])

Rule: the first line that is neither blank nor a comment decides, and it begins in the first column. It names one
target (the name of a node, or an expression of the notebook), and options; what follows is the body, which is text here
and is compiled where it runs. What is wrong with the line is one sentence in `error`, and never raised: editors ask
about lines that are still being written.

Place: pure. It knows neither IPython nor nodes; on_magic.py runs what is parsed here, and completion looks at it too.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAGIC: Final = "%%on"
USAGE: Final = "usage: %%on NODE|pool [-i NAMES] [-o NAMES] [-t SECONDS]"
OPTIONS: Final = {"-i": "in", "--in": "in", "-o": "out", "--out": "out", "-t": "timeout", "--timeout": "timeout"}
# Magics whose body is Python, so that somebody may put one above `%%on`. The body of others (%%writefile) is any text.
ABOVE: Final = ("capture", "prun", "time", "timeit")

_BLANK: Final = re.compile(r"(?:[ \t\f]*(?:#[^\n]*)?\n)*")
_LINE: Final = re.compile(r"%%on(?=[ \t\n]|$)([^\n]*)(?:\n|$)")
_ABOVE: Final = re.compile(rf"[ \t]*%%({'|'.join(ABOVE)})\b[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*%%on(?=[ \t\n]|$)")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class OnCell:
    """A cell that runs elsewhere.

    target: as it is written; "" where there is none. send, receive: the names of `-i` and `-o`. timeout: seconds, or
    None. body: the code, which begins at character `body_offset` of the cell, after `body_line` lines, or will begin
    there. error: what is wrong with the first line, in one sentence, or None.
    """

    target: str
    send: tuple[str, ...]
    receive: tuple[str, ...]
    timeout: float | None
    body: str
    body_offset: int
    body_line: int
    error: str | None


class Word(NamedTuple):
    """A word of the first line. `start`: its first character, counted in the cell."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Behind its last character."""
        return self.start + len(self.text)


def parse(cell: str) -> OnCell | None:
    """What a cell says that begins with `%%on`; None for any other cell.

    >>> parse("%%on b -i rows\\nlen(rows)").target, parse("1 + 1")
    ('b', None)
    """
    found = _first_line(cell)
    if found is None:
        return None
    said, error = _read(_words(found.group(1), found.start(1)))
    offset = found.end() + (not found.group().endswith("\n"))
    return OnCell(
        target=said.target,
        send=tuple(dict.fromkeys(said.send)),
        receive=tuple(dict.fromkeys(said.receive)),
        timeout=said.timeout,
        body=cell[offset:],
        body_offset=offset,
        body_line=cell.count("\n", 0, found.start()) + 1,
        error=error,
    )


def stacked(cell: str) -> str | None:
    """What is wrong with a cell that has `%%on` below another cell magic; None where it has not.

    >>> stacked("%%time\\n%%on b\\n1")
    '%%on has to come first: %%time above it would run here and not there'
    """
    found = _ABOVE.match(cell, _BLANK.match(cell).end())  # type: ignore[union-attr]
    return f"%%on has to come first: %%{found[1]} above it would run here and not there" if found else None


def rewritten(lines: Sequence[str], form: str) -> list[str] | None:
    """The lines of a cell with `%%on` as one statement, in which `form` has `{}` for the cell's text; None for others.

    >>> rewritten(["%%on b\\n", "1"], "run({})")
    ["run('%%on b\\\\n1')\\n"]
    """
    cell = "".join(lines)
    if MAGIC not in cell or (_first_line(cell) is None and stacked(cell) is None):
        return None
    return [form.replace("{}", repr(cell)) + "\n"]


def _first_line(cell: str) -> re.Match[str] | None:
    return _LINE.match(cell, _BLANK.match(cell).end())  # type: ignore[union-attr]


# the first line


@dataclass(slots=True)
class _Said:
    target: str
    send: list[str]
    receive: list[str]
    timeout: float | None


def _words(line: str, at: int) -> list[Word]:
    """The words of a line, up to a comment; blanks in quotes and in brackets are part of a word."""
    words: list[Word] = []
    start, depth, quote = -1, 0, ""
    for index, char in enumerate(line):
        if quote:
            if char == quote and line[index - 1] != "\\":
                quote = ""
            continue
        if char in " \t\r" and not depth:
            if start >= 0:
                words.append(Word(line[start:index], at + start))
            start = -1
            continue
        if char == "#" and start < 0:
            return words
        start = index if start < 0 else start
        if char in "'\"":
            quote = char
        depth = max(0, depth + (char in _OPEN) - (char in _CLOSE))
    if start >= 0:
        words.append(Word(line[start:], at + start))
    return words


def _read(words: list[Word]) -> tuple[_Said, str | None]:
    """What the words say, and what is wrong with them."""
    said = _Said("", [], [], None)
    if not words:
        return said, USAGE
    error: str | None = None
    rest = iter(words)
    for word in rest:
        name, equals, value = word.text.partition("=")
        if not word.text.startswith("-"):
            if said.target:
                error = error or f"%%on takes one target, not {said.target!r} and {word.text!r}; {USAGE}"
            said.target = said.target or word.text
            continue
        if name not in OPTIONS:
            error = error or f"%%on has no option {name!r}; {USAGE}"
            continue
        if not equals:
            following = next(rest, None)
            value = "" if following is None else following.text
        error = error or _option(said, name, value)
    if not said.target:
        error = error or f"%%on: say where the cell is to run; {USAGE}"
    return said, error


def _option(said: _Said, name: str, value: str) -> str | None:
    """Note one option. What is wrong with it."""
    what = OPTIONS[name]
    if what == "timeout":
        try:
            seconds = float(value)
        except ValueError:
            return f"%%on: {name} takes a number of seconds, not {value!r}"
        if not 0 < seconds < float("inf"):
            return f"%%on: {name} takes a number of seconds above 0, not {value!r}"
        said.timeout = seconds
        return None
    names = value.split(",")
    for each in names:
        if not each.isidentifier() or keyword.iskeyword(each):
            return f"%%on: {name} takes names of variables, as in `{name} a,b`, not {value!r}"
    (said.send if what == "in" else said.receive).extend(names)
    return None


# completion


class Completed(NamedTuple):
    """What the text before the cursor may become: `fragment`, which is there, is replaced by one of `matches`."""

    fragment: str
    matches: list[str]


def argument_completions(
    cell: str, position: int, *, nodes: Iterable[str] = (), targets: Iterable[str] = (), names: Iterable[str] = ()
) -> Completed | None:
    """What completes the first line of a `%%on` cell at `position`; None where that is not in its arguments.

    nodes: names of nodes; targets: variables that can be a target; names: all variables of the notebook.

    >>> argument_completions("%%on b@l", 8, nodes=["b@localhost"])
    Completed(fragment='b@l', matches=['b@localhost'])
    """
    found = _first_line(cell)
    if found is None or not found.start(1) < position <= found.end(1):
        return None
    words = _words(cell[found.start(1) : position], found.start(1))
    here = words.pop().text if words and words[-1].end == position else ""
    before = words[-1].text if words else ""
    option, equals, value = here.partition("=")
    if here.startswith("-") and not equals and before not in OPTIONS:
        return _starting(here, [option for option in OPTIONS if len(option) > 2 or here == "-"])
    if equals and option in OPTIONS:
        before, here = option, value
    if before in OPTIONS:
        what = OPTIONS[before]
        if what == "timeout":
            return Completed(here, [])
        *taken, fragment = here.split(",")
        known = names if what == "in" else assigned(cell[found.end() :])
        return _starting(fragment, [name for name in known if name not in taken])
    if _has_target(words):
        return _starting(here, [option for option in OPTIONS if len(option) > 2])
    return _starting(here, [*nodes, *targets])


def _has_target(words: list[Word]) -> bool:
    rest = iter(words)
    for word in rest:
        if not word.text.startswith("-"):
            return True
        if "=" not in word.text:
            next(rest, None)
    return False


def _starting(fragment: str, known: Iterable[str]) -> Completed:
    hidden = fragment.startswith("_")
    fits = [name for name in known if name.startswith(fragment) and (hidden or not name.startswith("_"))]
    return Completed(fragment, list(dict.fromkeys(fits)))


def assigned(body: str) -> list[str]:
    """The names that a cell's body binds at its top level, in their order; [] where it is no Python yet.

    >>> assigned("import os.path\\nfor a, *b in x: c = 1\\ndef f(): d = 1")
    ['os', 'a', 'b', 'c', 'f']
    """
    try:
        tree: ast.Module = compile(body, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(name for name in _bound(tree.body) if name.isidentifier()))


_INSIDE: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                yield node.id
        elif isinstance(node, ast.Lambda):
            continue
        elif isinstance(node, _INSIDE):  # its own names are its own, but for those of `:=`
            yield from (inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        else:
            yield from _bound(ast.iter_child_nodes(node))
            if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                yield node.name
            elif isinstance(node, ast.MatchMapping) and node.rest:
                yield node.rest
