"""The judge: compares what the database, the outputs and the journal say with what the plans demand.

It reads tables directly; the predictions are prediction.py's, the table that is shown is report.py's.
"""

from __future__ import annotations

import pickle
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import shapes
from faults import Injected
from load import Launched
from prediction import predict
from stack import Stack

FINAL = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass
class Verdict:
    """Counts that must be zero, with one line for each thing found; and how long recovery took."""

    runs: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    ticks: int = 0
    ticks_missed: list[str] = field(default_factory=list)
    ticks_doubled: list[str] = field(default_factory=list)
    harness: list[str] = field(default_factory=list)
    lost_attempts: int = 0
    repeated_requests: int = 0
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def mistakes(self) -> list[str]:
        kinds = ("lost", "wrong", "doubled", "leaked", "ticks_missed", "ticks_doubled", "harness")
        return [f"{kind}: {line}" for kind in kinds for line in getattr(self, kind)]

    @property
    def recovery_times(self) -> list[float]:
        return [seconds for times in self.recoveries.values() for seconds in times]

    def median_recovery(self) -> float:
        return statistics.median(self.recovery_times) if self.recovery_times else 0.0

    def worst_recovery(self) -> float:
        return max(self.recovery_times, default=0.0)


@dataclass(frozen=True)
class AttemptRow:
    run_id: str
    step_key: str
    attempt: int
    status: str
    retry_number: int
    process_id: int
    started: float | None
    ended: float | None
    pool: str | None


def read_attempts(stack: Stack) -> list[AttemptRow]:
    columns = "run_id, step_key, attempt, status, retry_number, process_id"
    times = "extract(epoch FROM started_at)::float8, extract(epoch FROM ended_at)::float8"
    return [AttemptRow(*row) for row in stack.rows(f"SELECT {columns}, {times}, pool FROM attempts ORDER BY attempt")]


def judge(stack: Stack, runs: Sequence[Launched], faults: Sequence[Injected], exceeded: Sequence[str]) -> Verdict:
    """Look at everything once all has ended, or the time for it is over. ``exceeded``: what the witness saw."""
    found = Verdict(runs=len(runs))
    attempts = read_attempts(stack)
    by_run: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in attempts:
        by_run[attempt.run_id].append(attempt)
    statuses = dict(stack.rows("SELECT run_id, status FROM runs"))
    found.lost_attempts = sum(attempt.status == "LOST" for attempt in attempts)
    found.repeated_requests = sum(max(0, launched.attempts - 1) for launched in runs)
    for launched in runs:
        _judge_run(stack, found, launched, statuses.get(launched.run_id), by_run[launched.run_id])
    _judge_others(stack, found, runs)
    _judge_successes(stack, found)
    _judge_slots(found, attempts)
    found.leaked += exceeded
    _judge_journal(stack, found, attempts)
    _measure_recovery(found, attempts, faults)
    return found


def _judge_run(
    stack: Stack, found: Verdict, launched: Launched, status: str | None, attempts: list[AttemptRow]
) -> None:
    name = f"{launched.key} {launched.job} {launched.run_id}"
    if status is None:
        found.lost.append(f"{name}: never stored; the client heard {launched.refusals[-3:]}")
        return
    if launched.created > 1:
        found.doubled.append(f"{name}: created {launched.created} times by one key")
    if status not in FINAL:
        open_steps = [f"{a.step_key}#{a.attempt} {a.status}" for a in attempts if a.status in ("RUNNING", "LOST")]
        found.lost.append(f"{name}: still {status}; {open_steps}")
        return
    if launched.job == "to_be_canceled":
        if status != "CANCELED":
            found.wrong.append(f"{name}: {status}, expected CANCELED")
        return
    expected = predict(launched.job)
    got = {attempt.step_key: attempt for attempt in attempts}
    if status != expected.status:
        why = stack.rows("SELECT error FROM runs WHERE run_id = %s", launched.run_id)[0][0]
        found.wrong.append(f"{name}: {status}, expected {expected.status}; error {why}")
    steps = {key: attempt.status for key, attempt in got.items()}
    if steps != expected.steps:
        differing = sorted(set(steps.items()) ^ set(expected.steps.items()))
        found.wrong.append(f"{name}: steps differ: {differing[:6]}")
    for key, retries in expected.retries.items():
        if key in got and got[key].retry_number != retries:
            found.wrong.append(f"{name}: {key} had {got[key].retry_number} retries, expected {retries}")
    for key, value in expected.values.items():
        file = stack.home / "storage" / launched.run_id / key / "result"
        stored = pickle.loads(file.read_bytes()) if file.exists() else None
        if stored != value:
            found.wrong.append(f"{name}: {key} gave {stored}, expected {value}")


