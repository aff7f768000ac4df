"""PostgreSQL's statements on the hot path: create, claim, finish, skip and end are one round trip each.

Each is one statement of CTEs in autocommit. Parameters and answers are postgres_hot_path.py; the four rules that
all statements keep stand above them.
"""

# Four rules hold for all of them:
#
# * Locks are taken in one order: the run's row, then attempts, then assets by key. A lock is taken at once as strong
#   as it is needed and never raised, so first claims of one run cannot deadlock.
# * What a CTE changes is not seen by its siblings, so a rule over attempts adds the row at hand by parameter.
# * Whoever inserts events of a run first takes the run's shared gate. Ids are given before commit, so a reader could
#   see id 7 before id 6 and go on after 7; a reader of pages takes the gate alone (event_store.py) and cannot.
#   Asset events have gates of their assets beside, for readers of an asset's history (asset_store.py).
# * Whatever brings a run to another status notes that in run_changes, in the same statement.

from __future__ import annotations

from functools import cache

from orchord.storage import wording

# One lock class for gates: 'ORCH'. The second number is the run's hash.
GATE_CLASS = 0x4F524348 & 0x7FFFFFFF
# And one for the gates of assets: 'ASST'. The second number is the key's hash.
ASSET_GATE_CLASS = 0x41535354 & 0x7FFFFFFF

_GATE = f"gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({GATE_CLASS}, %(gate)s))"
# Counted, so that each is taken; in the order in which they are given, which is theirs.
_GATES = f"""gate AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared({GATE_CLASS}, %(gate)s), (
        SELECT count(pg_advisory_xact_lock_shared({ASSET_GATE_CLASS}, g.gate))
        FROM unnest(%(asset_gates)s::int[]) AS g(gate))
)"""
_THROUGH_GATE = "EXISTS (SELECT FROM gate)"

_EVENT_COLUMNS = "run_id, step_key, type, timestamp, level, message, data, asset_key, partition"
_EVENT_RECORD = (
    "(type text, timestamp timestamptz, message text, step_key text, level int, data json, asset_key text,"
    " partition text)"
)
_GIVEN_EVENTS = f"""SELECT %(run_id)s, e.step_key, e.type, e.timestamp, COALESCE(e.level, 20), COALESCE(e.message, ''),
        e.data::text, e.asset_key, e.partition
    FROM json_to_recordset(%(events)s::json) AS e{_EVENT_RECORD}"""


def _by_end_status(column: int) -> str:
    cases = " ".join(f"WHEN '{status}' THEN {words[column]!r}" for status, words in wording.END_EVENTS.items())
    return f"CASE ended.status {cases} END"


# A run that was stopped for a reason has it in its error already, and fails by it.
_END_EVENT = f"""SELECT %(run_id)s, NULL, 'RUN_' || ended.status, %(at)s::timestamptz, {_by_end_status(1)},
        CASE WHEN ended.error IS NULL THEN {_by_end_status(2)}
            ELSE {wording.RUN_FAILED_BY!r} || (ended.error::json ->> 'message') END,
        CASE WHEN ended.error IS NOT NULL THEN json_build_object('error', ended.error::json)::text END, NULL, NULL
    FROM ended"""

