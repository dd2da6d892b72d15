"""Writes beampy/frames/SURFACE.md: every public name of polars' frames, and what it gives on frames of other nodes.

    python -m tests.stubs.surface_page            # writes it, for the polars that is installed
    python -m tests.stubs.surface_page --check    # exits with 1 where it is not what it would write

Place: beside frames.py, over the same beampy/frames/surface.py.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import polars as pl

from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.delegation import signature_of
from beampy.frames.frame import RemoteFrame
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.series import RemoteSeries
from beampy.frames.surface import (
    CLASSES,
    REFUSED_FUNCTIONS,
    Entry,
    Gives,
    class_of,
    functions,
    gives_of,
    namespaces,
    surface,
)
from tests.stubs.written_file import command

TARGET = Path(__file__).resolve().parents[2] / "beampy" / "frames" / "SURFACE.md"
VERSION = "Polars "
OPENING = """# What polars' names give on frames of other nodes

{version}. Written by `python -m tests.stubs.surface_page`, not by hand. A test walks polars' classes and calls each
name that can be called with simple arguments, and holds this to what came.

- A **RemoteDataFrame**, **RemoteSeries** or **RemoteLazyFrame** is there at once, and its data stays on the node.
- What gives values gives a **Handle** of what is said: `await` it, or take `.result()` on a thread. Frames in a list, a
  tuple or a dict stay on the node, too: what comes has handles of them.
- **Own** names do here what their documentation says: most change the handle, or bring one part after the other.
- Operators and items (`df + 1`, `series == other`, `df["a"]`, `series[0]`) give handles as polars' give frames and
  values. `len`, iteration, `in` and truth need an answer at once: they raise TypeError, with what to do instead.
- **Refused** names raise FrameRefused, an AttributeError, with what to do instead. Type checkers do not know them, and
  completion does not offer them.

{counts}
"""
COLUMNS = {
    Gives.FRAME: "RemoteDataFrame",
    Gives.SERIES: "RemoteSeries",
    Gives.LAZY: "RemoteLazyFrame",
    Gives.GROUPS: "RemoteGroupBy",
    Gives.WINDOWS: "RemoteWindowGroupBy",
    Gives.LAZY_GROUPS: "RemoteLazyGroupBy",
    Gives.VALUE: "Handle",
    Gives.NAMESPACE: "namespace",
    Gives.OURS: "own",
    Gives.REFUSED: "refused",
}
REMOTE = {"DataFrame": RemoteDataFrame, "LazyFrame": RemoteLazyFrame, "Series": RemoteSeries}


def written() -> str:
    """The whole page."""
    parts = [OPENING.format(version=f"{VERSION}{pl.__version__}", counts=_counts())]
    parts += [_section(f"polars.{kind}" if kind in REMOTE else kind, kind) for kind in CLASSES]
    parts += [_section(f"polars.Series.{space}", f"Series.{space}") for space in namespaces("Series")]
    parts.append(_functions())
    return "\n".join(parts)


def version_of(page: str) -> str:
    """The polars that a page was written for."""
    line = next(line for line in page.splitlines() if line.startswith(VERSION))
    return line.removeprefix(VERSION).partition(". ")[0]


def kinds() -> list[str]:
    """All classes, and the namespaces of a series."""
    return [*CLASSES, *(f"Series.{space}" for space in namespaces("Series"))]


def counts() -> dict[str, dict[Gives, int]]:
    """How many names of each class give what; those of the functions are the last."""
    found = {kind: _count(list(surface(kind).values())) for kind in kinds()}
    entries = [Entry(gives_of(name) or Gives.VALUE) for name in functions()]
    found["bp.frames.on(node)"] = _count([*entries, *(Entry(Gives.REFUSED) for _ in REFUSED_FUNCTIONS)])
    return found


def _count(entries: list[Entry]) -> dict[Gives, int]:
    return {gives: sum(entry.gives is gives for entry in entries) for gives in Gives}


def _counts() -> str:
    lines = [f"| | {' | '.join(COLUMNS.values())} | all |", f"|---|{'---:|' * (len(COLUMNS) + 1)}"]
    total = dict.fromkeys(COLUMNS, 0)
    for kind, found in counts().items():
        cells = [str(found[gives] or "") for gives in COLUMNS]
        lines.append(f"| {kind} | {' | '.join(cells)} | {sum(found.values())} |")
        total = {gives: total[gives] + found[gives] for gives in COLUMNS}
    cells = [str(each) for each in total.values()]
    lines.append(f"| **all** | {' | '.join(cells)} | {sum(total.values())} |")
    return "\n".join(lines)


def _section(title: str, kind: str) -> str:
    names = surface(kind)
    lines = [f"## {title}", ""]
    for gives in (
        Gives.FRAME,
        Gives.SERIES,
        Gives.LAZY,
        Gives.GROUPS,
        Gives.WINDOWS,
        Gives.LAZY_GROUPS,
        Gives.NAMESPACE,
    ):
        found = [name for name, entry in names.items() if entry.gives is gives]
        if found:
            lines += [f"{COLUMNS[gives]}: {', '.join(f'`{name}`' for name in found)}.", ""]
    values = [name for name, entry in names.items() if entry.gives is Gives.VALUE]
    if values:
        lines += ["| gives a Handle of | |", "|---|---|"]
        lines += [f"| `{_called(name, names[name])}` | {_value_of(kind, name)} |" for name in values] + [""]
    ours = [name for name, entry in names.items() if entry.gives is Gives.OURS]
    if ours:
        lines += ["| own | |", "|---|---|"]
        lines += [f"| `{_called(name, names[name])}` | {_own(kind, name)} |" for name in ours] + [""]
    refused = [name for name, entry in names.items() if entry.gives is Gives.REFUSED]
    if refused:
        lines += ["| refused | instead |", "|---|---|"]
        lines += [f"| `{name}` | {names[name].why} |" for name in refused] + [""]
    return "\n".join(lines)


def _functions() -> str:
    lines = ["## Functions, of `bp.frames.on(node)`", ""]
    for gives in (Gives.FRAME, Gives.SERIES, Gives.LAZY, Gives.VALUE):
        found = [name for name in functions() if gives_of(name) is gives]
        lines += [f"{COLUMNS[gives]}: {', '.join(f'`{name}`' for name in found)}.", ""]
    lines += ["| refused | instead |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in REFUSED_FUNCTIONS.items()] + [""]
    lines.append("Expressions (`pl.col`, `pl.when`, …) are made here, as ever: they travel with the method.\n")
    return "\n".join(lines)


def _called(name: str, entry: Entry) -> str:
    return name if entry.attribute else f"{name}()"


def _value_of(kind: str, name: str) -> str:
    static = inspect.getattr_static(class_of(kind), name)
    fn = static.fget if isinstance(static, property) else getattr(class_of(kind), name)
    said = str(signature_of(fn, Gives.VALUE).return_annotation)
    return f"`{said.removeprefix('Handle[').removesuffix(']')}`".replace("|", "\\|")


def _own(kind: str, name: str) -> str:
    """The first sentence of its documentation."""
    found = inspect.getattr_static(REMOTE[kind], name, None) or inspect.getattr_static(RemoteFrame, name)
    text = " ".join((inspect.getdoc(found) or "").partition("\n\n")[0].split())
    return text.replace("|", "\\|")


def main() -> int:
    return command(__doc__, TARGET, written())


if __name__ == "__main__":
    sys.exit(main())