def _judge_others(stack: Stack, found: Verdict, runs: Sequence[Launched]) -> None:
    """Runs that schedules and sensors made, and runs that nobody asked for."""
    known = {launched.run_id for launched in runs}
    for run_id, job, status in stack.rows("SELECT run_id, job_name, status FROM runs"):
        if run_id in known:
            continue
        if job not in ("scheduled", "counted", "told"):
            found.doubled.append(f"run {run_id} of {job} was asked for by nobody")
        elif status not in FINAL:
            found.lost.append(f"run {run_id} of {job}: still {status}")
        elif status != "SUCCESS":
            found.wrong.append(f"run {run_id} of {job}: {status}")


def _judge_successes(stack: Stack, found: Verdict) -> None:
    """No step succeeded twice: by events and by attempts. No run's end was told twice. No asset event is doubled."""
    for name, column in (("STEP_SUCCESS", "step_key"), ("RUN_SUCCESS", "run_id"), ("RUN_FAILURE", "run_id")):
        statement = f"SELECT run_id, {column}, count(*) FROM events WHERE type = %s GROUP BY 1, 2 HAVING count(*) > 1"
        for run_id, what, count in stack.rows(statement, name):
            found.doubled.append(f"{count} {name} of {what} in run {run_id}")
    ends = "SELECT run_id, count(*) FROM events WHERE type IN ('RUN_SUCCESS', 'RUN_FAILURE', 'RUN_CANCELED') "
    for run_id, count in stack.rows(ends + "GROUP BY 1 HAVING count(*) > 1"):
        found.doubled.append(f"run {run_id} has {count} ends")
    assets = "SELECT run_id, asset_key, count(*) FROM asset_events WHERE type = 'ASSET_MATERIALIZATION' GROUP BY 1, 2"
    made: Counter[str] = Counter()
    for run_id, key, count in stack.rows(assets):
        made[run_id] += 1
        if count > 1:
            found.doubled.append(f"{count} materializations of {key} in run {run_id}")
    wanted = "SELECT run_id FROM runs WHERE job_name = 'materialize_numbers' AND status = 'SUCCESS'"
    for (run_id,) in stack.rows(wanted):
        if made[run_id] != 3:
            found.wrong.append(f"run {run_id} materialized {made[run_id]} assets, expected 3")


def _judge_slots(found: Verdict, attempts: Sequence[AttemptRow]) -> None:
    """Nothing runs, and so holds a slot, at the end."""
    for attempt in attempts:
        if attempt.status == "RUNNING":
            found.leaked.append(f"{attempt.step_key}#{attempt.attempt} of run {attempt.run_id} is still RUNNING")


def _judge_journal(stack: Stack, found: Verdict, attempts: Sequence[AttemptRow]) -> None:
    """No body began after its step had succeeded."""
    if not stack.journal.exists():
        return
    succeeded = {(a.run_id, a.step_key): a.ended for a in attempts if a.status == "SUCCESS"}
    for line in stack.journal.read_text().splitlines():
        at, word, run_id, step_key, _, process_id = line.split()
        ended = succeeded.get((run_id, step_key))
        if word == "begins" and ended is not None and float(at) > ended:
            found.doubled.append(f"{step_key} of run {run_id} ran again in {process_id} after it had succeeded")


