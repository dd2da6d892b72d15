"""codec: tensors, tables and frames arrive equal, and their memory goes beside the body."""

from __future__ import annotations

from typing import Any

import pytest

from beampy.wire.codec import Decoder, Encoder

HERE, CREATION = "a@localhost", 1
N = 100_000  # elements: more than stay in the body


def trip(message: Any) -> tuple[Any, int, int]:
    """The message that arrives, the bytes in its body, and those beside it."""
    kind, parts, buffers = Encoder(HERE, CREATION, export=lambda ref: None).encode(message)
    came = [view if type(view) is bytes else memoryview(bytearray(view)) for view in buffers]
    value = Decoder(HERE, CREATION).decode(kind, b"".join(parts), came)
    return value, sum(map(len, parts)), sum(map(len, buffers))


def makers(torch: Any) -> dict[str, Any]:
    floats = torch.arange(N, dtype=torch.float32)
    return {
        "float32": floats,
        "float64 in two dimensions": torch.ones(200, 500, dtype=torch.float64),
        "int64": torch.arange(N),
        "bool": floats > 5,
        "bfloat16": floats.to(torch.bfloat16),
        "float8": floats.to(torch.float8_e4m3fn),
        "complex64": torch.complex(floats, -floats),
        "a view of a part": floats[50_000:],
        "requires_grad": torch.ones(N, requires_grad=True),
        "empty in one dimension": torch.ones(N, 0),
    }


@pytest.mark.parametrize(
    "name",
    makers.__annotations__
    and [
        "float32",
        "float64 in two dimensions",
        "int64",
        "bool",
        "bfloat16",
        "float8",
        "complex64",
        "a view of a part",
        "requires_grad",
    ],
)
def test_tensors_go_beside_the_body(name: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = makers(torch)[name]
    copy, inside, beside = trip(["before", tensor])
    copy = copy[1]
    assert (type(copy), copy.dtype, copy.shape) == (torch.Tensor, tensor.dtype, tensor.shape)
    assert copy.requires_grad is tensor.requires_grad
    assert copy.is_leaf
    assert torch.equal(copy.detach().view(torch.uint8), tensor.detach().view(torch.uint8))
    assert (inside < 1000, beside) == (True, tensor.nbytes)
    copy.detach().zero_()  # its memory is its own
    assert not torch.equal(copy.detach().view(torch.uint8), tensor.detach().view(torch.uint8))


def test_a_parameter_and_a_whole_module():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(300, 300)
    copy, inside, beside = trip(layer)
    assert type(copy.weight) is torch.nn.Parameter
    assert torch.equal(copy.weight, layer.weight)
    assert copy.weight.requires_grad
    assert beside == layer.weight.nbytes
    assert inside < 20_000
    parameter, _, _ = trip(torch.nn.Parameter(torch.ones(N), requires_grad=False))
    assert type(parameter) is torch.nn.Parameter
    assert not parameter.requires_grad


def own_ways(torch: Any) -> dict[str, Any]:
    floats = torch.arange(N, dtype=torch.float32)
    marked = floats[:]
    marked.note = "mine"
    return {
        "not contiguous": floats.reshape(200, 500).T,
        "small": torch.ones(3),
        "a scalar": torch.tensor(3.5),
        "nothing in it": torch.ones(N, 0),
        "sparse": torch.ones(200, 200).to_sparse(),
        "quantized": torch.quantize_per_tensor(floats, 0.1, 0, torch.quint8),
        "meta": torch.ones(N, device="meta"),
        "conjugate": torch.complex(floats, floats).conj(),
        "negative": torch.complex(floats, floats).conj().imag,
        "with an attribute": marked,
    }


@pytest.mark.parametrize(
    "name",
    [
        "not contiguous",
        "small",
        "a scalar",
        "nothing in it",
        "sparse",
        "quantized",
        "meta",
        "conjugate",
        "negative",
        "with an attribute",
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own pickling warns of what it uses itself
def test_other_tensors_go_their_own_way(name: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = own_ways(torch)[name]
    copy, _, _ = trip(tensor)
    assert (copy.dtype, copy.shape, copy.layout, copy.device) == (
        tensor.dtype,
        tensor.shape,
        tensor.layout,
        tensor.device,
    )
    assert copy.stride() == tensor.stride() if tensor.layout is torch.strided else True
    assert vars(copy) == vars(tensor)
    if name == "meta":
        return
    if name == "sparse":
        copy, tensor = copy.to_dense(), tensor.to_dense()
    assert torch.equal(copy.dequantize(), tensor.dequantize()) if name == "quantized" else torch.equal(copy, tensor)


def test_a_result_of_autograd_goes_its_own_way():
    torch = pytest.importorskip("torch")
    result = torch.ones(N, requires_grad=True) * 2
    copy, _, _ = trip(result)
    assert torch.equal(copy, result)
    assert copy.requires_grad


def test_one_tensor_twice_is_one():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(N)
    (first, second), _, beside = trip([tensor, tensor])
    assert first is second
    assert beside == tensor.nbytes


def test_a_class_of_that_name_is_no_tensor():
    class Tensor(list[int]):
        pass

    from beampy.wire.codec_buffers import reduce_beside

    assert reduce_beside(Tensor(), Tensor) is NotImplemented


def test_arrow_tables_go_beside_the_body():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"n": list(range(N)), "text": [str(n) for n in range(N)]})
    copy, inside, beside = trip(table)
    assert copy.equals(table)
    assert beside >= table.nbytes
    assert inside < 5000
    buffer, inside, beside = trip(pa.py_buffer(bytearray(b"x" * N)))
    assert buffer.to_pybytes() == b"x" * N
    assert (inside < 1000, beside) == (True, N)


def test_polars_frames_go_beside_the_body():
    pl = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = pl.DataFrame({"n": range(N), "text": [str(n) for n in range(N)]})
    copy, inside, beside = trip(frame)
    assert copy.equals(frame)
    assert inside < 5000
    assert beside == (8 + 16) * N  # numbers, and views of text that is short; more is in test_codec_frames.py


def arrays(np: Any) -> dict[str, Any]:
    numbers = np.arange(N, dtype="f8").reshape(200, -1)
    fixed = numbers.copy()
    fixed.flags.writeable = False
    return {
        "C order": numbers,
        "Fortran order": np.asfortranarray(numbers),
        "strided": numbers[::2, ::3],
        "structured": np.zeros(N, dtype=[("a", "i4"), ("b", "S10")]),
        "objects": np.array([str(n) for n in range(1000)] + [None], dtype=object),
        "empty": np.zeros((0, 5)),
        "scalar": np.array(3.5),
        "read-only": fixed,
        "masked": np.ma.masked_greater(numbers, 100),
        "dates": np.arange("2020-01-01", "2290-01-01", dtype="M8[D]"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "C order",
        "Fortran order",
        "strided",
        "structured",
        "objects",
        "empty",
        "scalar",
        "read-only",
        "masked",
        "dates",
    ],
)
def test_arrays_of_every_kind(name: str) -> None:
    np = pytest.importorskip("numpy")
    array = arrays(np)[name]
    copy, _, _ = trip(array)
    assert (type(copy), copy.dtype, copy.shape) == (type(array), array.dtype, array.shape)
    assert copy.flags.writeable is array.flags.writeable
    assert copy.flags.f_contiguous is array.flags.f_contiguous or name == "strided"
    if name == "masked":
        assert (copy.mask == array.mask).all()
    assert (copy == array).all()
