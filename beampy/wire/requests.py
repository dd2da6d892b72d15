"""Requests: what a connection of another purpose than "main" carries: questions, and their answers in order. Pure.

Rule: one side asks and the other answers, one answer for each request and in their order; all of it is plain msgpack
data, and none of it is ever unpickled. Place: after a handshake; dist has the sockets of both sides. Not known here:
what is asked.

    frame     u32 length of the rest | msgpack
    request   [op, args]              op is text, args an array; at most MAX_REQUEST bytes
    answer    [true, value]           at most MAX_ANSWER bytes
              [false, [kind, text]]   it failed there: the name of an exception's type, and its message

Elements after these are ignored, so that a later release can say more.
"""

from __future__ import annotations

from typing import Any, cast

import msgpack

from beampy.errors import RemoteError, RemoteProtocolError

HEADER = 4  # bytes of a length
MAX_REQUEST = 1024 * 1024  # bytes: tens of thousands of names or digests
MAX_ANSWER = 64 * 1024 * 1024  # bytes: a source file is some KiB, so this is for files of data that lie beside it
MAX_ARRAY = 16 * 1024  # elements of one array in a request: each is made at the length that it claims
MAX_TEXT = 4096  # characters of a failure's text


def request(op: str, args: list[Any]) -> bytes:
    """The frame of a request. ValueError when it is too long, TypeError for what is no plain data."""
    return _frame([op, args], MAX_REQUEST, "request")


def answer(value: Any) -> bytes:
    """The frame of an answer. ValueError when it is too long, TypeError for what is no plain data."""
    return _frame([True, value], MAX_ANSWER, "answer")


def failure(kind: str, text: str) -> bytes:
    """The frame of an answer that says why there is none."""
    return _frame([False, [kind[:MAX_TEXT], text[:MAX_TEXT]]], MAX_ANSWER, "answer")


def _frame(fields: list[Any], most: int, what: str) -> bytes:
    # Names of files may hold bytes that are no UTF-8: they come back as they were.
    packer = msgpack.Packer(autoreset=False, unicode_errors="surrogateescape")
    try:
        packer.pack(fields)
    except OverflowError as error:
        raise ValueError(f"the {what} has a number that is too large: {error}") from None
    with packer.getbuffer() as body:
        if len(body) > most:
            raise ValueError(f"the {what} has {len(body)} bytes, and at most {most} are sent")
        return b"".join((len(body).to_bytes(HEADER, "big"), body))


def length(header: bytes | bytearray | memoryview, most: int) -> int:
    """The length that a header says. RemoteProtocolError when it is none.

    >>> length(b"\\0\\0\\1\\0", MAX_REQUEST)
    256
    """
    size = int.from_bytes(header[:HEADER], "big")
    if not 0 < size <= most:
        raise RemoteProtocolError(f"a frame of {size} bytes, where 1 to {most} can be")
    return size


def read_request(body: bytes | bytearray | memoryview) -> tuple[str, list[Any]]:
    """What is asked. RemoteProtocolError for what is no request."""
    match _unpack(body, max_array_len=MAX_ARRAY, max_map_len=MAX_ARRAY):
        case [str(op), list(args), *_]:
            return op, args
    raise RemoteProtocolError("a request is an array of a name and arguments")


def read_answer(body: bytes | bytearray | memoryview) -> Any:
    """The value. RemoteError when it failed there, RemoteProtocolError for what is no answer."""
    match _unpack(body):
        case [True, value, *_]:
            return value
        case [False, [str(kind), str(text), *_], *_]:
            raise RemoteError(kind, text)
    raise RemoteProtocolError("an answer is an array of true and a value, or of false and a reason")


def _unpack(body: bytes | bytearray | memoryview, **limits: int) -> Any:
    try:
        return msgpack.unpackb(cast("bytes", body), unicode_errors="surrogateescape", max_ext_len=0, **limits)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"a frame that is not msgpack: {type(error).__name__}") from None


class Frames:
    """Frames out of bytes that come in any pieces. `most` is the longest that there can be."""

    __slots__ = ("_got", "_most")

    def __init__(self, most: int) -> None:
        self._got = bytearray()
        self._most = most

    def __len__(self) -> int:
        """How many bytes wait here."""
        return len(self._got)

    def push(self, data: bytes | memoryview) -> None:
        """Bytes that came."""
        self._got += data

    def pull(self) -> bytes | None:
        """The body of the next frame, None as long as it is not whole. RemoteProtocolError as soon as it is wrong."""
        if len(self._got) < HEADER:
            return None
        end = HEADER + length(self._got, self._most)
        if len(self._got) < end:
            return None
        body = bytes(memoryview(self._got)[HEADER:end])
        del self._got[:end]
        return body