_CLAIM = f"""
WITH {_GATE}, started AS (
    UPDATE runs SET status = 'STARTED', started_at = %(at)s, updated_at = %(at)s
    WHERE run_id = %(run_id)s AND status = 'STARTING' AND {_THROUGH_GATE}
    RETURNING run_id
), held AS (
    SELECT run_id FROM runs
    WHERE run_id = %(run_id)s AND status IN ('STARTING', 'STARTED') AND NOT EXISTS (SELECT FROM started)
        AND {_THROUGH_GATE}
    FOR SHARE
), taken AS (
    INSERT INTO attempts (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, started_at)
    SELECT run_id, %(step_key)s, %(attempt)s, 'RUNNING', %(retry_number)s, %(token)s, %(worker_id)s, %(process_id)s,
        %(at)s
    FROM (SELECT run_id FROM started UNION ALL SELECT run_id FROM held) AS live
    WHERE NOT EXISTS (
        SELECT FROM attempts
        WHERE run_id = %(run_id)s AND step_key = %(step_key)s AND status NOT IN ('UP_FOR_RETRY', 'LOST'))
    ON CONFLICT DO NOTHING
    RETURNING attempt
), told AS (
    INSERT INTO run_changes (run_id, status, at) SELECT run_id, 'STARTED', %(at)s::timestamptz FROM started
), noted AS (
    INSERT INTO events ({_EVENT_COLUMNS})
    SELECT %(run_id)s, NULL, 'RUN_START', %(at)s::timestamptz, 20, %(run_message)s, NULL, NULL, NULL FROM started
    UNION ALL
    SELECT %(run_id)s, %(step_key)s, %(step_event)s, %(at)s::timestamptz, 20, %(step_message)s, NULL, NULL, NULL
    FROM taken
)
SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM started), r.status, a.status, a.token{{run_columns}}
FROM (SELECT) AS one
LEFT JOIN runs AS r ON r.run_id = %(run_id)s
LEFT JOIN LATERAL (
    SELECT status, token FROM attempts
    WHERE run_id = %(run_id)s AND step_key = %(step_key)s
    ORDER BY (attempt = %(attempt)s) DESC, attempt DESC LIMIT 1
) AS a ON true
"""

CLAIM = _CLAIM.replace("{run_columns}", "")
CLAIM_WITH_RUN = _CLAIM.replace("{run_columns}", ", r.body, r.started_at, r.ended_at, r.updated_at, r.error")

_DONE = """done AS (
    UPDATE attempts
    SET status = %(status)s, outputs = %(outputs)s, error = %(error)s, retry_at = %(retry_at)s, ended_at = %(at)s
    WHERE run_id = %(run_id)s AND step_key = %(step_key)s AND attempt = %(attempt)s
        AND token = %(token)s AND status = 'RUNNING' AND {first}
    RETURNING attempt
)"""

_NEXT = """next AS (
    INSERT INTO attempts (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, started_at)
    SELECT run_id, %(next_step_key)s, %(next_attempt)s, 'RUNNING', %(next_retry_number)s, %(next_token)s,
        %(next_worker_id)s, %(next_process_id)s, %(next_at)s
    FROM held
    WHERE status = 'STARTED' AND EXISTS (SELECT FROM done) AND NOT EXISTS (
        SELECT FROM attempts
        WHERE run_id = %(run_id)s AND step_key = %(next_step_key)s AND status NOT IN ('UP_FOR_RETRY', 'LOST'))
    ON CONFLICT DO NOTHING
    RETURNING step_key
)"""

_NEXT_EVENT = """SELECT %(run_id)s, next.step_key, %(next_event)s, %(next_at)s::timestamptz, 20, %(next_message)s,
        NULL, NULL, NULL
    FROM next"""

_HELD = """held AS (
    SELECT run_id, status FROM runs WHERE run_id = %(run_id)s AND EXISTS (SELECT FROM gate) {live} FOR {lock}
)"""

_SKIPPED = """skipped AS (
    INSERT INTO attempts
        (run_id, step_key, attempt, status, retry_number, token, worker_id, process_id, ended_at)
    SELECT %(run_id)s, s.step_key, s.attempt, s.status, 0, '', '', 0, %(at)s
    FROM json_to_recordset(%(skips)s::json) AS s(step_key text, status text, attempt int)
    WHERE {allowed} AND NOT EXISTS (
        SELECT FROM attempts AS a
        WHERE a.run_id = %(run_id)s AND a.step_key = s.step_key AND a.status NOT IN ('UP_FOR_RETRY', 'LOST'))
    ON CONFLICT DO NOTHING
    RETURNING step_key, status
)"""

_SKIP_EVENTS = """SELECT %(run_id)s, skipped.step_key, 'STEP_SKIPPED', %(at)s::timestamptz, 20,
        COALESCE(s.reason, ''), json_build_object('status', skipped.status)::text, NULL, NULL
    FROM skipped JOIN json_to_recordset(%(skips)s::json) AS s(step_key text, reason text) USING (step_key)"""

