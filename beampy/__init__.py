"""beampy: Erlang-style processes for Python. `import beampy as bp` and use the names below.

Importing it loads the standard library only; each name is loaded when it is first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beampy.api import alias as alias
    from beampy.api import spawn as spawn

_HOMES = {
    "beampy.api": (
        "alias ancestors cancel_timer demonitor exit is_alive link mailbox monitor process_info processes receive "
        "register registered request self send send_after set_label spawn spawn_link spawn_monitor start_timer "
        "trap_exit unalias unlink unregister whereis"
    ),
    "beampy.runtime": "Node run start",
    "beampy.handle": "Handle",
    "beampy.core.ids": "Pid Ref",
    "beampy.core.info": "ProcessInfo",
    "beampy.core.signals": "Crash Down Exit NodeDown NodeUp Timeout",
    "beampy.otp.gen": "IGNORE Stop reply stop",
    "beampy.otp.typed": "call cast",
    "beampy.otp.child": "ChildSpec",
    "beampy.otp.supervisor": "Supervisor",
    "beampy.otp.server": "NOREPLY NoReply Reply Server",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = ("errors", "otp", "testing")

__all__ = sorted([*_NAMES, "errors"])
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"beampy.{name}")
    else:
        raise AttributeError(f"module 'beampy' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
