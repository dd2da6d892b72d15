"""Bundles: rich displays on their way from one node to another.

Rule: the forms are those of Jupyter's messages, by MIME type. A large form travels as bytes, which the codec puts
beside the message's body: so a picture of megabytes is read on arrival in no time, and keeps its place among the text.

Pure. It knows no notebook: group_leader.py sends them, and whoever has a screen shows them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any, NamedTuple

BUNDLE = 10 << 20  # bytes of one rich display: a notebook with several of ten megabytes each cannot be opened any more
PACKED = 65_536  # characters of a form from which it travels as bytes: from there on these are not in the body


class Bundle(NamedTuple):
    """A rich display, as IPython has them: the same thing in several forms, by MIME type.

    A form is text, bytes or what JSON has; a large one travels as bytes, whatever it is: see `packed`. `display_id`:
    the name under which it is updated later, with `update`.
    """

    data: dict[str, Any]
    metadata: dict[str, Any]
    display_id: str | None = None
    update: bool = False


def packed(kind: str, form: Any) -> Any:
    """A form of a display as it travels: large ones as bytes, which are read in no time at the other end.

    >>> packed("text/plain", "short"), packed("image/png", "iVBO" * 30000)[:3]
    ('short', b'\\x89PN')
    """
    if isinstance(form, (bytearray, memoryview)):
        return bytes(form)
    if not isinstance(form, (str, bytes)):
        text = json.dumps(form)  # TypeError for what is no JSON
        return form if len(text) < PACKED else text.encode()
    if isinstance(form, bytes) or len(form) < PACKED:
        return form
    if kind.endswith("json"):
        return json.dumps(form).encode()  # a text is a value of JSON, too
    if is_text(kind):
        return form.encode(errors="replace")
    try:
        return b64decode(form, validate=True)
    except ValueError:
        return form


def weight(form: Any) -> int:
    """How much of it there is on its way: bytes, or characters of what is not packed.

    >>> weight("short"), weight({"a": 1})
    (5, 8)
    """
    return len(form) if isinstance(form, (str, bytes)) else len(json.dumps(form))


def unpacked(kind: str, form: Any) -> Any:
    """The same as Jupyter's messages have it: text as text, JSON as itself, bytes in base64.

    >>> unpacked("text/html", b"<b>x</b>"), unpacked("image/png", b"\\x89PN")
    ('<b>x</b>', 'iVBO')
    """
    if not isinstance(form, (bytes, bytearray, memoryview)):
        return form
    if not is_text(kind):
        return b64encode(form).decode("ascii")
    text = bytes(form).decode(errors="replace")
    if kind.endswith("json"):
        with suppress(ValueError):  # somebody's own bytes
            return json.loads(text)
    return text


def is_text(kind: str) -> bool:
    """Whether a MIME type is of text. JSON is, too.

    >>> is_text("image/svg+xml"), is_text("application/vnd.vegalite.v5+json"), is_text("image/png")
    (True, True, False)
    """
    return kind.startswith("text/") or kind.endswith(("xml", "json", "javascript", "latex"))