# Not while a step still runs or waits for its next attempt, unless the run is being canceled: the monitor repairs a
# run that did not end; nothing repairs one that ended too early.
_ENDED = """ended AS (
    UPDATE runs SET ended_at = %(at)s, updated_at = %(at)s, status = CASE
        WHEN status = 'CANCELING' THEN CASE WHEN error IS NULL THEN 'CANCELED' ELSE 'FAILURE' END
        WHEN {own_failure} EXISTS (
            SELECT FROM attempts WHERE run_id = %(run_id)s AND status IN ('FAILURE', 'CANCELED')) THEN 'FAILURE'
        ELSE 'SUCCESS' END
    WHERE run_id = %(run_id)s AND {allowed} AND (status = 'CANCELING' OR status IN ('STARTING', 'STARTED')
        {own_success} AND NOT EXISTS (
            SELECT FROM attempts AS a
            WHERE a.run_id = %(run_id)s {other_steps} AND (a.status = 'RUNNING'
                OR a.status IN ('UP_FOR_RETRY', 'LOST') AND NOT EXISTS (
                    SELECT FROM attempts AS b
                    WHERE b.run_id = a.run_id AND b.step_key = a.step_key AND b.attempt > a.attempt))))
    RETURNING status, error
), told AS (
    INSERT INTO run_changes (run_id, status, at) SELECT %(run_id)s, status, %(at)s::timestamptz FROM ended
), closed AS (
    UPDATE attempts SET status = 'CANCELED', ended_at = %(at)s
    WHERE run_id = %(run_id)s AND status = 'RUNNING' {other_steps_closed} AND EXISTS (SELECT FROM ended)
)"""

_ASSETS = """happened AS (
    INSERT INTO asset_events (id, asset_key, type, run_id, step_key, timestamp, message, data, partition)
    SELECT id, asset_key, type, run_id, step_key, timestamp, message, data, partition FROM noted
    WHERE asset_key IS NOT NULL AND type IN ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION')
    RETURNING id, asset_key, type
), latest AS (
    INSERT INTO assets AS known (asset_key, materialization_id, observation_id)
    SELECT asset_key, max(id) FILTER (WHERE type = 'ASSET_MATERIALIZATION'),
        max(id) FILTER (WHERE type = 'ASSET_OBSERVATION')
    FROM happened GROUP BY asset_key ORDER BY asset_key
    ON CONFLICT (asset_key) DO UPDATE
    SET materialization_id = GREATEST(known.materialization_id, excluded.materialization_id),
        observation_id = GREATEST(known.observation_id, excluded.observation_id)
)"""

_DONE_ALLOWS = "EXISTS (SELECT FROM done)"


@cache
def finish_statement(
    *, with_events: bool, with_assets: bool, with_skips: bool, ends_run: bool, then_claims: bool
) -> str:
    """Return the text that finishes an attempt, with no more CTEs than this finish needs."""
    ctes = [_GATES if with_assets else _GATE]
    first = _THROUGH_GATE
    if ends_run or then_claims:
        # Counted, not asked for existence: whatever the run's status is, the attempt ends, but after the run's lock.
        ctes.append(_HELD.format(live="", lock="NO KEY UPDATE" if ends_run else "SHARE"))
        first = "(SELECT count(*) FROM held) >= 0"
    ctes.append(_DONE.format(first=first))
    sources = [f"{_GIVEN_EVENTS} WHERE {_DONE_ALLOWS}"] if with_events else []
    if with_skips:
        ctes.append(_SKIPPED.format(allowed=_DONE_ALLOWS))
        sources.append(_SKIP_EVENTS)
    if then_claims:
        ctes.append(_NEXT)
        sources.append(_NEXT_EVENT)
    if ends_run:
        ended = _ENDED.format(
            allowed=_DONE_ALLOWS,
            own_failure="%(status)s IN ('FAILURE', 'CANCELED') OR",
            own_success="AND %(status)s NOT IN ('UP_FOR_RETRY', 'LOST')",
            other_steps="AND a.step_key <> %(step_key)s",
            other_steps_closed="AND step_key <> %(step_key)s",
        )
        ctes.append(ended)
        sources.append(_END_EVENT)
    ctes += _noted(sources, with_assets=with_assets)
    status = "(SELECT status FROM ended)" if ends_run else "NULL"
    next_ = "(SELECT count(*) FROM next)" if then_claims else "0"
    return _joined(ctes, f"SELECT (SELECT count(*) FROM done), {status}, {next_}")


