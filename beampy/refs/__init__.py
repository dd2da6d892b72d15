"""Remote references: objects that stay where they are, handles that travel, and who frees them. See REFS.md.

`bp.refs(node)` is what people know under this name, and Python gives a package's name to the package itself as soon as
anything of it is imported. So the package can be called: it is verbs.refs.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beampy.handle import Handle
    from beampy.refs.table import RefTable


class _Refs(ModuleType):
    def __call__(self, node: str | None = None, *, limit: int = 1000) -> Handle[RefTable]:
        from beampy.refs.verbs import refs

        return refs(node, limit=limit)


sys.modules[__name__].__class__ = _Refs
