"""Parameters, read from the text of a signature: what can be given by name, and which argument is which.

    [one.name for one in parameters("(rows: list[int], *, lr=0.1) -> Model")] == ["rows", "lr"]

Rule: signatures are text here, because they come from other nodes, from C code and from sources; a text that was cut
off gives what is left of it. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST: Final = 4000  # characters of a signature that are read; browse_signature.py cuts them at 1000

POSITIONAL, EITHER, REST, NAMED, KEYWORDS = "positional", "either", "rest", "named", "keywords"

_self: Final = re.compile(r"^\(self(?: *, */)?(?: *, *|(?=\)))")
_word: Final = re.compile(r"[^\W\d]\w*")


class Parameter(NamedTuple):
    """One parameter. `text`: as it is written, "lr: float = 0.1". `kind`: how it can be given."""

    name: str
    kind: str
    text: str


def parameters(signature: str) -> list[Parameter]:
    """The parameters of a signature."""
    found: list[Parameter] = []
    kind = EITHER
    for part in _parts(signature[:LONGEST]):
        if part == "/":
            found = [one._replace(kind=POSITIONAL) if one.kind == EITHER else one for one in found]
        elif part == "*":
            kind = NAMED
        elif part.startswith("**"):
            found.append(Parameter(_name(part[2:]), KEYWORDS, part))
        elif part.startswith("*"):
            found.append(Parameter(_name(part[1:]), REST, part))
            kind = NAMED
        elif name := _name(part):
            found.append(Parameter(name, kind, part))
    return found


def left(signature: str, position: int, given: Sequence[str]) -> list[Parameter]:
    """The parameters that can still be given by name, with `position` arguments before and these names given."""
    found = []
    for at, one in enumerate(parameters(signature)):
        taken = one.kind == EITHER and at < position
        if one.kind in (EITHER, NAMED) and not taken and one.name not in given:
            found.append(one)
    return found


def without_first(signature: str) -> str:
    """A signature without its first positional parameter."""
    all_of = parameters(signature)
    if not all_of or all_of[0].kind not in (EITHER, POSITIONAL):
        return signature
    rest = signature[1:].lstrip()[len(all_of[0].text) :].lstrip().removeprefix(",").lstrip()
    if all_of[0].kind == POSITIONAL and len([one for one in all_of if one.kind == POSITIONAL]) == 1:
        rest = rest.removeprefix("/").lstrip().removeprefix(",").lstrip()
    return f"({rest}"


def without_self(signature: str) -> str:
    """The same where the first is `self`, as it is called on an instance."""
    return _self.sub("(", signature)


def _name(part: str) -> str:
    found = _word.match(part)
    return found[0] if found else ""


def _parts(signature: str) -> Iterator[str]:
    """What is between the commas of the outer parentheses."""
    depth = 0
    quote = ""
    begin = 1
    skip = False
    for at, char in enumerate(signature):
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                if part := signature[begin:at].strip():
                    yield part
                return
        elif char == "," and depth == 1:
            if part := signature[begin:at].strip():
                yield part
            begin = at + 1
