"""What the clock is measured with: many schedules of the same minute, and one sensor that ticks each second."""

from __future__ import annotations

import orchord as dg

SCHEDULES = 1000


@dg.op
def one() -> int:
    return 1


@dg.job
def scheduled() -> None:
    one()


@dg.sensor(job=scheduled, minimum_interval_seconds=1)
def each_second() -> dg.SkipReason:
    return dg.SkipReason("It only shows that the clock goes on.")


schedules = [
    dg.ScheduleDefinition(name=f"schedule_{number}", job=scheduled, cron_schedule="* * * * *")
    for number in range(SCHEDULES)
]

defs = dg.Definitions(jobs=[scheduled], schedules=schedules, sensors=[each_second])
