"""The only place with SQL: runs, attempts, events, assets, locations and workers, on SQLite and PostgreSQL.

Open it with ``Storage.open(url)``. The statements that every step pays for are in postgres_statements.py and
sqlite_statements.py; everything else is SQLAlchemy Core in one module per subject. Values that go in and come
out are orchord.runs, orchord.events and values.py.
"""

from orchord.storage.storage import Storage
from orchord.storage.values import (
    Claim,
    ClaimResult,
    Finish,
    FinishResult,
    LocationRow,
    RunFilter,
    Skip,
    WorkerRow,
)

__all__ = [
    "Claim",
    "ClaimResult",
    "Finish",
    "FinishResult",
    "LocationRow",
    "RunFilter",
    "Skip",
    "Storage",
    "WorkerRow",
]
