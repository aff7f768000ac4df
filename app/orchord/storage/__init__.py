"""The only place with SQL: runs and their steps, assets, ticks, locations, workers and daemons, on both engines.

Open it with ``Storage.open(url)``. The statements that every step pays for are in postgres_statements.py and
sqlite_hot_path.py; everything else is SQLAlchemy Core in one module per subject. Values that go in and come
out are orchord.runs, orchord.events and values.py.
"""

from orchord.storage.storage import Storage
from orchord.storage.values import (
    Claim,
    ClaimResult,
    DaemonRow,
    Finish,
    FinishResult,
    LaunchKey,
    LaunchStanding,
    Lease,
    LocationRow,
    PoolWaiter,
    RunChange,
    RunFilter,
    Skip,
    TakenOver,
    TickEnd,
    TickFinished,
    WorkerRow,
)

__all__ = [
    "Claim",
    "ClaimResult",
    "DaemonRow",
    "Finish",
    "FinishResult",
    "LaunchKey",
    "LaunchStanding",
    "Lease",
    "LocationRow",
    "PoolWaiter",
    "RunChange",
    "RunFilter",
    "Skip",
    "Storage",
    "TakenOver",
    "TickEnd",
    "TickFinished",
    "WorkerRow",
]
