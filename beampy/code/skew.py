"""Version skew: what is missing here because a package has another version here than at the origin.

The rule: it is looked at only when something was not found, and says nothing where versions are equal. Place: around
what hook.py reads and looks up; the comparison itself is environment.py's. It does not know how things are looked up.
"""

from __future__ import annotations

import contextlib
import re
from types import ModuleType
from typing import TYPE_CHECKING, Final

from beampy.code.environment import skewed
from beampy.errors import BeampyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beampy.code.space import Space

# What pickle says, which names neither as an attribute of the error. From CPython's _pickle.c, 3.11 to 3.13.
_UNPICKLED: Final = re.compile(r"Can't get attribute '([\w.]+)' on <module '([\w.]+)'")


@contextlib.contextmanager
def compared(space: Space, node: str) -> Iterator[None]:
    """Inside, what `node` has not and the origin of this space has is VersionSkew, if the package's versions differ.

    It may ask the origin: in a thread. Whatever else is raised inside is left as it is.
    """
    try:
        yield
    except (AttributeError, ImportError) as error:
        module, name = missing_in(error)
        if isinstance(error, BeampyError) or not module:
            raise
        try:
            entry = space.entry(space.names.there(module))
        except BeampyError:  # it cannot be asked
            entry = None
        found = None if entry is None else skewed(f"{module}.{name}".rstrip("."), entry, node, space.node)
        if found is None:
            raise
        raise found from error


def missing_in(error: AttributeError | ImportError) -> tuple[str, str]:
    """The module that this error is about, and what it has not; "" for either where it is not said.

    >>> missing_in(ModuleNotFoundError("No module named 'a.b'", name="a.b"))
    ('a.b', '')
    """
    if isinstance(error, ImportError):
        return error.name or "", getattr(error, "name_from", None) or ""  # name_from: 3.12
    if isinstance(error.obj, ModuleType):
        return error.obj.__name__, error.name or ""
    unpickled = _UNPICKLED.match(str(error))
    return (unpickled[2], unpickled[1]) if unpickled else ("", "")
