"""`pool.dask()`: a client of dask whose workers are in the pool's runners, beside what is kept there.

    client = pool.dask(workers=4)
    ddf = frames.to_dask(client)                    # partitions are taken from the memory of their own runners
    ddf.groupby("carrier").delay.mean().compute()

Rule: here is what is wrong with what one says, and what is taken where nothing is said (FramesDoor.dask has what one
may say); dask is imported when it is asked for. The cluster itself is dask_cluster.py's, its clients dask_client.py's,
its workers dask_workers.py's.

What listens: the scheduler, in the process of the pool's node, and each worker, in its runner, at one port each; on
loopback where the pool's machines are this one, else on the address at which runners find the node. Who connects has to
show the certificate of this cluster, made for it and never written to a file; runners get it over the pool's own
connections. There is no dashboard, and no other port.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
from concurrent.futures import Future
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.code.origin import here as origin_here
from beampy.frames.dask_packages import DASK, need
from beampy.frames.dask_workers import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

    from beampy.pool.manager import Manager

LOOPBACK = "127.0.0.1"


def dask(
    pool: Any,
    workers: int | None,
    threads: int,
    memory_limit: int | str | None,
    host: str | None,
    security: Any,
    asynchronous: bool,
) -> Any:
    """`pool.dask(…)`, as it is said there."""
    manager: Manager = pool._at_work()
    if get_ident() == manager.node.thread and not asynchronous:
        raise RuntimeError("pool.dask: in async code say `client = await pool.dask(asynchronous=True)`")
    most = manager.plan.limits.max
    if workers is None:
        up = sum(runner.state == "up" for runner in list(manager.runners.values()))
        workers = max(1, up, manager.plan.limits.min)
    if not isinstance(workers, int) or not 1 <= workers <= most:
        raise ValueError(f"pool.dask: workers is a number from 1 to the pool's max, which is {most}, not {workers!r}")
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"pool.dask: threads is a number, 1 or more, not {threads!r}")
    need("pool.dask", *DASK)
    if isinstance(memory_limit, str) and memory_limit != "auto":
        from dask.utils import parse_bytes

        try:
            parse_bytes(memory_limit)
        except ValueError as error:
            raise ValueError(f"pool.dask: memory_limit is bytes, 'auto' or a text like '4 GiB': {error}") from None
    where = _host(manager, host)
    secured = _security(security, where)
    if asynchronous:
        return _async_client(manager, workers, threads, memory_limit, where, secured)
    from beampy.frames.dask_client import PoolClient

    cluster = _cluster(manager, workers, threads, memory_limit, where, secured)
    try:
        return PoolClient(cluster)
    except BaseException:
        cluster.close()
        raise


async def _async_client(manager: Manager, *args: Any) -> Client:
    """The same, with the client on this loop."""
    from beampy.frames.dask_client import AsyncPoolClient

    making = _in_thread(_cluster, manager, *args)
    try:
        cluster = await asyncio.wrap_future(making)
    except BaseException:
        making.add_done_callback(_unwanted)  # it is not stopped by that, and would be nobody's
        raise
    try:
        return await AsyncPoolClient(cluster)
    except BaseException:
        await asyncio.to_thread(cluster.close)
        raise


def _in_thread(fn: Callable[..., Any], *args: Any) -> Future[Any]:
    """What a function gives in a thread of its own. It cannot be cancelled."""
    result: Future[Any] = Future()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(fn(*args))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name="dask starts", daemon=True).start()
    return result


def _unwanted(making: Future[Any]) -> None:
    """Who wanted this cluster has left."""
    if making.exception() is None:
        _in_thread(making.result().close)


def _cluster(manager: Manager, workers: int, threads: int, memory: Any, host: str, security: Any) -> Any:
    import dask as dask_

    from beampy.frames.dask_cluster import PoolCluster

    local = manager.home.local
    fields = {name: getattr(security, name) for name in security.__slots__}
    config = {key: value for key, value in dask_.config.config.items() if key != "scheduler"}

    def settings(scheduler: str, name: int, count: int) -> Settings:
        return Settings(
            scheduler=scheduler,
            name=name,
            threads=threads,
            memory=memory,
            share=max(1, count) if local else 1,
            host=LOOPBACK if local else "",
            origin=origin_here().id,
            home=manager.node.name,
            security=fields,
            config=config,
        )

    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise OSError(f"pool.dask: dask's scheduler cannot listen on {host}: {error}; say another host=") from None
    return PoolCluster(manager, workers, settings, host, security)


def _host(manager: Manager, host: str | None) -> str:
    """Where the scheduler is to listen. ValueError where nobody can know."""
    if host is not None:
        return host
    if manager.home.local:
        return LOOPBACK
    for address in manager.home.addresses():
        found = str(address["host"])
        if found and found != "localhost" and not found.startswith("127."):
            return found
    raise ValueError(
        f"pool.dask: the machines of pool {manager.name} are elsewhere, and {manager.node.name} listens on loopback "
        "only; say host=, an address of this machine that they reach"
    )


def _security(security: Any, host: str) -> Any:
    """How connections are secured."""
    from distributed import Security

    if security is None or security is True:
        return Security.temporary()
    if security is False:
        if host != LOOPBACK:
            raise ValueError(
                f"pool.dask: security=False is for {LOOPBACK} only, and {host} is an address of others, too"
            )
        return Security(require_encryption=False)
    if not isinstance(security, Security):
        raise TypeError(f"pool.dask: security is a distributed.Security, None or False, not {security!r:.200}")
    return security
