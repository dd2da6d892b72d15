"""The questions of completion and hover, and how they reach the node that can answer: with a deadline, and kept.

Rule: none of this waits longer than its deadline, starts a node in the thread that asks, or raises: None is "not known
in time". What the kernel itself knows is not asked for elsewhere. All questions of one answer share one deadline.

Place: over asking.py, which has the breaker and the answers, and remote_names.py, which runs on the node. It does not
know what the answers are for.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from beampy.code.browse_paths import Search
from beampy.core import current
from beampy.notebook import remote_names as there
from beampy.notebook.asking import BUDGET, Asker

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from beampy.notebook.asking import Flight
    from beampy.notebook.remote_names import Facts
    from beampy.notebook.scope import Target

    Names = list[tuple[Any, ...]]  # the fields of beampy.code's Name

log = logging.getLogger("beampy.notebook")

CALL: Final = 5.0  # seconds until a call that nobody waits for any more is given up
LASTING: Final = 60.0  # seconds that the names in a module are given while they are asked for again
NODES: Final = 1000  # names of nodes that are suggested


class Questions:
    """The questions of one kernel."""

    def __init__(self, asker: Asker | None = None) -> None:
        self.asker = asker or Asker()
        self._starting = threading.Lock()

    def until(self) -> float:
        """The deadline of an answer that is begun now."""
        return self.asker.clock() + BUDGET

    # about a node

    def space(self, node: str, until: float) -> Names | None:
        """The names that this notebook's cells have bound there."""
        found: Names | None = self._ask(node, "space", there.space_here, (), until, owner=True)
        return found

    def names(self, node: str, targets: tuple[Target, ...], until: float) -> Names | None:
        """What is in something there."""
        lasting = LASTING if all(target.root in ("module", "from", "class") for target in targets) else 0.0
        found: Names | None = self._ask(
            node, "names", there.names_here, (targets,), until, owner=True, caller=True, lasting=lasting
        )
        return found

    def facts(self, node: str, targets: tuple[Target, ...], detail: int, until: float) -> Facts | None:
        """What there is to say about something there."""
        found: Facts | None = self._ask(
            node, "facts", there.facts_here, (targets, detail), until, owner=True, caller=True
        )
        return found

    def keys(self, node: str, targets: tuple[Target, ...], until: float) -> list[str] | None:
        """The keys of a dict there."""
        found: list[str] | None = self._ask(node, "keys", there.keys_here, (targets,), until, owner=True, caller=True)
        return found

    def modules(self, node: str, package: str, until: float) -> list[str] | None:
        """The modules directly in a package there; of "" those at the top level. Last parts of names."""
        found: list[str] | None = self._ask(
            node, "modules", there.modules_here, (package,), until, caller=True, lasting=LASTING
        )
        return found

    def warm(self, node: str) -> None:
        """Have a node load what answers questions. Nobody waits for it."""
        self._ask(node, "warm", there.warm, (), 0.0, lasting=LASTING)

    # about an object there

    def names_of(self, ref: Any, steps: tuple[tuple[str, str], ...], until: float) -> Names | None:
        """What is in the object of a RemoteRef, or in something of it."""
        found: Names | None = self._of_ref(ref, "names", there.names_of, (steps,), until)
        return found

    def facts_of(self, ref: Any, steps: tuple[tuple[str, str], ...], detail: int, until: float) -> Facts | None:
        """What there is to say about it."""
        found: Facts | None = self._of_ref(ref, "facts", there.facts_of, (steps, detail), until)
        return found

    # about the cluster

    def nodes(self) -> list[str]:
        """The nodes that are connected, and this one. Nobody is asked."""
        node = self._node()
        if node is None:
            return []
        try:
            found: list[str] = node.remote.nodes("all")
        except (RuntimeError, AttributeError):  # the table changed while it was read, or the node has none
            found = []
        return [node.name, *(name for name in found if name != node.name)][:NODES]

    def runner(self, pool: Any) -> str | None:
        """A runner of a pool that is up, and answers as far as is known; None where there is none."""
        manager = getattr(getattr(pool, "_pool", pool), "_manager", None)
        runners = [] if manager is None else list(manager.runners.values())
        up = [runner.node for runner in runners if runner.state == "up"]
        return next((node for node in up if self.asker.waits_for(node)), up[0] if up else None)

    # how

    def _node(self) -> Any:
        """The node that speaks for the notebook; None where there is none yet."""
        speaks = current.current.get(None)
        if speaks is None:
            speaks = next(iter(current.fallback()[::-1]), None)
        return None if speaks is None else speaks.node

    def _ask(
        self,
        node: str,
        what: str,
        fn: Any,
        args: tuple[Any, ...],
        until: float,
        *,
        owner: bool = False,
        caller: bool = False,
        lasting: float = 0.0,
    ) -> Any:
        me = self._node()
        if me is None:
            self._start()
            return None
        if owner:
            args = (me.name, *args)
        if caller:
            args = (*args, me.name)
        if node == me.name:
            return fn(*args)

        def send(flight: Flight) -> None:
            from beampy.otp.rpc import remote_call

            _told(remote_call.options(timeout=CALL, capture=False)(node, fn, *args), flight)

        return self._asked(me, node, (what, args), send, until, lasting)

    def _of_ref(self, ref: Any, what: str, fn: Any, args: tuple[Any, ...], until: float) -> Any:
        hold = ref._hold
        me = self._node()
        if hold is None or me is None:
            return None
        if hold.refs.is_own(hold.id):
            try:
                return fn(hold.refs.value(hold.id), *args)
            except Exception:  # it was freed at this moment
                return None
        if hold.rebuild is not None and hold.refs.trouble(hold.id) is not None:
            return None  # asking would have it made again

        def send(flight: Flight) -> None:
            from beampy.refs import serving, using

            _told(using.use(ref, "completion", serving.applied, (fn, *args), {}, CALL), flight)

        return self._asked(me, ref.node, (what, ref.id, args), send, until, 0.0)

    def _asked(
        self, me: Any, node: str, key: Hashable, send: Callable[[Flight], None], until: float, lasting: float
    ) -> Any:
        if me.thread == threading.get_ident():
            until = 0.0  # the node's own loop never waits
        return self.asker.ask(node, key, send, until, lasting=lasting)

    def _start(self) -> None:
        """Bring up the notebook's node, beside."""
        if current.bring_up is None or not self._starting.acquire(blocking=False):
            return

        def start() -> None:
            try:
                if current.bring_up is not None and not current.fallback():
                    current.bring_up()
            except Exception as error:
                log.debug("completion could not start a node: %s", error)
            finally:
                self._starting.release()

        threading.Thread(target=start, daemon=True, name="beampy-questions").start()


def _told(handle: Any, flight: Flight) -> None:
    """Tell a flight how a call ends."""
    flight.give_up = handle.cancel

    def ended(ended: Any) -> None:
        if ended.cancelled():
            flight.came(None, TimeoutError("it was given up"))
            return
        failure = ended.exception(0)
        flight.came(None if failure is not None else ended.result(0), failure)

    told = getattr(handle, "add_done_callback", None)
    if told is not None:
        told(ended)
    elif handle.done():
        ended(handle)
    else:  # inside a process of the node: nobody can wait there
        handle.cancel()
        flight.came(None, TimeoutError("a process does not wait for completion"))


def is_local_module(name: str) -> bool:
    """Whether the kernel can import it, or has."""
    if name in sys.modules:
        return True
    try:
        return Search().module(name) is not None
    except LookupError:
        return False
