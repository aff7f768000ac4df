"""Runs: creating them once, moving them between statuses, ending them, reading pages of them.

Which moves a run may make is asked of the caller (``allowed_from``); that a terminal status never changes is held here.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from orchord.errors import ConflictError, RunNotFoundError
from orchord.events import ErrorInfo, Event, EventType
from orchord.runs import TERMINAL_RUN_STATUSES, Run, RunStatus
from orchord.storage.change_store import insert_change
from orchord.storage.database import Database
from orchord.storage.encoding import body_with_tags, decode_error, encode_error, run_of
from orchord.storage.event_store import insert_events
from orchord.storage.hot_path import HotPath
from orchord.storage.schema import attempts, events, pool_waiters, run_tags, runs
from orchord.storage.values import RunFilter
from orchord.storage.wording import end_event, error_data

_RUN_COLUMNS = (
    runs.c.body,
    runs.c.status,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.updated_at,
    runs.c.error,
    runs.c.waits_for,
)
_TERMINAL = tuple(status.value for status in TERMINAL_RUN_STATUSES)
_UNFINISHED = tuple(status.value for status in RunStatus if not status.is_terminal)
# Being stopped for a reason, by which the run fails when its steps have stopped.
_STOPPED = sa.and_(runs.c.status == RunStatus.CANCELING.value, runs.c.error.is_not(None))


class RunStore:
    """The runs of one database."""

    def __init__(self, database: Database, hot_path: HotPath) -> None:
        self._database = database
        self._hot_path = hot_path

    def create(self, run: Run, events: Sequence[Event] = ()) -> tuple[Run, bool]:
        """Store a run with its tags and first events, or return the run that its idempotency key has made already.

        Returns:
            The stored run, and whether it is new.

        Raises:
            ConflictError: the key was used for another job or another config, or the run id is taken.
        """
        if self._hot_path.create(run, events):
            return run, True
        same_id = runs.c.run_id == run.run_id
        same_key = runs.c.idempotency_key == run.idempotency_key
        found = self._read(
            sa.select(*_RUN_COLUMNS).where(sa.or_(same_id, same_key) if run.idempotency_key else same_id)
        )
        if not found:
            raise ConflictError(
                f"The run with idempotency key '{run.idempotency_key}' was deleted just now. Try again."
            )
        stored = found[0]
        if stored.run_id == run.run_id and stored.created_at == run.created_at:
            return stored, True  # Our own row: the answer to the first try was lost with its connection.
        if run.idempotency_key is None or stored.idempotency_key != run.idempotency_key:
            raise ConflictError(f"A run with id {run.run_id} exists already. Leave the id out, to get a new one.")
        differing = _differences(stored, run)
        if differing:
            raise ConflictError(
                f"Idempotency key '{run.idempotency_key}' was used for run {stored.run_id} with another "
                f"{' and another '.join(differing)}. Use a new key for a new request."
            )
        return stored, False

    def get(self, run_id: str) -> Run:
        """Return one run.

        Raises:
            RunNotFoundError: no run has this id.
        """
        found = self.find(run_id)
        if found is None:
            raise RunNotFoundError(f"No run has the id '{run_id}'. `orchord run list` shows the runs there are.")
        return found

    def find(self, run_id: str) -> Run | None:
        """Return one run, or None."""
        found = self._read(_BY_ID, {"run_id": run_id})
        return found[0] if found else None

    def status(self, run_id: str) -> RunStatus | None:
        """Return a run's status alone, or None when there is no such run."""
        rows = self._database.rows(_STATUS_BY_ID, {"run_id": run_id})
        return RunStatus(rows[0].status) if rows else None

    def page(self, filter_: RunFilter | None = None, limit: int = 50, before_run_id: str | None = None) -> list[Run]:
        """Return runs, newest first, at most ``limit``; for the next page give the last run's id."""
        query = sa.select(*_RUN_COLUMNS).where(*_conditions(filter_ or RunFilter()))
        if before_run_id is not None:
            cursor = sa.select(runs.c.created_at).where(runs.c.run_id == before_run_id).scalar_subquery()
            when = sa.func.coalesce(cursor, sa.literal(_time_of(before_run_id), runs.c.created_at.type))
            query = query.where(sa.tuple_(runs.c.created_at, runs.c.run_id) < sa.tuple_(when, before_run_id))
        return self._read(query.order_by(runs.c.created_at.desc(), runs.c.run_id.desc()).limit(limit))

    def unfinished(self, limit: int = 100, after: Run | None = None) -> list[Run]:
        """Return runs that have not ended, oldest first; ``after`` is the last one of the page before."""
        query = sa.select(*_RUN_COLUMNS).where(runs.c.status.in_(_UNFINISHED))
        if after is not None:
            when = sa.literal(after.created_at, runs.c.created_at.type)
            query = query.where(sa.tuple_(runs.c.created_at, runs.c.run_id) > sa.tuple_(when, after.run_id))
        return self._read(query.order_by(runs.c.created_at, runs.c.run_id).limit(limit))

    def count_by_status(self) -> dict[RunStatus, int]:
        """Return how many runs are in each status; statuses without runs are left out."""
        query = sa.select(runs.c.status, sa.func.count().label("total")).group_by(runs.c.status)
        return {RunStatus(row.status): row.total for row in self._database.rows(query)}

    def set_status(
        self,
        run_id: str,
        to: RunStatus,
        *,
        allowed_from: Collection[RunStatus],
        event: Event | None = None,
        at: datetime | None = None,
    ) -> bool:
        """Move a run to another status if it is in one of ``allowed_from``; return whether it moved.

        A terminal status never changes, whatever ``allowed_from`` says. ``at`` is by default the event's time. A run
        that is being stopped for a reason (``begin_stop``) fails by that instead of becoming CANCELED.
        """
        moment = at or (event.timestamp if event is not None else datetime.now(UTC))
        allowed = [status.value for status in allowed_from if not status.is_terminal]
        final = sa.case((_STOPPED, RunStatus.FAILURE.value), else_=to.value) if to is RunStatus.CANCELED else to.value
        values: dict[str, Any] = {"status": final, "updated_at": moment}
        if to is RunStatus.STARTED:
            values["started_at"] = moment
        if to.is_terminal:
            values["ended_at"] = moment
        which = (runs.c.run_id == run_id, runs.c.status.in_(allowed))
        statement = sa.update(runs).where(*which).values(values).returning(runs.c.status, runs.c.error)

        def work(connection: sa.Connection) -> bool:
            row = connection.execute(statement).first()
            if row is None:
                return False
            status = RunStatus(row.status)
            if status.is_terminal:
                _close_attempts(connection, run_id, moment)
            insert_change(connection, run_id, status, moment)
            told = event if status is to else end_event(status, decode_error(row.error), moment)
            if told is not None:
                insert_events(connection, run_id, [told])
            return True

        return self._database.transact(work)

    def begin_stop(self, run_id: str, error: ErrorInfo, at: datetime) -> bool:
        """Stop a run for a reason: it is CANCELING, and when its steps have stopped it ends as FAILURE by this error.

        Returns:
            Whether this call began it: the run was under way, and nobody was canceling it.
        """
        under_way = runs.c.status.in_([RunStatus.STARTING.value, RunStatus.STARTED.value])
        values = {"status": RunStatus.CANCELING.value, "updated_at": at, "error": encode_error(error)}
        statement = sa.update(runs).where(runs.c.run_id == run_id, under_way).values(values)
        data = {"error": error_data(error)}
        event = Event(EventType.RUN_CANCELING, at, f"Stopping the run: {error.message}", level=40, data=data)

        def work(connection: sa.Connection) -> bool:
            if not connection.execute(statement).rowcount:
                return False
            insert_change(connection, run_id, RunStatus.CANCELING, at)
            insert_events(connection, run_id, [event])
            return True

        return self._database.transact(work)

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> bool:
        """Put tags on a run that is stored already, over those of the same keys; return whether it is there."""

        def work(connection: sa.Connection) -> bool:
            body = connection.execute(sa.select(runs.c.body).where(runs.c.run_id == run_id).with_for_update()).scalar()
            if body is None:
                return False
            new = body_with_tags(body, tags)
            connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(body=new))
            same = sa.and_(run_tags.c.run_id == run_id, run_tags.c.key.in_(list(tags)))
            connection.execute(sa.delete(run_tags).where(same))
            rows = [{"run_id": run_id, "key": key, "value": value} for key, value in tags.items()]
            connection.execute(sa.insert(run_tags), rows)
            return True

        return not tags or self._database.transact(work)

    def end(self, run_id: str, at: datetime) -> RunStatus | None:
        """End a run by what its attempts say: CANCELED when it is being canceled, else FAILURE or SUCCESS.

        A run that is being stopped for a reason (``begin_stop``) ends as FAILURE by that.

        Returns:
            The terminal status, or None when the run has ended already, does not exist, or has not come to its end
            (a step runs or waits for its next attempt, and the run is not being canceled). One caller gets a status.
        """
        return self._hot_path.end(run_id, at)

    def fail(self, run_id: str, error: ErrorInfo | None, at: datetime, *, free_key: bool = False) -> RunStatus | None:
        """End a run that cannot go on: FAILURE with this error, or CANCELED when it was being canceled.

        A run that is being stopped for a reason (``begin_stop``) ends as FAILURE by that reason.

        Its running attempts end as CANCELED. ``free_key`` gives its idempotency key free, so that the same request
        can be made again. Returns None when the run has ended already.
        """
        canceled = sa.and_(runs.c.status == RunStatus.CANCELING.value, runs.c.error.is_(None))
        final = sa.case((canceled, RunStatus.CANCELED.value), else_=RunStatus.FAILURE.value)
        reason = sa.case((_STOPPED, runs.c.error), else_=encode_error(error))
        statement = (
            sa.update(runs)
            .where(runs.c.run_id == run_id, runs.c.status.not_in(_TERMINAL))
            .values(status=final, ended_at=at, updated_at=at, error=reason)
            .returning(runs.c.status, runs.c.error)
        )
        if free_key:
            statement = statement.values(idempotency_key=None)

        def work(connection: sa.Connection) -> RunStatus | None:
            row = connection.execute(statement).first()
            if row is None:
                return None
            status = RunStatus(row.status)
            _close_attempts(connection, run_id, at)
            insert_change(connection, run_id, status, at)
            insert_events(connection, run_id, [end_event(status, decode_error(row.error), at)])
            return status

        return self._database.transact(work)

    def delete(self, run_id: str) -> bool:
        """Delete a run that has ended, with its attempts, events and tags; what it told of assets stays.

        Raises:
            ConflictError: the run has not ended.
        """

        def work(connection: sa.Connection) -> bool:
            locked = sa.select(runs.c.status).where(runs.c.run_id == run_id).with_for_update()
            status = connection.execute(locked).scalar()
            if status is None:
                return False
            if status not in _TERMINAL:
                raise ConflictError(
                    f"Run {run_id} is {status} and cannot be deleted before it has ended. Cancel it first."
                )
            _delete(connection, [run_id])
            return True

        return self._database.transact(work)

    def purge(self, ended_before: datetime, statuses: Collection[RunStatus] = (), limit: int = 100) -> list[str]:
        """Delete runs that ended long ago, oldest first, as ``delete`` does; return their ids.

        Args:
            ended_before: Runs that ended earlier go.
            statuses: Only these terminal statuses; all of them by default.
            limit: How many at most: a small number keeps the transaction short.
        """
        wanted = [status.value for status in statuses or TERMINAL_RUN_STATUSES if status.is_terminal]
        # A run is created before it ends, and there is an index on that.
        old = (runs.c.status.in_(wanted), runs.c.created_at < ended_before, runs.c.ended_at < ended_before)
        oldest = sa.select(runs.c.run_id).where(*old).order_by(runs.c.created_at).limit(limit)

        def work(connection: sa.Connection) -> list[str]:
            run_ids = [row.run_id for row in connection.execute(oldest.with_for_update(skip_locked=True))]
            if run_ids:
                _delete(connection, run_ids)
            return run_ids

        return self._database.transact(work)

    def _read(self, query: sa.Executable, parameters: dict[str, Any] | None = None) -> list[Run]:
        return [run_of(*tuple(row)) for row in self._database.rows(query, parameters)]


