"""What the contract tests of storage share: a migrated database per test on each engine, and makers of values."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchord.events import Event, EventType
from orchord.runs import AttemptStatus, Run, RunStatus, new_run_id
from orchord.storage import Claim, Finish, FinishResult, Storage


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of this test's own migrated database."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    url = f"sqlite:///{tmp_path / 'orchord.db'}"
    storage = Storage.open(url)
    storage.migrate()
    storage.dispose()
    return url


@pytest.fixture
def open_storage(storage_url: str) -> Iterator[Callable[[], Storage]]:
    """Opens further storages on the test's database, as other processes would; all are closed at the end."""
    opened: list[Storage] = []

    def open_one() -> Storage:
        opened.append(Storage.open(storage_url, pool_size=4, max_overflow=40))
        return opened[-1]

    yield open_one
    for storage in opened:
        storage.dispose()


@pytest.fixture
def storage(open_storage: Callable[[], Storage]) -> Storage:
    """The test's storage."""
    return open_storage()


class Life:
    """Acts on one storage as a worker would, with as few words as possible."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.began = datetime.now(UTC)

    def now(self, **later: float) -> datetime:
        """The time now, or somewhat later."""
        return datetime.now(UTC) + timedelta(**later)

    def make(self, **fields: Any) -> Run:
        """A run that is not stored."""
        given = {
            "run_id": new_run_id(),
            "job_name": "numbers",
            "location": "home",
            "status": RunStatus.STARTING,
            "job_snapshot_id": "snapshot",
            "created_at": self.now(),
        }
        return Run(**(given | fields))

    def run(self, **fields: Any) -> Run:
        """A run that is stored."""
        run, created = self.storage.runs.create(self.make(**fields))
        assert created
        return run

    def claim_of(self, run: Run, step: str = "a", attempt: int = 1, **fields: Any) -> Claim:
        """A claim with a new token."""
        given = {"token": secrets.token_hex(8), "worker_id": "worker", "at": self.now()} | fields
        return Claim(run.run_id, step, attempt, **given)

    def claimed(self, run: Run, step: str = "a", attempt: int = 1, **fields: Any) -> Claim:
        """A claim that has been won."""
        claim = self.claim_of(run, step, attempt, **fields)
        assert self.storage.attempts.claim(claim).claimed
        return claim

    def finish_of(self, claim: Claim, status: AttemptStatus = AttemptStatus.SUCCESS, **fields: Any) -> Finish:
        """The finish of a claimed attempt."""
        given = {"at": self.now(), "outputs": ("result",) if status is AttemptStatus.SUCCESS else ()} | fields
        return Finish(claim.run_id, claim.step_key, claim.attempt, claim.token, status, **given)

    def finished(self, claim: Claim, status: AttemptStatus = AttemptStatus.SUCCESS, **fields: Any) -> FinishResult:
        """A finish that has been accepted."""
        result = self.storage.attempts.finish(self.finish_of(claim, status, **fields))
        assert result.accepted
        return result

    def done(self, run: Run, step: str = "a", status: AttemptStatus = AttemptStatus.SUCCESS, **fields: Any) -> None:
        """A step that is claimed and finished."""
        self.finished(self.claimed(run, step), status, **fields)

    def status(self, run: Run) -> RunStatus:
        """The stored status of a run."""
        return self.storage.runs.get(run.run_id).status

    def types(self, run: Run) -> list[str]:
        """The types of a run's events, in order."""
        return [stored.event.type for stored in self.storage.events.page(run.run_id)]

    def attempts(self, run: Run) -> dict[tuple[str, int], AttemptStatus]:
        """The status of each attempt of a run."""
        return {(item.step_key, item.attempt): item.status for item in self.storage.attempts.of_run(run.run_id)}

    def event(self, kind: EventType = EventType.LOG, message: str = "hello", **fields: Any) -> Event:
        """An event now."""
        return Event(kind, self.now(), message, **fields)

    def materialization(self, key: str, **data: Any) -> Event:
        """A materialization of an asset."""
        return self.event(EventType.ASSET_MATERIALIZATION, f"made {key}", asset_key=key, data=data)


@pytest.fixture
def life(storage: Storage) -> Life:
    """Acts on the test's storage."""
    return Life(storage)


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do things in as many threads, all let go at one moment; return what they returned."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    gate = threading.Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        gate.wait(timeout=20)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


@pytest.fixture
def race() -> Callable[[Sequence[Callable[[], Any]]], list[Any]]:
    """Does things at one moment in as many threads."""
    return together


@pytest.fixture
def kill_connections(open_storage):
    """Ends every other session on the test's database, as a restarted server would."""
    killer = open_storage()

    def kill():
        statement = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        killer.database.rows(statement)

    return kill
