"""A code location as data, so that servers never import user code. Re-exports; who stores snapshots is storage/.

What a snapshot holds is model.py, how it is made of definitions is build.py.
"""

from orchord.snapshot.build import job_snapshot, snapshot_of
from orchord.snapshot.model import (
    DEFAULT_EXECUTOR,
    AssetSnapshot,
    EdgeSnapshot,
    GraphSnapshot,
    JobSnapshot,
    LocationSnapshot,
    NodeSnapshot,
    PortSnapshot,
    ResourceSnapshot,
    ScheduleSnapshot,
    SensorSnapshot,
    decode_job,
    decode_location,
    encode,
)

__all__ = [
    "DEFAULT_EXECUTOR",
    "AssetSnapshot",
    "EdgeSnapshot",
    "GraphSnapshot",
    "JobSnapshot",
    "LocationSnapshot",
    "NodeSnapshot",
    "PortSnapshot",
    "ResourceSnapshot",
    "ScheduleSnapshot",
    "SensorSnapshot",
    "decode_job",
    "decode_location",
    "encode",
    "job_snapshot",
    "snapshot_of",
]
