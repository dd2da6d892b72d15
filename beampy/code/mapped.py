"""Imports of code whose modules go by other names here: `import helpers` there means `<space>.helpers` here.

The rule: shipped code names modules as its origin does. Where one of them is prefixed, the code that imports it gets an
`__import__` of its own, and functions that take a module's name look for the code that calls them. Place: between
space.py, which knows the names, and importlib. It does not know why a name is prefixed.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import pkgutil
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from beampy.code.finder import current_space
from beampy.code.missing import Refused
from beampy.errors import MissingPackage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from beampy.code.shipped import Space
    from beampy.code.space import Spaces

# importlib's own, for those who have the name that a module goes by here.
import_module: Final = importlib.import_module


def builtins_of(space: Space) -> dict[str, Any]:
    """The `__builtins__` of modules of this space whose imports are mapped."""

    def mapped(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        here = space.renamed(name) if level == 0 else ""
        if not here:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if fromlist:
            return builtins.__import__(here, globals, locals, fromlist, 0)
        builtins.__import__(here)
        top = here[: len(here) - len(name)] + name.partition(".")[0]
        return sys.modules.get(top) or import_module(top)

    return {**vars(builtins), "__import__": mapped}


# Functions that take a module's name as it is written in the code that calls them, and the parameter that it is. What
# importlib.resources, pkgutil.resolve_name and unittest.mock take is looked up through the first of these. Where that
# name is relative, the next parameter has the package that it starts from.
_BY_NAME: Final = (
    (importlib, "import_module", ("name", "package")),
    (importlib.util, "find_spec", ("name", "package")),
    (pkgutil, "get_data", ("package",)),
)


class ByName:
    """Makes the functions that take a module's name know prefixed ones, as long as it is installed."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._installed: list[tuple[ModuleType, str, Callable[..., Any], Callable[..., Any]]] = []

    def install(self) -> None:
        for module, function, parameters in _BY_NAME:
            plain = getattr(module, function)
            wrapper = self._wrapper(plain, parameters)
            setattr(module, function, wrapper)
            self._installed.append((module, function, plain, wrapper))

    def remove(self) -> None:
        """Put back what was there, unless others have replaced it too."""
        while self._installed:
            module, function, plain, wrapper = self._installed.pop()
            if getattr(module, function) is wrapper:
                setattr(module, function, plain)

    def _wrapper(self, plain: Callable[..., Any], parameters: tuple[str, ...]) -> Callable[..., Any]:
        spaces = self._spaces

        # Libraries ask for the spec of what they can do without; they take None, and no error.
        absent = (MissingPackage, Refused) if plain is importlib.util.find_spec else ()

        @wraps(plain)
        def by_name(*args: Any, **kwargs: Any) -> Any:
            try:
                for at, parameter in enumerate(parameters if spaces else ()):
                    name = args[at] if at < len(args) else kwargs.get(parameter)
                    if type(name) is not str:
                        break
                    if name.startswith("."):
                        continue
                    top = name.partition(".")[0]
                    if top in sys.stdlib_module_names and top not in spaces.tops:
                        break
                    space = current_space(sys._getframe(1))
                    here = space.renamed(name) if space is not None else ""
                    if here and at < len(args):
                        args = (*args[:at], here, *args[at + 1 :])
                    elif here:
                        kwargs[parameter] = here
                    break
                return plain(*args, **kwargs)
            except absent:
                return None

        return by_name
