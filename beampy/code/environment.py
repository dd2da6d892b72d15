"""What a node does about a package that code needs and that is not installed here: refuse, load it from there, install.

The rule: what is installed here stays as it is. What is added is found after everything else, and is of the versions
that the origin has and that go with those here. Place: the receiver's finder asks, in a thread, once for a top-level
package that its origin has from a distribution. It does not know how code is loaded, nor who may send any.

    off      MissingPackage, with the command that installs it
    pure     the origin's source is loaded like a local module's; compiled modules are refused
    install  uv or pip installs the origin's version into a directory that this user's processes share
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import os
import re
import shlex
import site
import sys
import sysconfig
import threading
import time
from typing import TYPE_CHECKING, Final, Literal

from beampy.code.deps import directories, importable, normalised, packages
from beampy.code.entry import COMPILED
from beampy.code.environment_cache import LIMIT, EnvironmentCache, Held
from beampy.code.installer import Installer, InstallFailed, Job, has_pip, uv
from beampy.errors import MissingPackage, VersionSkew

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from beampy.code.entry import Module

log = logging.getLogger("beampy.code")

Kind = Literal["off", "pure", "install"]

# Seconds for one installation, the wait for others included: 3 GB, torch with its GPU libraries, at 100 Mbit/s are
# four minutes, and it is to be unpacked as well.
DEADLINE: Final = 600.0
# Seconds in which what failed is not tried again: a call in a loop would start an installer each time.
FAILED_FOR: Final = 60.0
# Failures remembered. More than this at once: all are forgotten.
FAILURES: Final = 256

# What the names of packages look like, and versions (PEP 508, PEP 440): another node states them, and a program gets
# them as arguments.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION: Final = re.compile(
    r"(?:\d+!)?\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?(?:\+[a-z0-9]+(?:[._-][a-z0-9]+)*)?", re.I
)
# Settings of pip and uv that decide what is found. Their files are not looked at.
_SETTINGS: Final = tuple(
    f"{tool}_{name}"
    for tool in ("PIP", "UV")
    for name in (
        *("INDEX_URL", "EXTRA_INDEX_URL", "DEFAULT_INDEX", "INDEX", "FIND_LINKS", "NO_INDEX", "INDEX_STRATEGY"),
        *("PRE", "PRERELEASE", "CONSTRAINT", "OVERRIDE", "EXCLUDE_NEWER", "ONLY_BINARY", "NO_BINARY", "NO_BUILD"),
    )
)

# The path is one for the process, so one installation at a time: each is resolved with what the one before added.
_installing = threading.Lock()
_added: dict[str, Held] = {}  # what was put on sys.path, for the life of the process


def _in_child() -> None:
    global _installing
    _installing = threading.Lock()  # the thread that held it is not in this process


os.register_at_fork(after_in_child=_in_child)


class Policy:
    """What `node` does about missing packages: `kind` is "off", "pure" or "install".

    Environments are made in `cache`, by default in $BEAMPY_ENVIRONMENTS or ~/.cache/beampy/environments, of at most
    `limit` bytes together; `installer` is "uv", "pip", or None: uv if there is one, else pip. `deadline` is in seconds.
    ValueError: another kind, another installer. RuntimeError: packages are to be installed, and there is no home.

    >>> Policy("pure", "b@h").kind
    'pure'
    """

    def __init__(
        self,
        kind: Kind = "off",
        node: str = "",
        cache: str | os.PathLike[str] | None = None,
        installer: str | None = None,
        *,
        limit: int = LIMIT,
        deadline: float = DEADLINE,
    ) -> None:
        if kind not in ("off", "pure", "install"):
            raise ValueError(f"missing packages are a case for 'off', 'pure' or 'install', not for {kind!r}")
        self.kind: Kind = kind
        self.node = node
        self._cache = EnvironmentCache(cache, limit) if kind == "install" else None
        self._installer = Installer(installer)
        self._deadline = deadline
        self._failed: dict[str, tuple[float, str]] = {}  # why, and until when that is taken for an answer

    def decide(self, entry: Module, node: str, origin_node: str) -> Literal["load", "installed"]:
        """What to do for `entry`, a module of `origin_node` that `node` could not import.

        "load": load the origin's. "installed": it can be imported here now. Raises MissingPackage.
        It may take as long as an installation: in a thread only, never on an event loop.
        """
        importlib.invalidate_caches()  # directories are compared by their change times, which are not exact
        if importable(entry.name):
            return "installed"  # since it was looked for
        here = packages().get(normalised(entry.package_name)) if entry.package_name else None
        if here is not None:
            why = f"{entry.package_name} {here} is installed here, and has no such module"
            if here == entry.package_version:
                raise missing(entry, node, origin_node, why, ["--force-reinstall", "--no-deps"])
            raise missing(entry, node, origin_node, why)
        if entry.kind != COMPILED and (self.kind == "pure" or not entry.package_name):
            return "load"
        if self.kind == "install" and entry.package_name:
            self._install(entry, node, origin_node)
            return "installed"
        if entry.kind == COMPILED:
            raise missing(entry, node, origin_node, "it is compiled, and this node does not install packages")
        raise missing(entry, node, origin_node, "this node neither loads packages from others nor installs them")

    def close(self) -> None:
        """End an installation that runs; it fails, and so do all later ones. Returns at once."""
        self._installer.stop()

    def _install(self, entry: Module, node: str, origin_node: str) -> None:
        requirement = requirement_of(entry)
        if not requirement:
            raise missing(entry, node, origin_node, "no index has a package of this name and version")
        until, why = self._failed.get(requirement, (0.0, ""))
        if time.monotonic() < until:
            raise missing(entry, node, origin_node, why)
        deadline = time.monotonic() + self._deadline
        if not _installing.acquire(timeout=self._deadline):
            raise missing(entry, node, origin_node, "another package was being installed all the time")
        try:
            if importable(entry.name):
                return  # another thread asked for the same
            add(self._environment(requirement, normalised(entry.package_name), deadline))
            if not importable(entry.name):
                raise InstallFailed(f"{requirement} was installed, and has no such module")
        except (InstallFailed, TimeoutError, OSError) as failed:
            if len(self._failed) >= FAILURES:
                self._failed.clear()
            why = str(failed).rstrip(".")
            self._failed[requirement] = time.monotonic() + FAILED_FOR, why
            raise missing(entry, node, origin_node, why) from failed
        finally:
            _installing.release()

    def _environment(self, requirement: str, name: str, deadline: float) -> Held:
        """The environment for this requirement on top of what is here, made if need be."""
        here = {each: version for each, version in packages().items() if each != name and _VERSION.fullmatch(version)}
        key = key_of([requirement, *[f"{each}=={version}" for each, version in here.items()]], os.environ)
        assert self._cache is not None  # the kind is "install"
        while True:
            held = self._cache.hold(key)
            if held is not None:
                return held
            with self._cache.making(key, deadline) as making:
                if making is not None:
                    log.info("%s is installed for %s", requirement, self.node or "this node")
                    job = Job(requirement, making.site, here, _unknown_directories(), deadline, [making.lock])
                    if not self._installer.install(job):
                        raise InstallFailed(f"{requirement} is here already, as the installer says")
                    making.complete()
            held = self._cache.hold(key)
            if held is not None:
                with contextlib.suppress(OSError):  # one that another process is at
                    self._cache.sweep()
                return held
            if time.monotonic() >= deadline:
                raise TimeoutError("others remove the environment as fast as it is made")


# ---- what is here ----


def _unknown_directories() -> list[str]:
    """Where packages are that a new Python would not find by itself: PYTHONPATH may have them, or a program its own."""
    known = {os.path.abspath(place) for place in (*site.getsitepackages(), site.getusersitepackages())}
    return [directory for directory in directories() if directory not in known]


def add(held: Held) -> None:
    """Put an environment on sys.path, after everything else, for the life of the process: its .pth files are not read.

    One that is there already stays where it is.
    """
    directory = str(held.site)
    if directory in _added:
        held.release()
        return
    _added[directory] = held
    sys.path.append(directory)
    importlib.invalidate_caches()


def key_of(requirements: Sequence[str], environ: Mapping[str, str]) -> str:
    """The key of an environment: of the requirements in any order, this Python's minor version and platform, and of
    the settings that decide what an installer finds. 32 hex characters; no setting can be read from it.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")  # the minor version, the C library and the build
    lines = [*sorted(requirements), sys.implementation.cache_tag, suffix, sysconfig.get_platform()]
    settings = [f"{name}={environ[name]}" for name in _SETTINGS if environ.get(name)]
    return hashlib.sha256("\0".join([str(line) for line in [*lines, *settings]]).encode()).hexdigest()[:32]


