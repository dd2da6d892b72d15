"""Code: a function written in one place becomes callable on every node, on its first reference there.

What is public of it is for looking: which code a node has, as its modules, names, signatures, docs and sources. That
code travels needs no call: SHIPPING.md says what does, when, and under which name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beampy.code.browse import doc as doc
    from beampy.code.browse import modules as modules
    from beampy.code.browse import names as names
    from beampy.code.browse import signature as signature
    from beampy.code.browse import source as source
    from beampy.code.held import LongCall as LongCall
    from beampy.code.held import long_calls as long_calls
    from beampy.code.repair import keep_instances as keep_instances

_HOMES = {
    **dict.fromkeys(("doc", "modules", "names", "signature", "source"), "beampy.code.browse"),
    "LongCall": "beampy.code.held",
    "keep_instances": "beampy.code.repair",
    "long_calls": "beampy.code.held",
}

__all__ = ["LongCall", "doc", "keep_instances", "long_calls", "modules", "names", "signature", "source"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'beampy.code' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
