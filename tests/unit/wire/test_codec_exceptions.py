"""Exceptions, where a package has its own way of pickling them put in place for the whole process."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from typing import Any

import pytest

import beampy as bp
from beampy.errors import EncodeError
from tests.unit.wire.test_codec import Codec

support: Any = pytest.importorskip("tblib.pickling_support")


@pytest.fixture(autouse=True)
def _theirs() -> Iterator[None]:
    before = copyreg.dispatch_table.copy()
    support.install()
    try:
        yield
    finally:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(before)


def fails() -> None:
    raise SyntaxError("wrong", ("a.py", 3, 1, "x = = 2"))


async def test_the_fields_of_an_exception_come_home():
    async with bp.Node("a@127.0.0.1") as node:
        with pytest.raises(SyntaxError) as caught:
            await bp.remote_call(node.name, fails)
        assert (caught.value.lineno, caught.value.text) == (3, "x = = 2")


class Failure(Exception):
    """One with fields, and with args of its own."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code

    def __reduce__(self) -> Any:
        return Failure, (self.code, self.args[0])


def test_what_is_sent_is_what_its_class_says() -> None:
    codec = Codec()
    try:
        raise Failure(3, "no") from ValueError("a cause")
    except Failure as error:
        copy = codec.trip(error)
        assert (type(copy), copy.code, copy.args) == (Failure, 3, ("no",))
        assert (copy.__cause__, copy.__traceback__) == (None, None)
        with pytest.raises(EncodeError, match="traceback"):
            codec.trip(error.__traceback__)
