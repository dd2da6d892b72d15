"""Rich displays on their way: what is large travels as bytes, and comes out as it went in."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beampy.core.bundles import PACKED, is_text, packed, unpacked

LARGE = PACKED + 2


def test_what_is_small_travels_as_it_is():
    for form in ("text", b"bytes", {"a": [1]}, None, 1.5):
        assert packed("text/plain", form) is form
    assert packed("image/png", bytearray(b"x")) == b"x"


def test_what_is_large_travels_as_bytes_and_comes_out_the_same():
    page = "é" * LARGE
    assert packed("text/html", page) == page.encode()
    assert unpacked("text/html", packed("text/html", page)) == page
    picture = bytes(range(256)) * 300
    base64 = b64encode(picture).decode()
    assert packed("image/png", base64) == packed("image/png", picture) == picture
    assert unpacked("image/png", picture) == base64
    plot = {"values": list(range(LARGE))}
    assert packed("application/vnd.vegalite.v5+json", plot) == json.dumps(plot).encode()
    assert unpacked("application/vnd.vegalite.v5+json", json.dumps(plot).encode()) == plot


def test_a_large_text_that_is_a_json_value_stays_text():
    for text in ("no json " * LARGE, "1" * LARGE, '"' * LARGE):
        assert unpacked("application/json", packed("application/json", text)) == text
    assert unpacked("application/json", b"no json") == "no json"


def test_what_is_neither():
    assert packed("image/png", "no base 64!" * LARGE) == "no base 64!" * LARGE
    assert packed("text/plain", "\ud800" * LARGE) == b"?" * LARGE
    assert unpacked("text/plain", b"\xff") == "\N{REPLACEMENT CHARACTER}"
    with pytest.raises(TypeError):
        packed("application/json", {1, 2})


@given(st.text(max_size=20).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)))
def test_text_of_any_size(text: str):
    for whole in (text, text * (LARGE // max(len(text), 1))):
        assert unpacked("text/plain", packed("text/plain", whole)) == whole


def test_types_of_text():
    assert [is_text(kind) for kind in ("text/latex", "application/javascript", "image/jpeg", "application/pdf")] == [
        True,
        True,
        False,
        False,
    ]
