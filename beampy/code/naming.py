"""Which name each package of an origin goes by in this process: its own, a prefixed one, or that of an equal one here.

The rule, for each unit (a top-level module or package, or what is right below a package without an __init__):

    installed there, and here too, in whatever version      OWN: this process's
    here too, equal source, and so all that it needs        OWN: the same code is there once
    here too, otherwise                                     PREFIXED
    not here, and another origin has the name               PREFIXED
    not here                                                PLAIN

What is PLAIN or PREFIXED stays so; what is OWN becomes PREFIXED when the origin changes it. Place: under shipped.py,
above here.py. It imports nothing and asks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from beampy.code.entry import NAMESPACE, SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from beampy.code.entry import Module
    from beampy.code.here import Here

OWN: Final = "own"
PLAIN: Final = "plain"
PREFIXED: Final = "prefixed"


class Names:
    """The names of one origin's modules. `entries` is what is known, and grows; `hold` takes a free plain name."""

    def __init__(self, label: str, entries: Mapping[str, Module], here: Here, hold: Callable[[str], bool]) -> None:
        self.label = label
        self._entries = entries
        self._here = here
        self._hold = hold
        self._places: dict[str, str] = {}
        self._prefixed: set[str] = set()  # units, and the packages without an __init__ above them
        self._mapped: set[str] | None = None  # what `mapped` says; None: to be found out

    # ---- questions ----

    def unit(self, name: str) -> str:
        """The package, or module, whose place is this one's."""
        unit, _, rest = name.partition(".")
        while rest:
            entry = self._entries.get(unit)
            if entry is None or entry.kind != NAMESPACE:
                break
            part, _, rest = rest.partition(".")
            unit = f"{unit}.{part}"
        return unit

    def place(self, name: str) -> str | None:
        """OWN, PLAIN or PREFIXED; None: nothing is known of it."""
        unit = self.unit(name)
        place = self._places.get(unit)
        if place is None and unit in self._entries:
            self.settle()
            place = self._places.get(unit)
        return place

    def here(self, name: str) -> str:
        """The name that this module goes by here."""
        return f"{self.label}.{name}" if self.place(name) == PREFIXED else name

    def there(self, fullname: str) -> str:
        """The name at the origin of what goes by this name here."""
        return fullname[len(self.label) + 1 :] if fullname.startswith(f"{self.label}.") else fullname

    def prefixed(self, name: str) -> bool:
        """Whether this module, or something below it, goes by a prefixed name."""
        return self.place(name) == PREFIXED or name in self._prefixed

    def mapped(self, name: str) -> bool:
        """Whether this module, or something that it needs, goes by a prefixed name."""
        if not self._prefixed:
            return False
        found = self._mapped
        if found is None:
            found = self._mapped = self._importers()
        return name in found

    def _importers(self) -> set[str]:
        """The prefixed modules, and all that need one of them, however far."""
        importers: dict[str, list[str]] = {}
        entries = list(self._entries.values())
        for entry in entries:
            for need in (*entry.needs, entry.name.rpartition(".")[0]):
                importers.setdefault(need, []).append(entry.name)
        todo = [entry.name for entry in entries if self.place(entry.name) == PREFIXED]
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(importers.get(name, ()))
        return found

    def reach(self, names: Iterable[str], through: Callable[[Module], bool] = lambda _: True) -> list[Module]:
        """The known modules of these names, their parents, and what they need; not past what is not `through`."""
        found: dict[str, Module] = {}
        todo = list(names)
        while todo:
            name = todo.pop()
            entry = self._entries.get(name)
            if name in found or entry is None or not through(entry):
                continue
            found[name] = entry
            todo.extend(entry.needs)
            parent = name.rpartition(".")[0]
            if parent:
                todo.append(parent)
        return list(found.values())

    def known(self) -> dict[str, Module]:
        """All that the origin has told of, by name."""
        return dict(self._entries)

    # ---- decisions ----

    def settle(self) -> None:
        """More is known: give every known unit its place. Any number of threads: they find the same."""
        self._mapped = None
        members: dict[str, list[Module]] = {}
        for entry in list(self._entries.values()):
            members.setdefault(self.unit(entry.name), []).append(entry)
        found: dict[str, str] = {}
        for unit, modules in members.items():
            place = self._places.get(unit)
            found[unit] = place if place in (PLAIN, PREFIXED) else self._look(unit, modules)
        changed = True
        while changed:  # at most once for each unit
            changed = False
            for unit, modules in members.items():
                if found[unit] == OWN and not self._trusted(unit) and self._leaves(modules, found):
                    found[unit], changed = PREFIXED, True
        for unit, place in found.items():
            if self._places.get(unit) in (PLAIN, PREFIXED):
                continue
            self._put(unit, place if place != PLAIN or self._hold(unit) else PREFIXED)

    def _look(self, unit: str, modules: list[Module]) -> str:
        """As this unit alone would have it."""
        here = self._here
        if unit == "beampy" or unit.startswith("beampy."):
            return OWN
        top = unit.partition(".")[0]
        if top != unit and here.regular(top):
            return PREFIXED
        if not here.has(unit):
            return PLAIN
        entry = self._entries.get(unit)
        if entry is not None and entry.kind == NAMESPACE:
            return PREFIXED if here.regular(unit) else OWN
        if self._trusted(unit):
            return OWN
        return OWN if all(self._equal(module) for module in modules) else PREFIXED

    def _equal(self, module: Module) -> bool:
        """Whether this process's own module is the same. Of a compiled one, which cannot be sent: if there is one."""
        if module.kind == SOURCE:
            return self._here.digest(module.name) == module.digest
        return self._here.has(module.name)

    def _trusted(self, unit: str) -> bool:
        """Whether it is installed at the origin and here: then each uses its own."""
        entry = self._entries.get(unit)
        return unit == "beampy" or (
            entry is not None
            and bool(entry.package_name)
            and (self._here.installed(entry.package_name) or self._here.in_site(unit))
        )

    def _leaves(self, modules: list[Module], found: Mapping[str, str]) -> bool:
        """Whether some of these need something that is not this process's own."""
        for module in modules:
            if self.strange(module):
                return True
            for need in module.needs:
                if need in self._entries and found.get(self.unit(need), OWN) != OWN:
                    return True
        return False

    def strange(self, module: Module) -> bool:
        """Whether it needs a package that is not here, and of which nothing else is known yet."""
        return any(need not in self._entries and not self._here.has(need.partition(".")[0]) for need in module.needs)

    def again(self) -> None:
        """The origin was gone, and its plain names were free for others."""
        for unit in [unit for unit, place in self._places.items() if place == PLAIN and not self._hold(unit)]:
            self._put(unit, PREFIXED)

    def own(self, unit: str) -> None:
        """This unit was installed here now."""
        self._put(unit, OWN)

    def prefix(self, unit: str) -> None:
        """What this process has by this name turned out to be something else."""
        self._put(unit, PREFIXED)

    def _put(self, unit: str, place: str) -> None:
        if self._places.get(unit) == place:
            return
        self._places[unit] = place
        if place == PREFIXED:
            parts = unit.split(".")
            self._prefixed.update(".".join(parts[: at + 1]) for at in range(len(parts)))
        self._mapped = None
