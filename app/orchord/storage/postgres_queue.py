"""One look at the run queue in two round trips (PostgreSQL): what a submission pays before its run's first step.

The statements of any look, on either engine, are queue_store.py; here are those of the usual one: there is room, and
the first in line may go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from orchord.events import utc_now
from orchord.runs import Run, RunStatus
from orchord.storage.database import Database
from orchord.storage.encoding import run_of
from orchord.storage.postgres_hot_path import gate_of
from orchord.storage.postgres_statements import GATE_CLASS

if TYPE_CHECKING:
    from orchord.storage.queue_store import Chooser, UnderWay

# One message of three statements: each sees what was committed before it began, so the last one sees all that the
# holder of the lock before us has done. (So it says READ COMMITTED: a server may be set to something else.) Whether we
# have the lock goes with the answer. Prepared plans are made when the tables may be small, and kept when they are not:
# they go by indices from the first.
_LOCK = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT set_config('orchord.queue_locked', pg_try_advisory_xact_lock(%(lock_class)s, %(what)s)::text, true),
    set_config('enable_seqscan', 'off', true);
"""
_LOOK = """
SELECT current_setting('orchord.queue_locked') = 'true',
    (SELECT count(*) FROM runs WHERE status IN ('STARTING', 'STARTED', 'CANCELING')),
    (SELECT json_agg(json_build_array(t.key, t.value, t.total))::text FROM (
        SELECT run_tags.key, run_tags.value, count(*) AS total
        FROM runs JOIN run_tags ON run_tags.run_id = runs.run_id
        WHERE runs.status IN ('STARTING', 'STARTED', 'CANCELING') AND run_tags.key = ANY(%(keys)s)
        GROUP BY run_tags.key, run_tags.value) AS t),
    ARRAY(SELECT body FROM runs WHERE status = 'QUEUED' ORDER BY rank, created_at, run_id LIMIT %(size)s)
"""
# The answer to the last statement is all that is told, so a row that could not be moved ends the transaction.
_MOVED_ALL = """
SELECT CASE WHEN count(*) = %(expected)s THEN 0 ELSE ('a queued run is just being canceled: ' || count(*))::int END
FROM moved"""


def take_quickly(
    database: Database, chooser: Chooser, begin: type[UnderWay], start: str, lock: tuple[int, int], limit: int
) -> list[Run] | None:
    """Take runs out of the queue if nothing is in the way.

    Args:
        database: on PostgreSQL.
        chooser: decides; used up by this look.
        begin: makes what the chooser begins with.
        start: the CTEs that move runs, of queue_store.
        lock: the two numbers of the queue's lock.
        limit: at most so many runs.

    Returns:
        The runs to launch; None when this look was not enough and nothing has changed: the first in line have pools or
        are held back, or another process is looking.
    """
    with database.raw_cursor() as cursor:
        parameters = {"lock_class": lock[0], "what": lock[1], "keys": list(chooser.tag_keys), "size": limit}
        cursor.execute(_LOCK, _LOOK, "", parameters)
        is_ours, total, tags, bodies = cursor.row()
        if not is_ours:
            cursor.roll_back()
            return None
        counts = {(key, value): count for key, value, count in json.loads(tags or "[]")}
        chooser.begin(begin(total, counts))
        runs = [run_of(body, RunStatus.QUEUED, None, None, None, None) for body in bodies]
        chosen: list[Run] = []
        for run in runs:
            if chooser.room == 0:
                break
            if (run.pools and chooser.looks_at_pools) or not chooser.admit(run):
                cursor.roll_back()
                return None
            chosen.append(run)
        if not chosen:
            cursor.roll_back()
            return []
        at = utc_now()
        moves = {
            "run_ids": [run.run_id for run in chosen],
            "gates": [gate_of(run.run_id) for run in chosen],
            "at": at,
            "gate_class": GATE_CLASS,
            "expected": len(chosen),
        }
        cursor.execute("", start + _MOVED_ALL, "; COMMIT", moves)
    return [msgspec.structs.replace(run, status=RunStatus.STARTING, updated_at=at) for run in chosen]
