"""User code for the sensors' measure: many that are quick, and some that hang until their time limit.

How they are measured is daemon_sensors.py.
"""

from __future__ import annotations

import time

import orchord as dg

SENSORS = 200
HANGING = 5
INTERVAL_SECONDS = 5


@dg.op
def nothing() -> None:
    """Run by nobody: the sensors ask for no runs."""


@dg.job
def idle() -> None:
    nothing()


def quick(number: int) -> dg.SensorDefinition:
    """Return a sensor that looks, finds nothing, and keeps a cursor."""

    @dg.sensor(
        name=f"quick_{number}",
        job=idle,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        context.update_cursor(str(int(context.cursor or 0) + 1))
        return dg.SkipReason("nothing new")

    return look


def hanging(number: int) -> dg.SensorDefinition:
    """Return a sensor that waits for what never comes."""

    @dg.sensor(
        name=f"hanging_{number}",
        job=idle,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def wait(context: dg.SensorEvaluationContext) -> None:
        time.sleep(3600)

    return wait


defs = dg.Definitions(
    jobs=[idle],
    sensors=[*map(quick, range(SENSORS - HANGING)), *map(hanging, range(HANGING))],
)
