"""The errors of one node: wrong arguments, calls without an answer, starts that failed. See the package's docstring."""

from __future__ import annotations

from typing import Any

from beampy.errors.root import BeampyError, _said, _shown


class InternalError(BeampyError):
    """An invariant of beampy's own broke. Please report it with its traceback."""


class NotInNode(BeampyError, RuntimeError):
    """A verb was used where no node runs."""

    def __init__(self, verb: str) -> None:
        super().__init__(verb)
        self.verb = verb

    def __str__(self) -> str:
        return (
            f"{self.verb}: there is no node here. Call it from a process (bp.run(main)), inside "
            "`async with bp.Node(name):`, or after bp.start(name)"
        )


class NotInProcess(BeampyError, RuntimeError):
    """A verb that needs a process of its own was used elsewhere, for example in a task."""

    def __init__(self, verb: str, where: str = "here", do: str = "") -> None:
        super().__init__(verb, where, do)
        self.verb = verb
        self.where = where
        self.do = do or (
            "Only a process reads its mailbox: spawn one, or receive in the process and hand the message to the task"
        )

    def __str__(self) -> str:
        return f"{self.verb}: {self.where} is not a process's own code. {self.do}"


class NotTaskOwner(BeampyError, RuntimeError):
    """A task was used by a process that has not spawned it, or after its owner said `ignore`."""

    def __init__(self, verb: str, task: Any, owner: Any) -> None:
        super().__init__(verb, task, owner)
        self.verb = verb
        self.task = task
        self.owner = owner

    def __str__(self) -> str:
        if self.owner is None:
            return f"{self.verb}: the task {_shown(self.task)} is ignored: its value goes to nobody"
        return (
            f"{self.verb}: the task {_shown(self.task)} belongs to {self.owner!r}, which has spawned it; only there "
            "its value can be had. Await it there and send the value on"
        )


class NotLocal(BeampyError, ValueError):
    """A question that only the process's own node can answer."""

    def __init__(self, verb: str, pid: Any) -> None:
        super().__init__(verb, pid)
        self.verb = verb
        self.pid = pid

    def __str__(self) -> str:
        return f"{self.verb}: {self.pid!r} lives on another node; ask there"


class BadFunction(BeampyError, TypeError):
    """Something that is not an async function was given where a process starts; or no function, where any will do."""

    def __init__(self, verb: str, given: str, needs: str = "an async function") -> None:
        super().__init__(verb, given, needs)
        self.verb = verb
        self.given = given
        self.needs = needs

    def __str__(self) -> str:
        return f"{self.verb}: needs {self.needs} and its arguments, as in {self.verb}(worker, 1), not {self.given}"


class BadName(BeampyError, ValueError):
    """A node or process name that the grammar does not allow."""

    def __init__(self, kind: str, name: object, rule: str) -> None:
        super().__init__(kind, name, rule)
        self.kind = kind
        self.name = name
        self.rule = rule

    def __str__(self) -> str:
        return f"{_shown(self.name)} is no {self.kind} name: {self.rule}"


class BadPattern(BeampyError, TypeError):
    """A receive pattern that is neither a type, a predicate nor a tuple."""

    def __init__(self, pattern: object) -> None:
        super().__init__(pattern)
        self.pattern = pattern

    def __str__(self) -> str:
        shown = _shown(self.pattern)
        return f"receive: {shown} is no pattern: give a type, a predicate, or a tuple with `...` wildcards"


class BadDestination(BeampyError, TypeError):
    """Something that is no pid, alias, registered name or (name, node)."""

    def __init__(self, dest: object) -> None:
        super().__init__(dest)
        self.dest = dest

    def __str__(self) -> str:
        return f"{_shown(self.dest)} is no destination: give a pid, an alias, a registered name or (name, node)"


class BadRef(BeampyError, TypeError):
    """Something that is no Ref was given where a monitor, an alias or a timer is named."""

    def __init__(self, verb: str, given: object) -> None:
        super().__init__(verb, given)
        self.verb = verb
        self.given = given

    def __str__(self) -> str:
        return f"{self.verb}: {_shown(self.given)} is no ref: give what monitor, alias or send_after returned"


class NameTaken(BeampyError, ValueError):
    """`register`: the name is held, or the process has a name already."""

    def __init__(self, name: Any, pid: Any) -> None:
        super().__init__(name, pid)
        self.name = name
        self.pid = pid

    def __str__(self) -> str:
        return f"the name {_shown(self.name)} is taken by {self.pid!r}"


class AlreadyRegistered(NameTaken):
    """`Registry.register`: a living process, perhaps this one, has the unique key."""

    def __init__(self, key: Any, pid: Any) -> None:
        super().__init__(key, pid)
        self.key = key

    def __str__(self) -> str:
        return f"the key {_shown(self.key)} is registered for {self.pid!r}"


class NotRegistered(BeampyError, LookupError):
    """A bare local name, or a registry's key, that nobody holds. A send to (name, node) is silent instead."""

    def __init__(self, name: Any) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no process is registered as {_shown(self.name)} on this node"


