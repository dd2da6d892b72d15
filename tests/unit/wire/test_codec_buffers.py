"""codec: large payloads are not copied, travel beside the body where they can, and are snapshots where they must."""

from __future__ import annotations

import pickle
from typing import Any, SupportsIndex

import pytest

from beampy.wire.codec import OUT_OF_BAND, Decoder, Encoder

HERE, CREATION = "a@localhost", 1
LARGE = 64 * 1024  # pickle writes what has this size without copying it


class Codec:
    """An encoder and a decoder of one node."""

    def __init__(self) -> None:
        self.encoder = Encoder(HERE, CREATION, export=lambda ref: None)
        self.decoder = Decoder(HERE, CREATION)

    def trip(self, message: Any) -> Any:
        kind, parts, buffers = self.encoder.encode(message)
        assert all(type(part) is bytes for part in parts)
        flat = [view for view in buffers if type(view) is not bytes]
        assert all((view.format, view.ndim, view.contiguous) == ("B", 1, True) for view in flat)
        return self.decoder.decode_now(
            kind, memoryview(b"".join(parts)), [view if type(view) is bytes else bytearray(view) for view in buffers]
        )


@pytest.fixture
def codec() -> Codec:
    return Codec()


class Buffer:
    """What a numpy array does: its memory travels beside the message."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return Buffer, (pickle.PickleBuffer(self.data),)


@pytest.mark.parametrize("size", [OUT_OF_BAND - 1, OUT_OF_BAND, LARGE, 3 * LARGE])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_buffers_travel_beside_the_body(codec: Codec, size: int, kind: type) -> None:
    data = kind(b"x" * size)
    _, parts, buffers = codec.encoder.encode([Buffer(data), "end"])
    if size < OUT_OF_BAND:
        assert buffers == []
    else:
        assert [view.readonly for view in buffers] == [kind is bytes]
        assert len(b"".join(parts)) < 1000
        assert buffers[0].obj is data
    del buffers
    copy = codec.trip([Buffer(data), "end"])[0].data
    assert bytes(copy) == data
    assert memoryview(copy).readonly == (kind is bytes)


def test_a_buffer_of_other_items_is_bytes_on_the_wire(codec: Codec) -> None:
    numbers = memoryview(bytearray(8 * 8192)).cast("d", (64, 128))
    _, _, buffers = codec.encoder.encode(Buffer(numbers))
    assert [(view.format, view.shape) for view in buffers] == [("B", (8 * 8192,))]


def test_large_bytes_are_not_copied(codec: Codec) -> None:
    data = b"x" * LARGE
    _, parts, buffers = codec.encoder.encode(("put", data))
    assert len(buffers) == 1
    assert buffers[0] is data
    assert sum(map(len, parts)) < 100
    assert codec.trip(("put", data)) == ("put", data)


def test_large_payloads_and_buffers_keep_their_order(codec: Codec) -> None:
    big, other, text = b"x" * LARGE, b"y" * LARGE, "z" * LARGE
    message = [text, Buffer(b"1" * LARGE), big, Buffer(b"2" * LARGE), text, other, big, Buffer(b"3" * LARGE)]
    kind, parts, buffers = codec.encoder.encode(message)
    assert [bytes(buffer[:1]) for buffer in buffers] == [b"1", b"x", b"2", b"y", b"3"]
    copy = codec.decoder.decode(kind, b"".join(parts), [b if type(b) is bytes else bytearray(b) for b in buffers])
    assert copy[0] == copy[4] == text
    assert [copy[2], copy[5], copy[6]] == [big, other, big]
    assert copy[2] is copy[6]


def test_a_large_bytearray_is_a_snapshot(codec: Codec) -> None:
    data = bytearray(b"x" * LARGE)
    kind, parts, _ = codec.encoder.encode(("put", data, b"y"))
    data[:] = b"z" * LARGE
    data.clear()  # nobody holds on to its memory, either
    assert codec.decoder.decode(kind, b"".join(parts)) == ("put", bytearray(b"x" * LARGE), b"y")


def test_many_frames(codec: Codec) -> None:
    message = [("item", i, f"{i:100}") for i in range(5000)]
    assert len(codec.encoder.encode(message)[1]) > 2
    assert codec.trip(message) == message


def test_numpy_arrays_come_back_as_writable_as_they_were(codec: Codec) -> None:
    numpy = pytest.importorskip("numpy")
    for count in (3, 10_000):
        array = numpy.arange(count, dtype="float64")
        fixed = array.copy()
        fixed.setflags(write=False)
        _, _, buffers = codec.encoder.encode((array, fixed))
        assert [view.readonly for view in buffers] == ([False, True] if count > 3 else [])
        del buffers
        copies = codec.trip((array, fixed, array[::2]))
        for copy, original in zip(copies, (array, fixed, array[::2]), strict=True):
            assert copy.dtype == original.dtype
            assert (copy == original).all()
        assert copies[0].flags.writeable
        if count > 3:
            assert not copies[1].flags.writeable
