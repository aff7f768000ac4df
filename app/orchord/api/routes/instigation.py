"""What the routes of schedules and of sensors share: pages of ticks, the last ones, and trying one out.

The routes themselves are schedules.py, sensors.py and ticks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchord.api.models.ticks import DryRunBody, TickBody, TickPage, TickPageQuery, tick_fields
from orchord.api.problems import RETRY_AFTER_SECONDS, ProblemError
from orchord.api.shown_config import has_secrets, without_secrets
from orchord.api.state import api_state, the_instance
from orchord.snapshot import JobSnapshot
from orchord.ticks import InstigatorKey, InstigatorKind, Tick

LAST_TICKS = 10


def tick_page(query: TickPageQuery, key: InstigatorKey | None = None) -> TickPage:
    """Return a page of the ticks of one schedule or sensor, or of all."""
    location = query.location if key is None else None
    ticks = the_instance().storage.ticks.page(
        key, query.limit + 1, before_id=query.before, statuses=tuple(query.status), location=location
    )
    shown = ticks[: query.limit]
    more = len(ticks) > query.limit
    return TickPage.model_construct(
        items=[TickBody.of(tick) for tick in shown], next_before=shown[-1].tick_id if more else None
    )


def last_ticks(key: InstigatorKey) -> list[Tick]:
    """Return the newest ticks of a schedule or sensor."""
    return the_instance().storage.ticks.page(key, LAST_TICKS)


def dry_run(
    kind: InstigatorKind,
    name: str,
    location: str | None,
    *,
    at: datetime | None = None,
    payload: Mapping[str, Any] | None = None,
    cursor: str | None = None,
) -> DryRunBody:
    """Have a schedule or sensor evaluated without effects, and wait for its end in one of the server's places."""
    state = api_state()
    with state.holding.place() as has_place:
        if not has_place:
            detail = "Too many requests wait already. Try again later."
            raise ProblemError(503, "too-many-waiting", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        tick = state.instance.dry_run(
            kind, name, location, at=at, payload=payload, cursor=cursor, pause=state.holding.pause
        )
    return DryRunBody.model_construct(**tick_fields(tick), requests=_shown_requests(tick))


def _shown_requests(tick: Tick) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = [dict(request) for request in tick.data.get("requests") or ()]
    row = the_instance().storage.locations.find(tick.key.location)
    jobs = {} if row is None or row.snapshot is None else row.snapshot.job_by_name
    for request in requests:
        job = jobs.get(str(request.get("job_name")))
        if job is not None and request.get("run_config"):
            request["run_config"] = _shown_config(job, request["run_config"])
    return requests


def _shown_config(job: JobSnapshot, config: Any) -> Any:
    return without_secrets(job.config_type, config) if has_secrets(job.config_type) else config
