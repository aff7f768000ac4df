"""What steps print: captured at the level of file descriptors and read back in chunks.

The port is in manager.py, its implementations beside it. Records of ``context.log`` are events, not compute logs.
"""

from __future__ import annotations

from orchord.compute_logs.local import LocalComputeLogManager
from orchord.compute_logs.manager import ComputeLogManager, LogChunk, LogStream
from orchord.compute_logs.noop import NoOpComputeLogManager
from orchord.compute_logs.store import LogStore, StoredComputeLogManager

__all__ = [
    "ComputeLogManager",
    "LocalComputeLogManager",
    "LogChunk",
    "LogStore",
    "LogStream",
    "NoOpComputeLogManager",
    "StoredComputeLogManager",
]
