"""This process's modules as their files are now, whatever has been imported: what a name in a call means.

`remote_call(node, "helpers.fn")` names no object of this process, so an edit that nobody has reloaded counts. Where it
does, the module is taken from an origin of its own, so that both live beside each other on the other node: as imported
here, for functions that are sent, and as in the file, for names. Place: beside origin.py.
"""

from __future__ import annotations

from beampy.code.manifest import digest
from beampy.code.origin import Origin, here
from beampy.code.origin_records import Records


class FileRecords(Records):
    """Records of modules that nobody has imported."""

    def imported(self, name: str) -> object:
        return None


def files_of(origin: str) -> str:
    """The id of the origin that the files of a process are, from that of the process."""
    return digest(b"files" + origin.encode()).hex()[:16]


_files: Origin | None = None


def files() -> Origin:
    """The origin that this process's files are."""
    global _files
    wanted = files_of(here().id)
    if _files is None or _files.id != wanted:  # for the first time, or in a forked child
        _files = Origin(FileRecords(), wanted)
    return _files


def offered(origin: str) -> Origin | None:
    """The origin of this process that has this id."""
    if origin == here().id:
        return here()
    return files() if origin == files_of(here().id) else None
