"""What comes with shipped code and is no code: package data for importlib.resources, metadata for importlib.metadata.

The rule: a package's files are listed once and read when they are opened. Place: beside loader.py, which hands these
out; above fetching.py. Imported when the first of them is asked for: importlib's own halves of it take a while.
"""

from __future__ import annotations

import io
from importlib.metadata import Distribution
from importlib.resources.abc import Traversable, TraversableResources
from typing import TYPE_CHECKING, Any

from beampy.errors import OriginLost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from beampy.code.entry import Module
    from beampy.code.fetching import Fetching


class Reader(TraversableResources):
    """The files of one package."""

    def __init__(self, fetching: Fetching, package: Module) -> None:
        self._fetching = fetching
        self._package = package

    def files(self) -> Resource:
        """The package's directory."""
        return Resource(self._fetching, self._package, ())


class Resource(Traversable):
    """A file or a directory of a package, by its parts below it."""

    def __init__(self, fetching: Fetching, package: Module, parts: tuple[str, ...]) -> None:
        self._fetching = fetching
        self._package = package
        self._parts = parts

    def __repr__(self) -> str:
        return f"<{'/'.join(self._parts) or 'data'} of {self._package.name} from {self._fetching.node}>"

    @property
    def name(self) -> str:
        return self._parts[-1] if self._parts else self._package.name.rpartition(".")[2]

    def _below(self) -> Iterator[tuple[str, ...]]:
        """The rest of the path of every file below this one."""
        depth = len(self._parts)
        for path in self._fetching.resources(self._package):
            parts = tuple(path.split("/"))
            if parts[:depth] == self._parts and len(parts) > depth:
                yield parts[depth:]

    def is_dir(self) -> bool:
        return not self._parts or any(True for _ in self._below())

    def is_file(self) -> bool:
        return "/".join(self._parts) in self._fetching.resources(self._package)

    def iterdir(self) -> Iterator[Resource]:
        """Files and directories, in the order of their names. NotADirectoryError."""
        if not self.is_dir():
            raise NotADirectoryError(str(self))
        for name in sorted({parts[0] for parts in self._below()}):
            yield Resource(self._fetching, self._package, (*self._parts, name))

    def joinpath(self, *descendants: Any) -> Resource:
        """What is there may not exist: opening it says so. ValueError: it would lie outside of the package."""
        parts = list(self._parts)
        for part in "/".join(str(each) for each in descendants).split("/"):
            if part == "..":
                if not parts:
                    raise ValueError(f"{descendants} lies outside of {self._package.name}")
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return Resource(self._fetching, self._package, tuple(parts))

    def __truediv__(self, child: Any) -> Resource:
        return self.joinpath(child)

    def read_bytes(self) -> bytes:
        """FileNotFoundError, IsADirectoryError; OriginLost."""
        if not self.is_file():
            if self.is_dir():
                raise IsADirectoryError(str(self))
            raise FileNotFoundError(str(self))
        return self._fetching.resource(self._package, "/".join(self._parts))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding or "utf-8", errors) as file:
            return file.read()

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """A file object for reading. ValueError: another mode."""
        if mode not in ("r", "rb", "rt"):
            raise ValueError(f"{self} can only be read, not opened as {mode!r}")
        file = io.BytesIO(self.read_bytes())
        if mode == "rb":
            return file
        if not args:
            kwargs.setdefault("encoding", "utf-8")
        return io.TextIOWrapper(file, *args, **kwargs)


def distributions(fetching: Fetching, name: str) -> list[Distribution]:
    """The distribution of this name, which came from an origin; [] if that tells nothing of it, or cannot any more."""
    try:
        texts = fetching.metadata(name)
    except OriginLost:
        return []
    return [ShippedDistribution(texts)] if "METADATA" in texts or "PKG-INFO" in texts else []


class ShippedDistribution(Distribution):
    """The metadata of a package that came from an origin; its files are not here."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def read_text(self, filename: str) -> str | None:
        return self._texts.get(str(filename))

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(f"{path} is at the origin of this package, not here")
