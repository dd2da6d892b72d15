"""Packages that an origin has and this process has not: what is decided about them, and what cannot be sent.

The rule: Python modules can be loaded from their origin, compiled ones cannot. A compiled module is refused with an
ImportError, which libraries with a fallback expect; a package that fails because of it says so as a whole. Place: under
shipped.py, whose `Space.missing` is what decides. It does not know how packages are installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from beampy.code.environment import command, missing, requirement_of
from beampy.errors import MissingPackage

if TYPE_CHECKING:
    from beampy.code.entry import Module

CAUSES: Final = 16  # exceptions looked through for the one that began it: libraries wrap import errors once or twice


class Missing(Protocol):
    """What is done about a package that is installed at an origin and not here."""

    def decide(self, entry: Module, node: str, origin_node: str) -> Literal["load", "installed"]:
        """Once for each such package, with its top module, when it is imported first; may block. MissingPackage.

        "load": load its Python modules from the origin. "installed": it can be imported here by now.
        """
        ...


class Load:
    """Load every missing package from its origin."""

    def decide(self, entry: Module, node: str, origin_node: str) -> Literal["load", "installed"]:
        return "load"


class Refused(ImportError):
    """A compiled module was asked for: it exists at the origin only."""

    def __init__(self, entry: Module, node: str) -> None:
        package = f" of {entry.package_name} {entry.package_version}" if entry.package_name else ""
        requirement = requirement_of(entry)
        remedy = f". What installs it: {command(requirement)}" if requirement else ""
        super().__init__(f"{entry.name}{package} is compiled for {node} and cannot be sent{remedy}", name=entry.name)
        self.entry = entry

    def __reduce__(self) -> tuple[Any, ...]:
        return _refused, (str(self), self.entry)


def _refused(text: str, entry: Module) -> Refused:
    """The same error on another node."""
    made = Refused.__new__(Refused, text)
    ImportError.__init__(made, text, name=entry.name)
    made.entry = entry
    return made


def refused(error: BaseException | None) -> Module | None:
    """The compiled module that this error comes from."""
    for _ in range(CAUSES):
        if error is None or isinstance(error, MissingPackage):
            return None
        if isinstance(error, Refused):
            return error.entry
        error = error.__cause__ or error.__context__
    return None


def needs_compiled(top: Module, compiled: Module, node: str, origin_node: str) -> MissingPackage:
    """The error of a package, with this top module, that cannot be imported on `node` without a compiled module."""
    why = f"its module {compiled.name} is compiled, and cannot be sent"
    package = compiled.package_name or top.name
    return missing(top._replace(package_name=package, package_version=compiled.package_version), node, origin_node, why)
