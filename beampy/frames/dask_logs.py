"""What dask logs in the process of a cluster, as far as somebody should read it.

Rule: dask writes all to stderr from INFO on: each task that moves, each shuffle, each connection. Of one cluster's
thread errors are written, and at its end nothing; other threads, and other clusters of the process, as they were.

Place: under dask_cluster.py, whose thread it is. Levels in runners are dask_workers.py's.
"""

from __future__ import annotations

import logging
import threading


class Quiet(logging.Filter):
    """The filter of one cluster's thread. `level`: from which on it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.level = logging.ERROR
        self.thread = 0

    def begin(self) -> None:
        """This thread is the cluster's."""
        self.thread = threading.get_ident()
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(self)

    def end(self) -> None:
        """There is no such thread any more."""
        for handler in logging.getLogger("distributed").handlers:
            handler.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        return record.thread != self.thread or record.levelno >= self.level
