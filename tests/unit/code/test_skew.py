"""What an error says about what is missing, on every Python; the rest is seen between nodes."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from beampy.code.skew import missing_in


def imported() -> Any:
    return importlib.import_module("json.no_such_module")


def looked_up() -> Any:
    return json.no_such_name  # type: ignore[attr-defined]


def unpickled() -> Any:
    return pickle.loads(b"\x80\x04\x8c\x0cjson.decoder\x8c\x07No.Such\x93.")


def of_an_object() -> Any:
    return (1).no_such_name  # type: ignore[attr-defined]


def taken_from() -> Any:
    from json import no_such_name  # type: ignore[attr-defined]

    return no_such_name


@pytest.mark.parametrize(
    ("miss", "expected"),
    [
        (imported, ("json.no_such_module", "")),
        (looked_up, ("json", "no_such_name")),
        (unpickled, ("json.decoder", "No.Such")),
        (of_an_object, ("", "")),
    ],
)
def test_what_is_missing(miss: Callable[[], Any], expected: tuple[str, str]) -> None:
    with pytest.raises((AttributeError, ImportError)) as caught:
        miss()
    assert missing_in(caught.value) == expected


def test_what_an_import_statement_misses() -> None:
    with pytest.raises(ImportError) as caught:
        taken_from()
    assert missing_in(caught.value) in [("json", "no_such_name"), ("json", "")]  # 3.11 does not say what
