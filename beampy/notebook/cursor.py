"""What stands at the cursor: a name, an attribute, an import, a text inside a call. Of code that is not finished.

    look("model.fit(ro", 12).call.callee == "model.fit"

Rule: only what is before the cursor is read (and the rest of the word that it is in), once, from left to right; code
that makes no sense gives less, never an error. Pure. Place: under completion.py and inspection.py. What the names mean
is not known here: scope.py knows what the text binds, and the nodes know the rest.
"""

from __future__ import annotations

import keyword
import re
from typing import Final, NamedTuple

LONGEST: Final = 200_000  # characters of a cell: longer ones are data, and a read of this much takes 50 ms

_token = re.compile(
    r"""
    (?P<text>(?:[rRbBuUfF]{1,2})?(?:'''|\"{3}|'|\"))
  | (?P<name>[^\W\d]\w*)
  | (?P<number>\d(?:[\w.]|[eE][+-])*)
  | (?P<comment>\#[^\n]*)
  | (?P<joined>\\\n)
  | (?P<line>\n)
  | (?P<space>[^\S\n]+)
  | (?P<other>.)
    """,
    re.VERBOSE,
)
_ends = {quote: re.compile(rf"(?:[^\\]|\\.)*?{quote}", re.DOTALL) for quote in ("'''", '"""')}
_ends |= {quote: re.compile(rf"(?:[^\\\n{quote}]|\\.)*{quote}", re.DOTALL) for quote in ("'", '"')}
_pairs: Final = {")": "(", "]": "[", "}": "{"}
_word: Final = re.compile(r"\w*")


class Token(NamedTuple):
    """A word of the code: "name", "text" (a string), "number", or itself for anything else ("(", ".", "\\n")."""

    kind: str
    start: int
    end: int


class Call(NamedTuple):
    """The call whose parentheses the cursor is in.

    callee    as it is written: "model.fit"
    position  how many arguments are before the one at the cursor
    named     the keyword whose value is being written, or ""
    given     the keywords that are there already
    first     the texts of the arguments before, without keywords
    fresh     whether an argument begins at the cursor's word: a keyword may stand there
    """

    callee: str
    position: int
    named: str
    given: tuple[str, ...]
    first: tuple[str, ...]
    fresh: bool


class Spot(NamedTuple):
    """What is at the cursor.

    kind    "name", "attribute", "import" (`import a.b`), "from" (`from a.b`), "member" (`from a.b import c`), "text"
            (inside of a string), "key" (inside of a string that is an index), or "" where nothing is completed
    prefix  the part of the word before the cursor; of modules with its dots: "a.b"; of a text all of it
    start   where the word begins
    end     where it ends, after the cursor
    base    what it is an attribute of, as it is written; the module of a "member"; what a "key" is an index of
    call    the call around it
    line    the first line of its statement, from 0
    """

    kind: str
    prefix: str = ""
    start: int = 0
    end: int = 0
    base: str = ""
    call: Call | None = None
    line: int = 0


class _Open(NamedTuple):
    at: int  # index of its token
    char: str


def look(code: str, position: int) -> Spot:
    """What is at this position of the code."""
    position = max(0, min(position, len(code)))
    if position > LONGEST:
        return Spot("")
    tokens, text = _read(code, position)
    rest = _word.match(code, position)
    end = rest.end() if rest is not None else position
    stack = _open_brackets(tokens)
    first = _statement(tokens, stack)
    line = code.count("\n", 0, tokens[first].start) if first < len(tokens) else code.count("\n", 0, position)
    if text is not None:
        return _in_text(code, position, tokens, stack, text, line)
    if tokens and tokens[-1].kind == "comment" and tokens[-1].end == position:
        return Spot("", line=line)
    word = tokens[-1] if tokens and tokens[-1].kind in ("name", "number") and tokens[-1].end == position else None
    if word is not None and word.kind == "number":
        return Spot("", line=line)
    before = len(tokens) - (word is not None)
    start = position if word is None else word.start
    prefix = code[start:position]
    call = _call(code, tokens[:before], stack, True)
    imported = _import(code, tokens, first, start, prefix)
    if imported is not None:
        return imported._replace(end=end, line=line)
    if before and tokens[before - 1].kind == ".":
        base = _expression(code, tokens, before - 1)
        kind = "attribute" if base else ""
        return Spot(kind, prefix, start, end, base, _call(code, tokens[:before], stack, False), line)
    if word is not None and before and tokens[before - 1].kind == "name":
        last = code[tokens[before - 1].start : tokens[before - 1].end]
        if not keyword.iskeyword(last) or last in ("def", "class", "as", "global", "nonlocal"):
            return Spot("", prefix, start, end, "", call, line)
    return Spot("name", prefix, start, end, "", call, line)