_BY_ID = sa.select(*_RUN_COLUMNS).where(runs.c.run_id == sa.bindparam("run_id"))
_STATUS_BY_ID = sa.select(runs.c.status).where(runs.c.run_id == sa.bindparam("run_id"))


def _delete(connection: sa.Connection, run_ids: Sequence[str]) -> None:
    for table in (events, attempts, pool_waiters, run_tags, runs):
        connection.execute(sa.delete(table).where(table.c.run_id.in_(run_ids)))


def _close_attempts(connection: sa.Connection, run_id: str, at: datetime) -> None:
    running = sa.and_(attempts.c.run_id == run_id, attempts.c.status == "RUNNING")
    connection.execute(sa.update(attempts).where(running).values(status="CANCELED", ended_at=at))


def _conditions(wanted: RunFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    equal = {
        runs.c.job_name: wanted.job_name,
        runs.c.location: wanted.location,
        runs.c.parent_run_id: wanted.parent_run_id,
        runs.c.root_run_id: wanted.root_run_id,
    }
    conditions += [column == value for column, value in equal.items() if value is not None]
    if wanted.run_ids is not None:
        conditions.append(runs.c.run_id.in_(list(wanted.run_ids)))
    if wanted.statuses:
        conditions.append(runs.c.status.in_([status.value for status in wanted.statuses]))
    for key, value in wanted.tags.items():
        tagged = sa.select(run_tags.c.run_id).where(run_tags.c.key == key, run_tags.c.value == value)
        conditions.append(runs.c.run_id.in_(tagged))
    if wanted.created_after is not None:
        conditions.append(runs.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(runs.c.created_at < wanted.created_before)
    return conditions


def _differences(stored: Run, wanted: Run) -> list[str]:
    pairs = {
        "job": ((stored.location, stored.job_name), (wanted.location, wanted.job_name)),
        "config": (stored.run_config, wanted.run_config),
        "selection": (
            (stored.step_keys, stored.asset_selection),
            (wanted.step_keys, wanted.asset_selection),
        ),
    }
    return [name for name, (left, right) in pairs.items() if left != right]


def _time_of(run_id: str) -> datetime:
    """Return the time in a run id (UUID version 7): where a page goes on when its last run was deleted meanwhile."""
    try:
        parsed = uuid.UUID(run_id)
    except ValueError:
        raise RunNotFoundError(f"No run has the id '{run_id}', so no page can follow it.") from None
    if parsed.version != 7:
        raise RunNotFoundError(f"No run has the id '{run_id}', so no page can follow it.")
    # 48 bits of milliseconds reach beyond the last year that Python knows.
    return datetime.fromtimestamp(min((parsed.int >> 80) / 1000, 253_402_300_799), UTC)
