"""Names in messages that two origins use: `shapes.Disc` of one is not that of the other, and both have code here.

The rule: a class of an installed package goes by its name, and means that of the sender's package, if that came from
the sender. It is looked at only where code of several origins is here: that costs a microsecond for each message.
Place: under hook.py, beside wire's own ways of reading. It does not know what a message is for.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

from beampy.code.space import spaces
from beampy.wire.codec_loads import NeedsImport, loaded, loads_any, loads_known

if TYPE_CHECKING:
    from collections.abc import Iterable


def loads(origin: str, body: Any, buffers: Iterable[Any], now: bool) -> Any:
    """Unpickle what came from a process; `origin` is "" while it is not known. With `now`: on the loop, NeedsImport."""
    if spaces().several():
        return _Reader(origin, body, buffers, now).load()
    return (loads_known if now else loads_any)(body, buffers)


class _Reader(pickle.Unpickler):
    def __init__(self, origin: str, body: Any, buffers: Iterable[Any], now: bool) -> None:
        super().__init__(io.BytesIO(body), buffers=buffers)
        self._origin = origin
        self._now = now

    def find_class(self, module: str, name: str) -> Any:
        shipped = spaces().shipped(module)
        space = spaces().get(self._origin)
        if shipped is None or shipped.origin == self._origin or (space is None and self._origin):
            if self._now:
                loaded(module)
            return super().find_class(module, name)
        if self._now or space is None:
            raise NeedsImport(module)
        value: Any = space.module(module, 0, b"")
        for part in name.split("."):
            value = getattr(value, part)
        return value
