"""`pool.dask()`: a client of dask whose workers are in the pool's runners, beside what is kept there.

    client = pool.dask(workers=4)
    ddf = frames.to_dask(client)                    # partitions are taken from the memory of their own runners
    ddf.groupby("carrier").delay.mean().compute()

Rule: here is what one may say, and what is wrong with it; dask is imported when it is asked for. The cluster itself is
dask_client.py's, its workers dask_workers.py's.

What listens: the scheduler, in the process of the pool's node, and each worker, in its runner, at one port each; on
loopback where the pool's machines are this one, else on the address at which runners find the node. Who connects has to
show the certificate of this cluster, made for it and never written to a file; runners get it over the pool's own
connections. There is no dashboard, and no other port.
"""

# dask says little of its types, and part of that is wrong.
# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any

from beampy.code.origin import here as origin_here
from beampy.frames.dask_workers import Settings

if TYPE_CHECKING:
    from distributed import Client

    from beampy.pool.manager import Manager

LOOPBACK = "127.0.0.1"


def dask(
    pool: Any,
    workers: int | None = None,
    *,
    threads: int = 1,
    memory_limit: int | str | None = "auto",
    host: str | None = None,
    security: Any = None,
    asynchronous: bool = False,
) -> Any:
    """A dask Client whose workers are in the pool's runners: one a runner, on a thread and a loop of its own there.

    workers: how many; by default one for each runner that is up, the pool's `min` at least, and at least one. Missing
    runners are booted. `client.cluster.scale(n)` changes it, up to the pool's max, and `client.cluster.adapt()` has as
    many as there is work for. threads: that compute, of each.
    memory_limit: of each, in bytes or as dask writes it ("4 GiB"): from 60 % of it on it writes to its disk. "auto" is
    the memory of its machine, divided by the workers there; None: no limit.
    host: where the scheduler listens; by default loopback where the pool's machines are this one, else the address of
    the pool's node. security: a Security of dask's; by default TLS with a certificate made for this cluster; False:
    none, on loopback only.

    On threads and in notebooks it returns when all workers are up. Async code says
    `await pool.dask(asynchronous=True)`.
    `client.close()` ends the workers and lets go of the runners; the end of the pool ends the client. A worker whose
    runner is lost is replaced, and dask runs again what it had.

    Raises ValueError for more workers than the pool's max; BootFailed where no machine comes up;
    ModuleNotFoundError without dask; RuntimeError in async code without `asynchronous=True`.

    >>> with pool.dask(workers=2) as client:
    ...     client.submit(sum, [1, 2]).result()
    3
    """
    manager: Manager = pool._at_work()
    if get_ident() == manager.node.thread and not asynchronous:
        raise RuntimeError("pool.dask: in async code say `client = await pool.dask(asynchronous=True)`")
    most = manager.plan.limits.max
    if workers is None:
        up = sum(runner.state == "up" for runner in list(manager.runners.values()))
        workers = max(1, up, manager.plan.limits.min)
    if not 1 <= workers <= most:
        raise ValueError(f"pool.dask: workers is a number from 1 to the pool's max, which is {most}, not {workers!r}")
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"pool.dask: threads is a number, 1 or more, not {threads!r}")
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pool.dask needs dask and its dataframes: pip install 'beampy[dask]'", name=error.name
        ) from None
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

    cluster = await asyncio.to_thread(_cluster, manager, *args)
    try:
        return await AsyncPoolClient(cluster)
    except BaseException:
        await asyncio.to_thread(cluster.close)
        raise


def _cluster(manager: Manager, workers: int, threads: int, memory: Any, host: str, security: Any) -> Any:
    import dask as dask_

    from beampy.frames.dask_client import PoolCluster
    from beampy.frames.dask_workers import QUIET

    local = manager.home.local
    fields = {name: getattr(security, name) for name in security.__slots__}
    config = {key: value for key, value in dask_.config.config.items() if key != "scheduler"}

    def settings(scheduler: str, name: str) -> Settings:
        return Settings(
            scheduler=scheduler,
            name=name,
            threads=threads,
            memory=memory,
            share=workers if local else 1,
            host=LOOPBACK if local else "",
            origin=origin_here().id,
            home=manager.node.name,
            security=fields,
            config=config,
        )

    with dask_.config.set(QUIET):
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
