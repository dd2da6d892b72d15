"""beampy: Erlang-style processes for Python. `import beampy as bp` and use the names below.

Importing it loads the standard library only; each name is loaded when it is first used (PEP 562). The two lists say
the same thing twice, once to type checkers and once to Python; a test holds them together. In a notebook, or in IPython
in a terminal, the import puts beampy's extension in place, as `%load_ext beampy` does.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from beampy.version import __version__ as __version__

if TYPE_CHECKING:
    from beampy import code as code
    from beampy import errors as errors
    from beampy import frames as frames
    from beampy.api import alias as alias
    from beampy.api import ancestors as ancestors
    from beampy.api import cancel_timer as cancel_timer
    from beampy.api import connect as connect
    from beampy.api import demonitor as demonitor
    from beampy.api import disconnect as disconnect
    from beampy.api import exit as exit
    from beampy.api import is_alive as is_alive
    from beampy.api import link as link
    from beampy.api import mailbox as mailbox
    from beampy.api import monitor as monitor
    from beampy.api import monitor_node as monitor_node
    from beampy.api import monitor_nodes as monitor_nodes
    from beampy.api import node as node
    from beampy.api import nodes as nodes
    from beampy.api import ping as ping
    from beampy.api import process_info as process_info
    from beampy.api import processes as processes
    from beampy.api import receive as receive
    from beampy.api import register as register
    from beampy.api import registered as registered
    from beampy.api import request as request
    from beampy.api import self as self
    from beampy.api import send as send
    from beampy.api import send_after as send_after
    from beampy.api import set_label as set_label
    from beampy.api import spawn as spawn
    from beampy.api import spawn_link as spawn_link
    from beampy.api import spawn_monitor as spawn_monitor
    from beampy.api import start_timer as start_timer
    from beampy.api import trap_exit as trap_exit
    from beampy.api import unalias as unalias
    from beampy.api import unlink as unlink
    from beampy.api import unregister as unregister
    from beampy.api import whereis as whereis
    from beampy.core.ids import Pid as Pid
    from beampy.core.ids import Ref as Ref
    from beampy.core.info import ProcessInfo as ProcessInfo
    from beampy.core.signals import Crash as Crash
    from beampy.core.signals import Down as Down
    from beampy.core.signals import Exit as Exit
    from beampy.core.signals import NodeDown as NodeDown
    from beampy.core.signals import NodeUp as NodeUp
    from beampy.core.signals import Timeout as Timeout
    from beampy.dist.discovery import ChainDiscovery as ChainDiscovery
    from beampy.dist.discovery import DnsDiscovery as DnsDiscovery
    from beampy.dist.discovery import EpmdDiscovery as EpmdDiscovery
    from beampy.dist.discovery import StaticDiscovery as StaticDiscovery
    from beampy.dist.tls import TlsFiles as TlsFiles
    from beampy.handle import Handle as Handle
    from beampy.otp import debug as debug
    from beampy.otp import global_names as global_names
    from beampy.otp import groups as groups
    from beampy.otp import statem as statem
    from beampy.otp.agent import Agent as Agent
    from beampy.otp.child import ChildSpec as ChildSpec
    from beampy.otp.dynamic import DynamicSupervisor as DynamicSupervisor
    from beampy.otp.gen import IGNORE as IGNORE
    from beampy.otp.gen import Stop as Stop
    from beampy.otp.gen import reply as reply
    from beampy.otp.gen import stop as stop
    from beampy.otp.groups import GroupJoin as GroupJoin
    from beampy.otp.groups import GroupLeave as GroupLeave
    from beampy.otp.groups import Groups as Groups
    from beampy.otp.partition import PartitionSupervisor as PartitionSupervisor
    from beampy.otp.registry import Registry as Registry
    from beampy.otp.rpc import Failure as Failure
    from beampy.otp.rpc import Ok as Ok
    from beampy.otp.rpc import Results as Results
    from beampy.otp.rpc import multicall as multicall
    from beampy.otp.rpc import remote_call as remote_call
    from beampy.otp.rpc import remote_cast as remote_cast
    from beampy.otp.rpc_stream import RemoteStream as RemoteStream
    from beampy.otp.rpc_thread import cancelled as cancelled
    from beampy.otp.server import NOREPLY as NOREPLY
    from beampy.otp.server import NoReply as NoReply
    from beampy.otp.server import Reply as Reply
    from beampy.otp.server import Server as Server
    from beampy.otp.statem import StateMachine as StateMachine
    from beampy.otp.stream import async_stream as async_stream
    from beampy.otp.supervisor import Supervisor as Supervisor
    from beampy.otp.task import Task as Task
    from beampy.otp.task import callers as callers
    from beampy.otp.task_supervisor import TaskSupervisor as TaskSupervisor
    from beampy.otp.typed import call as call
    from beampy.otp.typed import cast as cast
    from beampy.pool import scaling as scaling
    from beampy.pool.backends.local import LocalBackend as LocalBackend
    from beampy.pool.pool import Pool as Pool
    from beampy.pool.progress import log as log
    from beampy.pool.progress import track as track
    from beampy.refs.ref import RemoteRef as RemoteRef
    from beampy.refs.verbs import put as put
    from beampy.refs.verbs import refs as refs
    from beampy.refs.verbs import remote as remote
    from beampy.runtime import Node as Node
    from beampy.runtime import run as run
    from beampy.runtime import start as start

_HOMES = {
    "beampy.api": (
        "alias ancestors cancel_timer connect demonitor disconnect exit is_alive link mailbox monitor monitor_node "
        "monitor_nodes node nodes ping process_info processes receive register registered request self send "
        "send_after set_label spawn spawn_link spawn_monitor start_timer trap_exit unalias unlink unregister whereis "
    ),
    "beampy.core.ids": "Pid Ref",
    "beampy.dist.discovery": "ChainDiscovery DnsDiscovery EpmdDiscovery StaticDiscovery",
    "beampy.dist.tls": "TlsFiles",
    "beampy.core.info": "ProcessInfo",
    "beampy.core.signals": "Crash Down Exit NodeDown NodeUp Timeout",
    "beampy.handle": "Handle",
    "beampy.otp.agent": "Agent",
    "beampy.otp.child": "ChildSpec",
    "beampy.otp.dynamic": "DynamicSupervisor",
    "beampy.otp.gen": "IGNORE Stop reply stop",
    "beampy.otp.partition": "PartitionSupervisor",
    "beampy.otp.groups": "GroupJoin GroupLeave Groups",
    "beampy.otp.registry": "Registry",
    "beampy.otp.rpc": "Failure Ok Results multicall remote_call remote_cast",
    "beampy.otp.rpc_stream": "RemoteStream",
    "beampy.otp.rpc_thread": "cancelled",
    "beampy.otp.server": "NOREPLY NoReply Reply Server",
    "beampy.otp.statem": "StateMachine",
    "beampy.otp.stream": "async_stream",
    "beampy.otp.supervisor": "Supervisor",
    "beampy.otp.task": "Task callers",
    "beampy.otp.task_supervisor": "TaskSupervisor",
    "beampy.otp.typed": "call cast",
    "beampy.pool.backends.local": "LocalBackend",
    "beampy.pool.pool": "Pool",
    "beampy.pool.progress": "log track",
    "beampy.refs.ref": "RemoteRef",
    "beampy.refs.verbs": "put remote",
    "beampy.runtime": "Node run start",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = {
    "code": "beampy.code",
    "debug": "beampy.otp.debug",
    "errors": "beampy.errors",
    "frames": "beampy.frames",
    "global_names": "beampy.otp.global_names",
    "groups": "beampy.otp.groups",
    "refs": "beampy.refs",
    "scaling": "beampy.pool.scaling",
    "statem": "beampy.otp.statem",
}

_EXTENSION = dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "beampy.notebook.extension")

__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _EXTENSION:  # what IPython looks for; no names for users
        value = getattr(importlib.import_module(_EXTENSION[name]), name)
    else:
        hint = f"; the error is bp.errors.{name}" if hasattr(importlib.import_module("beampy.errors"), name) else ""
        raise AttributeError(f"module 'beampy' has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _in_a_shell() -> None:
    """Put the extension in place, where IPython runs this. In a program that embeds a shell `%load_ext beampy` does."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    if shell is None or getattr(shell, "embedded", False):  # the program goes on after it
        return
    try:
        shell.extension_manager.load_extension(__name__)
    except Exception:
        import logging

        said = "beampy's extension could not be put in place; all else works. `%load_ext beampy` tries it again"
        logging.getLogger("beampy.notebook").exception(said)


_in_a_shell()