@cache
def skip_statement(*, ends_run: bool) -> str:
    """Return the text that records steps that do not run, and with ``ends_run`` the run's end."""
    live = "AND status IN ('STARTING', 'STARTED', 'CANCELING')"
    held = _HELD.format(live=live, lock="NO KEY UPDATE" if ends_run else "SHARE")
    ctes = [_GATE, held, _SKIPPED.format(allowed="EXISTS (SELECT FROM held)")]
    sources = [_SKIP_EVENTS]
    if ends_run:
        # What this statement skips is not seen by its end: a CANCELED skip comes only when the run is being canceled.
        ctes.append(_plain_end("(SELECT count(*) FROM skipped) >= 0"))
        sources.append(_END_EVENT)
    ctes += _noted(sources, with_assets=False)
    return _joined(ctes, "SELECT (SELECT status FROM ended)" if ends_run else "SELECT NULL")


def _plain_end(allowed: str) -> str:
    return _ENDED.format(allowed=allowed, own_failure="", own_success="", other_steps="", other_steps_closed="")


def _noted(sources: list[str], *, with_assets: bool) -> list[str]:
    if not sources:
        return []
    returning = f"RETURNING id, {_EVENT_COLUMNS}" if with_assets else ""
    rows = " UNION ALL ".join(sources)
    noted = f"noted AS (\n    INSERT INTO events ({_EVENT_COLUMNS})\n    {rows}\n    {returning})"
    return [noted, _ASSETS] if with_assets else [noted]


def _joined(ctes: list[str], answer: str) -> str:
    return "WITH " + ",\n".join(ctes) + "\n" + answer


END = _joined([_GATE, _plain_end(_THROUGH_GATE), *_noted([_END_EVENT], with_assets=False)], "SELECT status FROM ended")

CREATE = f"""
WITH {_GATE}, created AS (
    INSERT INTO runs (run_id, job_name, location, status, created_at, started_at, ended_at, updated_at, parent_run_id,
        root_run_id, idempotency_key, body, error, rank)
    SELECT %(run_id)s, %(job_name)s, %(location)s, %(status)s, %(created_at)s, %(started_at)s, %(ended_at)s,
        %(updated_at)s, %(parent_run_id)s, %(root_run_id)s, %(idempotency_key)s, %(body)s, %(error)s, %(rank)s::int
    WHERE {_THROUGH_GATE}
    ON CONFLICT DO NOTHING
    RETURNING run_id
), told AS (
    INSERT INTO run_changes (run_id, status, at) SELECT run_id, %(status)s, %(created_at)s FROM created
), tagged AS (
    INSERT INTO run_tags (run_id, key, value)
    SELECT %(run_id)s, t.key, t.value FROM json_each_text(%(tags)s::json) AS t WHERE EXISTS (SELECT FROM created)
), noted AS (
    INSERT INTO events ({_EVENT_COLUMNS})
    {_GIVEN_EVENTS} WHERE EXISTS (SELECT FROM created)
)
SELECT count(*) FROM created
"""


@cache
def append_statement(*, with_assets: bool) -> str:
    """Return the text that adds events to a run."""
    sources = [f"{_GIVEN_EVENTS} WHERE {_THROUGH_GATE}"]
    gate = _GATES if with_assets else _GATE
    return _joined([gate, *_noted(sources, with_assets=with_assets)], "SELECT NULL")