def _measure_recovery(found: Verdict, attempts: Sequence[AttemptRow], faults: Sequence[Injected]) -> None:
    """From a fault to the next sign that all goes on.

    A fault that took attempts down with it is over when the last of them was begun again; another, when the next
    attempt at anything was begun.
    """
    starts = sorted(attempt.started for attempt in attempts if attempt.started)
    following = {(a.run_id, a.step_key, a.attempt): a.started for a in attempts}
    for fault in faults:
        again = []
        for attempt in attempts:
            was_hit = attempt.status == "LOST" and attempt.process_id in fault.processes
            if was_hit and attempt.started and attempt.started <= fault.over_at:
                again.append(following.get((attempt.run_id, attempt.step_key, attempt.attempt + 1)))
        if not again:
            again = [next((start for start in starts if start > fault.at), None)]
        known = [start for start in again if start is not None]
        if known:
            found.recoveries[fault.kind].append(max(0.0, max(known) - fault.at))


def judge_ticks(stack: Stack, found: Verdict, ready_at: datetime, over_at: datetime) -> None:
    """Each schedule has each minute's tick once, with one run; the sensors' runs have neither gaps nor doubles."""
    minutes = stack.rows(
        "SELECT extract(epoch FROM m)::bigint FROM generate_series(date_trunc('minute', %s::timestamptz) "
        "+ interval '1 minute', %s::timestamptz, interval '1 minute') AS m",
        ready_at,
        over_at,
    )
    ticks = stack.rows(
        "SELECT name, extract(epoch FROM planned_at)::bigint, status, run_ids, error FROM ticks WHERE kind = 'SCHEDULE'"
    )
    planned = Counter((name, at) for name, at, *_ in ticks)
    found.ticks = len(ticks)
    for number in range(shapes.SCHEDULES):
        for (minute,) in minutes:
            count = planned[(f"every_minute_{number}", minute)]
            name = f"every_minute_{number} at {datetime.fromtimestamp(minute):%H:%M}"
            if count == 0:
                found.ticks_missed.append(name)
            elif count > 1:
                found.ticks_doubled.append(f"{name}: {count}")
    runs = Counter(_tagged(stack, "scheduled", "orchord/tick"))
    found.ticks_doubled += [f"tick {tick} made {count} runs" for tick, count in runs.items() if count > 1]
    for name, at, status, run_ids, error in ticks:
        if status != "SUCCESS" or not run_ids:
            found.ticks_missed.append(f"{name} at {at}: {status} {error}")
    _judge_sensors(stack, found)


def _tagged(stack: Stack, job: str, tag: str) -> list[Any]:
    statement = "SELECT t.value FROM runs r JOIN run_tags t ON t.run_id = r.run_id AND t.key = %s WHERE r.job_name = %s"
    return [value for (value,) in stack.rows(statement, tag, job)]


def _judge_sensors(stack: Stack, found: Verdict) -> None:
    keys = sorted(int(key) for key in _tagged(stack, "counted", "orchord/run_key"))
    if keys != list(range(1, len(keys) + 1)):
        found.ticks_missed.append(f"sensor counting made the runs {keys}")
    if not keys:
        found.ticks_missed.append("sensor counting made no run")
    told = Counter(_tagged(stack, "told", "tells_of"))
    wanted = stack.rows("SELECT run_id FROM runs WHERE job_name IN ('scheduled', 'counted') AND status = 'SUCCESS'")
    for (run_id,) in wanted:
        if told[run_id] != 1:
            kind = found.ticks_missed if told[run_id] == 0 else found.ticks_doubled
            kind.append(f"sensor teller told of run {run_id} {told[run_id]} times")