# ---- what to say ----


def requirement_of(entry: Module) -> str:
    """`name==version` of the package that this module is from, `name` without a version; "" for what is neither."""
    if not _NAME.fullmatch(entry.package_name):
        return ""
    if not entry.package_version:
        return entry.package_name
    return f"{entry.package_name}=={entry.package_version}" if _VERSION.fullmatch(entry.package_version) else ""


def command(requirement: str, options: Sequence[str] = ()) -> str:
    """What to type to install this for the Python that runs here.

    >>> command("networkx==3.4").endswith("install 'networkx==3.4'")
    True
    """
    words = [sys.executable or "python3", "-m", "pip", "install"]
    if not has_pip() and uv() is not None:
        words = ["uv", "pip", "install", "--python", sys.executable or "python3"]
        options = [{"--force-reinstall": "--reinstall"}.get(option, option) for option in options]
    return f"{shlex.join([*words, *options])} '{requirement}'"  # which has no quotes: see _NAME and _VERSION


def missing(entry: Module, node: str, origin_node: str, why: str, options: Sequence[str] = ()) -> MissingPackage:
    """The error for a module that `node` has not and does not get, with the command that helps."""
    requirement = requirement_of(entry)
    remedy = f"Run on {node}: {command(requirement, options)}" if requirement else f"Install it on {node}"
    return MissingPackage(entry.name, entry.package_name, entry.package_version, node, origin_node, why, remedy)


def skewed(what: object, entry: Module, node: str, origin_node: str) -> VersionSkew | None:
    """The error for something that the package installed here has not, if it has another version than the origin.

    None: both have the same version, or this node has not got the package, or it is none.
    """
    name = entry.package_name
    here = packages().get(normalised(name)) if name else None
    requirement = requirement_of(entry)
    if here is None or here == entry.package_version or not requirement:
        return None
    there = f"{name} {entry.package_version}"
    return VersionSkew(what, node, f"{name} {here}", origin_node, there, f"Run on {node}: {command(requirement)}")
