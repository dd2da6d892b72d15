"""What an origin says about a module, and how a receiver asks: the words that both sides share.

An *origin* is a Python process whose code it is. Place: between origin.py, which answers, and space.py, which asks; the
two meet over link.py. It does not know how either does its part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE: Final = "source"  # Python source that can be sent
NAMESPACE: Final = "namespace"  # a package without an __init__: a name, and nothing to send
COMPILED: Final = "compiled"  # an extension module: it exists there and cannot be sent
ABSENT: Final = "absent"  # the origin has no such module either


class Module(NamedTuple):
    """An entry of an origin's manifest. Plain data.

    name     its dotted name there
    kind     SOURCE, NAMESPACE, COMPILED or ABSENT
    package  whether it has submodules
    digest   of its source, 16 bytes; b"" where there is none
    version  a number of the origin, raised when the module, or something that it imports, was changed
    path     its file there, "" where there is none
    needs    the modules of the origin, stdlib excepted, that its code imports, as far as that can be read from it
    package_name, package_version
             the distribution it was installed from ("networkx", "3.4"); both "" for local code
    """

    name: str
    kind: str
    package: bool = False
    digest: bytes = b""
    version: int = 0
    path: str = ""
    needs: tuple[str, ...] = ()
    package_name: str = ""
    package_version: str = ""


class Source(Protocol):
    """Where the code of one origin can be had. Every method may take a while: never on an event loop.

    All raise OriginLost when nobody answers.
    """

    def entries(self, names: Sequence[str]) -> list[Module]:
        """The entries of these modules, and of all that come with them; ABSENT for what is not there."""
        ...

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        """Source by digest, and its marshalled code where the origin's Python has this magic number."""
        ...

    def resources(self, package: str) -> list[str]:
        """The files of a package that are no modules, as relative paths with slashes."""
        ...

    def resource(self, package: str, path: str) -> bytes:
        """One of them. FileNotFoundError."""
        ...

    def metadata(self, distribution: str) -> dict[str, str]:
        """The texts that describe an installed distribution, by file name ("METADATA", …); {}: not installed there."""
        ...

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Recipes of definitions by digest, and of all that they refer to."""
        ...