def word_at(code: str, position: int) -> tuple[str, int]:
    """The dotted name that the cursor is in or beside, up to the end of the word: what is hovered; and where it ends.

    A call's result may be a part of it: "load(path).rows". "" where there is none.

    >>> word_at("np.linalg.norm(x)", 5)
    ('np.linalg', 9)
    """
    rest = _word.match(code, position)
    end = rest.end() if rest is not None else position
    if end > LONGEST:
        return "", position
    tokens, text = _read(code, end)
    if text is not None or not tokens or tokens[-1].kind != "name" or tokens[-1].end != end:
        return "", position
    if keyword.iskeyword(code[tokens[-1].start : end]):
        return "", position
    return _expression(code, tokens, len(tokens)), end


# reading


def _read(code: str, position: int) -> tuple[list[Token], Token | None]:
    """The tokens before the position, and the string that it is inside of. Spaces and comments are left out."""
    tokens: list[Token] = []
    at = 0
    while at < position:
        match = _token.match(code, at)
        assert match is not None  # `other` matches anything
        kind, start, end = match.lastgroup or "", at, match.end()
        if kind == "text":
            opener = match[0]
            closing = _ends[opener.lstrip("rRbBuUfF")].match(code, end)
            if closing is None or closing.end() > position:
                line_ends = -1 if len(opener.lstrip("rRbBuUfF")) == 3 else code.find("\n", end, position)
                if line_ends < 0:
                    return tokens, Token("text", start, end)
                end = line_ends  # a string that was never closed: it ends with its line
            else:
                end = closing.end()
        end = min(end, position)
        if kind == "comment" and end == position:
            tokens.append(Token("comment", start, end))
        elif kind not in ("space", "comment", "joined"):
            tokens.append(Token(code[start] if kind in ("other", "line") else kind, start, end))
        at = end
    return tokens, None


def _open_brackets(tokens: list[Token]) -> list[_Open]:
    """The brackets that are open at the end. A `def`, `class` or other statement in them says: they were forgotten."""
    stack: list[_Open] = []
    for at, token in enumerate(tokens):
        if token.kind in "([{":
            stack.append(_Open(at, token.kind))
        elif token.kind in _pairs and stack and stack[-1].char == _pairs[token.kind]:
            stack.pop()
    return stack


def _statement(tokens: list[Token], stack: list[_Open]) -> int:
    """The index of the first token of the statement that the end is in."""
    at = stack[0].at if stack else len(tokens)
    depth = 0
    while at > 0:
        kind = tokens[at - 1].kind
        if kind in ")]}":
            depth += 1
        elif kind in "([{":
            depth -= 1
        elif depth <= 0 and kind in ("\n", ";"):
            break
        at -= 1
    return at


def _expression(code: str, tokens: list[Token], end: int) -> str:
    """The text of the expression that ends before token `end`: names, attributes, calls, indices, or a literal."""
    at = end
    while at > 0:
        kind = tokens[at - 1].kind
        if kind in (")", "]", "}"):
            opened = _matching(tokens, at - 1)
            if opened is None:
                return ""
            at = opened
            before = tokens[at - 1].kind if at else ""
            if kind != "}" and before in ("name", ")", "]", "text") and not _is_keyword(code, tokens[at - 1]):
                continue
            break  # a tuple, list, dict or set that is written out, or an expression in parentheses
        if kind == "name":
            if _is_keyword(code, tokens[at - 1]):
                return ""
            at -= 1
        elif kind in ("text", "number"):
            at -= 1
            break
        else:
            return ""
        if at and tokens[at - 1].kind == ".":
            at -= 1
            continue
        break
    return code[tokens[at].start : tokens[end - 1].end] if 0 <= at < end else ""


def _is_keyword(code: str, token: Token) -> bool:
    word = code[token.start : token.end]
    return token.kind == "name" and keyword.iskeyword(word) and word not in ("None", "True", "False")


def _matching(tokens: list[Token], at: int) -> int | None:
    """The index of the bracket that the one at `at` closes."""
    depth = 0
    while at >= 0:
        kind = tokens[at].kind
        depth += (kind in (")", "]", "}")) - (kind in ("(", "[", "{"))
        if not depth:
            return at
        at -= 1
    return None


