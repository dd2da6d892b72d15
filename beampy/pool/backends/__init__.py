"""The backends that come with beampy: where a pool's machines come from.

    LocalBackend    processes of this machine: the default

Others can be written: see `beampy.pool.backend`, and `beampy.testing.backends` to test them.
"""

from __future__ import annotations

from beampy.pool.backends.local import LocalBackend

__all__ = ["LocalBackend"]