class ReceiveTimeout(BeampyError, TimeoutError):
    """`receive(timeout=…)` saw no matching message in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"no matching message within {self.seconds} s"


class CallFailed(BeampyError):
    """A call has no answer. `target` is what was called, `reason` why there is none."""

    def __init__(self, target: Any, reason: Any) -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason

    def __str__(self) -> str:
        return f"call to {_shown(self.target)} failed: {_shown(self.reason)}"


class NoProcess(CallFailed):
    """There is no such process: it ended before, or the name is not registered."""

    def __init__(self, target: Any, reason: Any = "noproc") -> None:
        super().__init__(target, reason)

    def __str__(self) -> str:
        return f"no process: {_shown(self.target)} is not alive or not registered"


class ServerExited(CallFailed):
    """The process ended before it answered; `reason` is its exit reason."""

    def __str__(self) -> str:
        return f"{_shown(self.target)} exited before it answered: {_said(self.reason)}"


class CallTimeout(CallFailed, TimeoutError):
    """No answer in time. The request may still be carried out; its late answer is dropped."""

    def __init__(self, target: Any, seconds: float) -> None:
        super().__init__(target, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{_shown(self.target)} did not answer within {self.seconds} s (the request may still be carried out)"


class TaskTimeout(CallTimeout):
    """A task ran longer than its `timeout` and was stopped."""

    def __str__(self) -> str:
        return f"the task {_shown(self.target)} ran longer than {self.seconds} s and was stopped"


class CallingSelf(CallFailed):
    """A process called itself and would have waited for itself forever."""

    def __init__(self, target: Any, reason: Any = "calling_self") -> None:
        super().__init__(target, reason)

    def __str__(self) -> str:
        return f"{_shown(self.target)} called itself; it would wait forever. Call the method directly"


class NodeDown(CallFailed):
    """The connection to the target's node is gone; the process may still live there."""

    def __init__(self, target: Any, reason: Any = "noconnection") -> None:
        super().__init__(target, reason)

    def __str__(self) -> str:
        return f"no connection to the node of {_shown(self.target)}"


class StartFailed(BeampyError):
    """A process did not come up; `reason` is what its init gave or died of."""

    def __init__(self, what: str, reason: Any) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} did not start: {_why_no_start(self.reason)}"


def _why_no_start(reason: Any) -> str:
    """A start's reason in words, through the supervisors that it passed."""
    match reason:
        case ("shutdown", ("failed_to_start_child", id, why)):
            return f"its child {_shown(id)} did not start: {_why_no_start(why)}"
    return _said(reason)


class AlreadyStarted(StartFailed):
    """The name is held by a process that runs already: `pid`."""

    def __init__(self, what: str, pid: Any) -> None:
        super().__init__(what, pid)
        self.pid = pid

    def __str__(self) -> str:
        return f"{self.what} is already started as {self.pid!r}"


class StartTimeout(StartFailed, TimeoutError):
    """The process's init did not end in time; the process was killed."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.what} did not start within {self.seconds} s and was killed"


class StartIgnored(StartFailed):
    """The process's init asked not to be started (OTP's `ignore`)."""

    def __init__(self, what: str, reason: Any = "ignore") -> None:
        super().__init__(what, reason)

    def __str__(self) -> str:
        return f"{self.what} chose not to start (its init returned bp.IGNORE)"


class Exited(BeampyError):
    """A process whose value was waited for ended otherwise; `reason` is its exit reason."""

    def __init__(self, pid: Any, reason: Any) -> None:
        super().__init__(pid, reason)
        self.pid = pid
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.pid!r} ended: {_said(self.reason)}"


class ChildError(BeampyError):
    """A supervisor was asked for something that this child does not allow; `why` says what stands against it.

    "not_found": there is no such child. "running", "restarting": it must be terminated first. "already_present":
    its id is taken by a stopped child. "max_children": there is no room for one more.
    """

    def __init__(self, why: str, id: Any) -> None:
        super().__init__(why, id)
        self.why = why
        self.id = id

    def __str__(self) -> str:
        known = {
            "not_found": "the supervisor has no such child",
            "running": "it runs; terminate it first",
            "restarting": "it is being restarted; terminate it first",
            "already_present": "a stopped child has this id: restart_child starts it, delete_child makes room",
            "max_children": "the supervisor has as many children as it may have (max_children)",
        }
        return f"child {_shown(self.id)}: {known.get(self.why, self.why)}"


class BadSpec(BeampyError, ValueError):
    """A supervisor or child specification that cannot be; `problem` says what is wrong in it."""

    def __init__(self, problem: str, *, spec: object = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.spec = spec

    def __str__(self) -> str:
        return self.problem if self.spec is None else f"{self.problem} (in {_shown(self.spec)})"


class BadReturn(BeampyError, TypeError):
    """A callback gave something that its behaviour does not know."""

    def __init__(self, callback: str, value: str, allowed: str) -> None:
        super().__init__(callback, value, allowed)
        self.callback = callback
        self.value = value
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.callback} returned {self.value}; it may return {self.allowed}"


class EncodeError(BeampyError, TypeError):
    """A message that cannot be copied or sent to another node; `what` names the part, `cause` says why.

    Functions and classes travel with their code. What belongs to one process does not: locks, files, sockets, threads,
    running coroutines and generators, and functions that hold such.
    """

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(what, cause)
        self.what = what
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.what} cannot travel in a message: {self.cause}"


class RemoteTraceback(Exception):
    """The traceback of an exception where it happened, as text. It is the `__cause__` of the re-raised one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text.rstrip()}"


class RemoteError(BeampyError):
    """An exception of another process whose own type cannot be rebuilt here: type name, message, traceback."""

    def __init__(self, kind: str, message: str, traceback: str = "") -> None:
        super().__init__(kind, message, traceback)
        self.kind = kind
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class ProcessExit(BaseException):
    """Raised by `exit(reason)` to end the current process. Control flow, not an error: let it pass."""

    def __init__(self, reason: Any = "normal") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"exit({_shown(self.reason)})"