# what is around


def _call(code: str, tokens: list[Token], stack: list[_Open], fresh: bool) -> Call | None:
    """The innermost call that is open at the end of the tokens."""
    opened = next((one for one in reversed(stack) if one.at < len(tokens) and _calls(code, tokens, one)), None)
    if opened is None:
        return None
    callee = _expression(code, tokens, opened.at)
    if not callee:
        return None
    given: list[str] = []
    first: list[str] = []
    position = 0
    begin = opened.at + 1
    depth = 0
    for at in range(begin, len(tokens) + 1):
        kind = tokens[at].kind if at < len(tokens) else "end"
        if kind in ("(", "[", "{"):
            depth += 1
        elif kind in (")", "]", "}"):
            depth -= 1
        elif kind == "end" or (kind == "," and not depth):
            inside = [token for token in tokens[begin:at] if token.kind != "\n"]
            named = _named(code, inside)
            if kind == "end":
                innermost = opened is stack[-1] or opened.at == stack[-1].at
                return Call(callee, position, named, tuple(given), tuple(first), fresh and not inside and innermost)
            position += 1
            if named:
                given.append(named)
            elif inside:
                first.append(code[inside[0].start : inside[-1].end])
            begin = at + 1
    return None


def _calls(code: str, tokens: list[Token], one: _Open) -> bool:
    """Whether a bracket is that of a call, and not of a definition."""
    if one.char != "(" or not one.at:
        return False
    before = tokens[one.at - 1]
    if before.kind not in ("name", ")", "]") or _is_keyword(code, before):
        return False
    previous = tokens[one.at - 2] if one.at > 1 else None
    defines = previous is not None and code[previous.start : previous.end] in ("def", "class")
    return not defines


def _named(code: str, inside: list[Token]) -> str:
    """The keyword of an argument `name=…`."""
    if len(inside) < 2 or inside[0].kind != "name" or inside[1].kind != "=":
        return ""
    if len(inside) > 2 and inside[2].kind == "=" and inside[2].start == inside[1].end:
        return ""  # a comparison
    return code[inside[0].start : inside[0].end]


def _import(code: str, tokens: list[Token], first: int, start: int, prefix: str) -> Spot | None:
    """The statement as an import, if it is one."""
    words = [code[token.start : token.end] for token in tokens[first:]]
    if not words or words[0] not in ("import", "from") or (len(words) == 1 and tokens[-1].end > start):
        return None
    if words[0] == "import":
        since = max(at for at, word in enumerate(words) if word in ("import", ","))
        if "as" in words[since:]:
            return Spot("", prefix, start)
        module = "".join(words[since + 1 :])
        begin = tokens[first + since + 1].start if since + 1 < len(words) else start
        return Spot("import", module, begin)
    if "import" not in words[1:]:
        if len(words) > 2 and words[-1] == prefix and words[-2] != ".":
            return Spot("name", prefix, start)  # the word `import`
        begin = tokens[first + 1].start if len(words) > 1 else start
        return Spot("from", "".join(words[1:]), begin)
    at = words.index("import", 1)
    if tokens[first + at].end > start:  # the word `import` itself
        return Spot("", prefix, start)
    since = max(place for place, word in enumerate(words) if word in ("import", ",", "(") and place >= at)
    if "as" in words[since:]:
        return Spot("", prefix, start)
    return Spot("member", prefix, start, base="".join(words[1:at]))


def _in_text(code: str, position: int, tokens: list[Token], stack: list[_Open], text: Token, line: int) -> Spot:
    """Inside of a string."""
    content = code[text.end : position]
    quote = code[text.start : text.end].lstrip("rRbBuUfF")[0]
    rest = re.compile(rf"[^\n{quote}]*").match(code, position)
    end = rest.end() if rest is not None and code[rest.end() : rest.end() + 1] == quote else position
    if not stack or code[text.start] in "fF" or "\n" in content:
        return Spot("", content, text.end, position, line=line)
    if stack[-1].char == "[" and stack[-1].at == len(tokens) - 1:
        base = _expression(code, tokens, stack[-1].at)
        return Spot("key" if base else "", content, text.end, end, base, line=line)
    call = _call(code, tokens, stack, True)
    if call is None or stack[-1].char != "(":
        return Spot("", content, text.end, end, line=line)
    alone = tokens[-1].kind in ("(", ",") or (tokens[-1].kind == "=" and bool(call.named))
    return Spot("text" if alone else "", content, text.end, end, call=call, line=line)
