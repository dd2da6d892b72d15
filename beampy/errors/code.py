"""The errors of code that travels: see the package's docstring."""

from __future__ import annotations

from typing import Any

from beampy.errors.root import BeampyError, _shown


class CodeRefused(BeampyError):
    """`node` takes no code from others (`accept_code=False`), and `what` is not installed there."""

    def __init__(self, node: str, what: str) -> None:
        super().__init__(node, what)
        self.node = node
        self.what = what

    def __str__(self) -> str:
        return (
            f"{self.node} accepts no code from other nodes, and it needs {self.what}. "
            "Install it there, or start that node with accept_code=True"
        )


class OriginLost(BeampyError, ImportError):
    """Code is needed whose origin, `node`, does not answer; `what` names it, `why` says what went wrong."""

    def __init__(self, node: str, what: str, why: str) -> None:
        super().__init__(node, what, why)
        self.node = node
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return f"{self.what} is needed from {self.node}, which does not answer: {self.why}"


class MissingPackage(BeampyError, ModuleNotFoundError):
    """`module` belongs to a package that `node` has not, and that cannot be sent to it; `remedy` is what to do there.

    `package` and `version` are those of the node that uses it, `origin`.
    """

    def __init__(self, module: str, package: str, version: str, node: str, origin: str, why: str, remedy: str) -> None:
        super().__init__(module, package, version, node, origin, why, remedy)
        self.name = module
        self.package = package
        self.version = version
        self.node = node
        self.origin = origin
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        what = f"{self.package} {self.version}".strip() or self.name
        return f"{self.node} has no {what}, which {self.origin} uses (module {self.name}): {self.why}. {self.remedy}"


class VersionSkew(BeampyError):
    """Two nodes have different versions of something, and here it matters: `what` cannot be used.

    `here` and `there` are what each has, as text: "Python 3.11", "numpy 1.26".
    """

    def __init__(self, what: Any, node: str, here: str, origin: str, there: str, remedy: str) -> None:
        super().__init__(what, node, here, origin, there, remedy)
        self.what = what
        self.node = node
        self.here = here
        self.origin = origin
        self.there = there
        self.remedy = remedy

    def __str__(self) -> str:
        return (
            f"{_shown(self.what)} cannot be used on {self.node}, which has {self.here}: "
            f"{self.origin} has {self.there}. {self.remedy}"
        )


# Why a message could not be read whose code cannot be had: its sender is told this, and not that it was unreadable.
OF_CODE = CodeRefused, OriginLost, MissingPackage, VersionSkew
