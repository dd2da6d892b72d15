"""`bp.frames.over(nodes)`: files that several nodes scan, as one frame.

    there = bp.frames.over(["b@host", "c@host"])
    flights = there.scan_parquet("flights/*.parquet")      # a PartitionedFrame: a partition for each file

Rule: every node sees the same files under the same paths: a shared directory, or a copy on each. The first node
that can be reached lists them, in the order of their names; they are dealt out by size, and each is scanned by one
node, another one where that is lost.

Place: makes what partitions.py calls Files. `listed` runs on the node.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beampy.core.ids import full_name
from beampy.errors import NodeDown, NotConnected, NotPartitioned
from beampy.frames.asking import local_node
from beampy.frames.partitions import Files
from beampy.frames.separable import REMEDY
from beampy.frames.tree import Call
from beampy.refs.verbs import VerbCaller

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from beampy.frames.partitioned import PartitionedFrame

# By function: the endings of the files that are taken from a directory.
ENDINGS = {
    "scan_parquet": (".parquet", ".pq", ".parq"),
    "scan_csv": (".csv", ".csv.gz", ".csv.zst", ".tsv"),
    "scan_ndjson": (".ndjson", ".jsonl"),
    "scan_ipc": (".arrow", ".ipc", ".feather"),
}
HIVE = ("scan_parquet", "scan_ipc")  # which take columns from the names of directories
# What a scan may be told that is about all rows, and would be about those of each file.
WHOLE = ("n_rows", "row_index_name")
FILES = 100_000  # that are listed at most: more partitions than a query over nodes can be for


class Over:
    """Several nodes that scan files: `bp.frames.over(nodes)`. Arguments are those of polars' functions.

    Each of these gives a PartitionedFrame with a partition for each file. `source` is a path, a pattern, a directory,
    or a list of them, as the nodes see them; the files of a pattern, or of a directory and those in it, are in the
    order of their names. FileNotFoundError from the first query where there is none.
    """

    def __init__(self, nodes: list[str]) -> None:
        self.nodes = nodes

    def scan_parquet(self, source: Any, **options: Any) -> PartitionedFrame:
        """Files of Parquet.

        >>> flights = bp.frames.over(nodes).scan_parquet("flights/*.parquet")
        """
        return self._scan("scan_parquet", source, options)

    def scan_csv(self, source: Any, **options: Any) -> PartitionedFrame:
        """Files of CSV. Types are guessed for each file: `schema_overrides` says them, where guesses differ."""
        return self._scan("scan_csv", source, options)

    def scan_ndjson(self, source: Any, **options: Any) -> PartitionedFrame:
        """Files of one JSON object a line. Types are guessed for each file: `schema` says them."""
        return self._scan("scan_ndjson", source, options)

    def scan_ipc(self, source: Any, **options: Any) -> PartitionedFrame:
        """Files of Arrow IPC."""
        return self._scan("scan_ipc", source, options)

    def _scan(self, name: str, source: Any, options: dict[str, Any]) -> PartitionedFrame:
        from beampy.frames.partitioned import PartitionedFrame

        for option in WHOLE:
            if options.get(option) is not None:
                raise NotPartitioned(f"{name}({option}=…)", "it would be of each file, and not of all", REMEDY)
        node = local_node("over")
        sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
        paths = [os.fspath(each) for each in sources]
        what = f"{name} of {', '.join(paths)[:100]}"
        plain = options.get("glob") is False

        async def ask() -> Any:
            for number, first in enumerate(self.nodes):
                try:
                    return await VerbCaller(what)(first, listed, paths, ENDINGS[name], plain)
                except (NodeDown, NotConnected):
                    if number + 1 == len(self.nodes):
                        raise
            raise AssertionError("there is a node")

        return PartitionedFrame(Files(node, self.nodes, lambda path: of_file(name, path, paths, options), ask))

    def __repr__(self) -> str:
        return f"<polars over {', '.join(self.nodes)}>"


def of_file(name: str, path: str, sources: Sequence[str], options: dict[str, Any]) -> Call:
    """The scan of one of the files of `sources`. Its name is no pattern, and in a directory that polars would scan as a
    whole, `month=1/a.parquet` has the column `month`, as there."""
    known = options
    if name in HIVE and len(sources) == 1 and options.get("hive_partitioning") is None:
        below = path.removeprefix(sources[0]) if path.startswith(sources[0]) and path != sources[0] else ""
        if "=" in os.path.dirname(below) and not glob.has_magic(sources[0]):
            known = {**options, "hive_partitioning": True}
    plain = "://" in path or options.get("glob") is False
    return Call(name, (path if plain else glob.escape(path),), known)


def over(nodes: Iterable[str]) -> Over:
    """Several nodes that scan files together. ValueError for none, and for one twice.

    >>> flights = bp.frames.over(["b@host", "c@host"]).scan_parquet("flights/*.parquet")
    >>> await flights.group_by("carrier").agg(pl.col("arr_delay").mean()).collect()
    """
    if isinstance(nodes, str):
        raise TypeError(
            f"frames.over: it takes several nodes, ['a@host', 'b@host'], and not {nodes!r}; on(…) is of one"
        )
    names = [full_name(node) for node in nodes]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"frames.over: nodes are some different ones, not {names!r}")
    return Over(names)


def listed(sources: Sequence[str], endings: tuple[str, ...], plain: bool = False) -> list[tuple[str, int]]:
    """On a node: the files of paths, patterns and directories, with their sizes in bytes. FileNotFoundError.

    plain: no path is a pattern, whatever is in its name.
    """
    found: list[tuple[str, int]] = []
    for source in sources:
        if "://" in source:  # a store: it is one file, of a size that nobody knows here
            found.append((source, 0))
            continue
        pattern = not plain and glob.has_magic(source)
        paths = _files(source, endings, pattern)
        if not paths:
            where = "no file is like this" if pattern else "no such file or directory"
            if os.path.isdir(source):
                where = f"no file in this directory ends with {', '.join(endings)}"
            raise FileNotFoundError(f"{source}: {where}")
        found += [(path, os.path.getsize(path)) for path in paths]
        if len(found) > FILES:
            raise ValueError(f"{source}: more than {FILES} files; each would be a partition")
    return found


def _files(source: str, endings: tuple[str, ...], pattern: bool) -> list[str]:
    if os.path.isdir(source):
        every = (str(path) for path in Path(source).rglob("*") if path.is_file())
        return sorted(path for path in every if path.endswith(endings))
    if pattern:
        return sorted(path for path in glob.glob(source, recursive=True) if os.path.isfile(path))
    return [source] if os.path.exists(source) else []
