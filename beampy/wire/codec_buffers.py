"""Objects with large memory whose own pickling copies it into the body: how they travel beside it instead.

Rule: only what comes back equal in every respect is taken over; all else is left to the object's own way. Today these
are dense torch tensors in the memory of the processor, and polars frames and series (codec_frames.py). numpy, pyarrow
and pandas offer their memory themselves (PEP 574).

Place: codec.py asks `reduce_beside` for objects that are no plain data, by the name of their class, so that nothing is
imported here that a message does not have in it already, but pyarrow for a large frame. It does not know how buffers
travel.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST = 16 * 1024  # bytes: smaller ones go their own way; as codec.OUT_OF_BAND
LEAST_FRAME = 128 * 1024  # bytes, likewise, of polars' numbers and text: codec_frames.LEAST, for one column
FRAMES = frozenset({"DataFrame", "Series"})  # polars'; pandas has such, too


def reduce_beside(obj: Any, kind: type) -> Any:
    """How to rebuild `obj`, of class `kind`, as `__reduce__` says it; NotImplemented: it goes its own way."""
    name = kind.__name__
    if name in FRAMES:
        return _reduced_frame(obj) if is_frame(kind) else NotImplemented
    if name != "Tensor":
        return NotImplemented
    torch = sys.modules.get("torch")
    return NotImplemented if torch is None or kind is not getattr(torch, "Tensor", None) else _reduced(torch, obj)


def is_frame(kind: type) -> bool:
    """Whether it is polars' class of frames, or of series."""
    return kind.__name__ in FRAMES and kind is getattr(sys.modules.get("polars"), kind.__name__, None)


def reduce_settling(obj: Any, keep: Callable[[Any], Any]) -> Any:
    """As `reduce_beside`, of a polars frame that is to have its memory elsewhere in this process: see `settling`."""
    frames: Any = import_module("beampy.wire.codec_frames")
    return frames.settling(obj, keep)


def _reduced_frame(obj: Any) -> Any:
    if obj.estimated_size() < LEAST_FRAME:
        types = obj.dtypes if hasattr(obj, "dtypes") else (obj.dtype,)
        if not any(one.is_nested() or one.is_object() for one in types):
            return NotImplemented
    frames: Any = import_module("beampy.wire.codec_frames")
    return frames.reduced(obj)


def _reduced(torch: Any, tensor: Any) -> Any:
    """A tensor as its type, shape and memory. A view travels without the rest of the memory that it is a view of.

    Two that share memory arrive as two, as torch's own pickling has it.
    """
    if (
        tensor.layout is not torch.strided
        or tensor.device.type != "cpu"
        or tensor.is_quantized
        or tensor.nbytes < LEAST
        or not tensor.is_contiguous()
        or not tensor.is_leaf
        or tensor.is_conj()
        or tensor.is_neg()
        or tensor.is_nested
        or tensor._backward_hooks
        or tensor.__dict__
    ):
        return NotImplemented
    try:
        memory = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    except (RuntimeError, TypeError):  # a build without numpy, or a type that is no bytes
        return NotImplemented
    return tensor_of, (PickleBuffer(memory), str(tensor.dtype), tuple(tensor.shape), tensor.requires_grad)


def tensor_of(memory: Any, dtype: str, shape: tuple[int, ...], requires_grad: bool) -> Any:
    """The tensor again, on the memory that came. `dtype` is as torch shows it, such as "torch.float32"."""
    torch: Any = import_module("torch")  # which type checkers need not have
    kind = getattr(torch, dtype.removeprefix("torch."))
    if memoryview(memory).readonly:  # which a tensor cannot be
        memory = bytearray(memory)
    tensor = torch.frombuffer(memory, dtype=torch.uint8).view(kind).reshape(shape)
    return tensor.requires_grad_() if requires_grad else tensor
