"""What tests of output and progress stand on: a test that is the group leader of what it calls."""

from __future__ import annotations

import inspect
from typing import Any

from beampy.core.group_leader import leader
from tests.unit.core.test_group_leader import recorded
from tests.unit.otp.rpc_ground import calling


def leading(test: Any) -> Any:
    """As `calling`; what the test's calls print, log and report goes to `recorder`, as if it were on another node."""

    async def run(**fixtures: Any) -> None:
        channel, recorder = recorded()
        leader.set(channel)
        try:
            await test(recorder=recorder, **fixtures)
        finally:
            leader.set(None)

    run.__name__, run.__module__ = test.__name__, test.__module__
    run.__dict__.update(vars(test))  # its marks
    wrapped: Any = calling(run)
    signature = inspect.signature(test)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "recorder"]
    wrapped.__signature__ = signature.replace(parameters=kept)
    return wrapped
