"""Hovering: what is said about the name under the cursor, or, behind an opening parenthesis, about what is called.

Rule: it says how something is called, what it is, what its documentation says, and on which node it is: the facts of
that node. Cells of the kernel are answered for what IPython cannot know; None leaves the rest to it.

Place: under inspection.py, which hands it to frontends. views.py says what things are. It does not know IPython.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from beampy.notebook import on
from beampy.notebook.cursor import LONGEST, look, word_at
from beampy.notebook.remote_names import Facts
from beampy.notebook.views import Here, There, is_remote_function

if TYPE_CHECKING:
    from beampy.notebook.cursor import Call
    from beampy.notebook.questions import Questions
    from beampy.notebook.views import Verb

WIDE: Final = 100  # characters of a signature on one line


def inspect(
    code: str, position: int, detail: int, names: dict[str, Any], questions: Questions, until: float | None = None
) -> dict[str, str] | None:
    """What is shown, by MIME type; {} where nothing is known, None where IPython knows better. `detail`: 1 is source.

    >>> inspect("%%on b@localhost\\nmodel.fit(", 27, 0, {}, questions)["text/plain"].splitlines()[0]
    'Signature: model.fit(rows, *, lr=0.1) -> Model'
    """
    if len(code) > LONGEST:
        return None
    until = questions.until() if until is None else until
    cell = on.parse(code)
    text, offset = (code, 0) if cell is None else (cell.body, cell.body_offset)
    at = position - offset
    if at < 0 or (cell is not None and code[offset - 1] != "\n") or (cell is None and text.lstrip().startswith("%%")):
        return None
    word, end = word_at(text, at)
    spot = look(text, at)
    line = text.count("\n", 0, at)
    if spot.call is not None and spot.call.fresh and text[end:].lstrip(" ")[:1] == "=" and "." not in word:
        after = text[end:].lstrip(" ")[1:2]
        word = word if after == "=" else ""  # the name of an argument: what is called says what it is
    if cell is not None:
        view = There(cell, names, questions, spot, line, until)
        what = word or (spot.call.callee if spot.call is not None else "")
        facts = view.facts(what, detail) if what else None
        return {} if facts is None else shown(what, facts, view.node or "")
    return _here(Here(text, names, questions, spot, line, until), word, spot.call, detail)


def _here(view: Here, word: str, call: Call | None, detail: int) -> dict[str, str] | None:
    if word:
        facts = view.facts(word, detail)
        if facts is not None:
            return shown(word, facts, view.where(word))
        place = view.place(word)
        if is_remote_function(place):
            return given(view, word, f"each call of it runs in {place.value.calls._pool!r}")
        target = view.scope.expression(word).target
        if target is not None and view.far_object(target) is not None:
            return {}  # IPython would show the attribute of the reference
        return None
    if call is None:
        return None
    facts = view.facts(call.callee, detail)
    if facts is not None:
        return shown(call.callee, facts, view.where(call.callee))
    if is_remote_function(place := view.place(call.callee)):
        return given(view, call.callee, f"each call of it runs in {place.value.calls._pool!r}")
    verb = view.verb(call)
    if verb is None or verb.at is None or call.position <= verb.at or len(call.first) <= verb.at:
        return None
    return given(view, call.first[verb.at], f"given to {call.callee}", verb)


def given(view: Here, function: str, note: str, verb: Verb | None = None) -> dict[str, str] | None:
    """A function that is given to a pool or node."""
    signature = view.signature(function, verb)
    if signature is None:
        return None
    place = view.place(function)
    item = view.scope.expression(function).item
    doc = item.doc if item is not None else place.doc() if place is not None else ""
    return shown(function, Facts(function, "function", signature, doc, "", "", "", None), "", note)


def shown(expression: str, facts: Facts, node: str, note: str = "") -> dict[str, str]:
    """The facts as a frontend shows them."""
    rows: list[tuple[str, str]] = []
    if facts.signature is not None:
        rows.append(("Init signature" if facts.kind == "class" else "Signature", expression + folded(facts.signature)))
    elif facts.type or facts.kind != "value":
        rows.append(("Type", facts.type or facts.kind))
    if facts.value:
        rows.append(("Length" if facts.value.endswith((" items", " long")) else "Value", facts.value))
    if note:
        rows.append(("Note", note))
    if node:
        rows.append(("Node", node))
    if facts.where:
        rows.append(("Where", facts.where))
    plain = [f"{label}: {value}" for label, value in rows]
    table = "".join(
        f"<tr><th style='text-align:left;vertical-align:top'>{label}</th>"
        f"<td style='text-align:left'><code style='white-space:pre-wrap'>{html.escape(value)}</code></td></tr>"
        for label, value in rows
    )
    marked = [f"<table>{table}</table>"] if table else []
    for label, value in (("Docstring", facts.doc), ("Source", facts.source or "")):
        if value:
            plain.append(f"{label}:\n{value}")
            marked.append(f"<div><b>{label}</b><pre>{html.escape(value)}</pre></div>")
    return {"text/plain": "\n".join(plain), "text/html": "".join(marked)}


def folded(signature: str) -> str:
    """A long signature, one parameter a line."""
    from beampy.notebook.parameters import parameters

    if len(signature) <= WIDE:
        return signature
    parts = [one.text for one in parameters(signature)]
    tail = signature.rpartition(") -> ")[2] if ") -> " in signature else ""
    kinds = [one.kind for one in parameters(signature)]
    if "positional" in kinds:
        last = max(at for at, kind in enumerate(kinds) if kind == "positional")
        parts.insert(last + 1, "/")
    if "named" in kinds and "rest" not in kinds:
        parts.insert(len(parts) - sum(kind in ("named", "keywords") for kind in kinds), "*")
    return "(\n" + "".join(f"    {part},\n" for part in parts) + ")" + (f" -> {tail}" if tail else "")
