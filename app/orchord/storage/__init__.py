"""The only place with SQL: runs, attempts, events, assets, locations and workers, on SQLite and PostgreSQL.

Open it with ``Storage.open(url)``. The statements that every step pays for are in postgres_statements.py and
sqlite_statements.py; everything else is SQLAlchemy Core in one module per subject. Values that go in and come
out are orchord.runs, orchord.events and values.py.
"""

from orchord.storage.storage import Storage
from orchord.storage.values import (
    Claim,
    ClaimResult,
    DaemonRow,
    Finish,
    FinishResult,
    Lease,
    LocationRow,
    RunChange,
    RunFilter,
    Skip,
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
    "Lease",
    "LocationRow",
    "RunChange",
    "RunFilter",
    "Skip",
    "Storage",
    "TickEnd",
    "TickFinished",
    "WorkerRow",
]
