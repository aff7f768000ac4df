"""A code location as data, so that servers never import user code. Re-exports; who stores snapshots is storage/."""

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
