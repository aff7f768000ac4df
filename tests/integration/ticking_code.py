"""User code with schedules and sensors of every kind, well-behaved and not, for tests of tick workers."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator

import orchord as dg


@dg.op
def say(context: dg.OpExecutionContext) -> None:
    context.log.info("hello")


@dg.op
def fail() -> None:
    raise ValueError("as told")


@dg.op(config_schema={"amount": int})
def pay(context: dg.OpExecutionContext) -> None:
    """Needs config."""


@dg.job
def hello() -> None:
    say()


@dg.job
def failing() -> None:
    fail()


@dg.job
def paying() -> None:
    pay()


@dg.asset
def orders() -> int:
    return 1


@dg.schedule("* * * * *", job=hello, execution_timezone="Europe/Berlin")
def every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(tags={"planned": context.scheduled_execution_time.isoformat()})


@dg.schedule("* * * * *", job=hello)
def deadly(context: dg.ScheduleEvaluationContext) -> None:
    os._exit(4)


@dg.schedule("* * * * *", job=hello, timeout_seconds=0.5)
def stuck(context: dg.ScheduleEvaluationContext) -> None:
    sum(itertools.repeat(1))


@dg.schedule("* * * * *", job=hello)
def slow(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    threading.Event().wait(0.7)
    return dg.RunRequest()


nightly = dg.ScheduleDefinition(job=hello, cron_schedule="0 3 * * *", name="nightly")


@dg.sensor(job=hello)
def counting(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest]:
    number = int(context.cursor or 0) + 1
    context.log.info("number %s", number)
    context.update_cursor(str(number))
    yield dg.RunRequest(run_key=f"half {number // 2}", tags={"number": str(number)})


@dg.sensor(job=hello)
def pushed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    if context.payload is None:
        return dg.SkipReason("nothing was pushed")
    return dg.RunRequest(tags={"pushed": str(context.payload["number"])})


@dg.sensor(job=paying)
def mistaken(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    good = dg.RunRequest(run_config={"ops": {"pay": {"config": {"amount": 1}}}})
    bad = dg.RunRequest(run_key="bad", run_config={"ops": {"pay": {"config": {"amount": "much"}}}})
    return dg.SensorResult([good, bad, dg.RunRequest(run_config={"opps": {}})], cursor="moved")


@dg.sensor(job=hello)
def raising(context: dg.SensorEvaluationContext) -> None:
    context.update_cursor("never kept")
    raise RuntimeError("the other side is away")


@dg.sensor(job=hello, timeout_seconds=0.5)
def sleeping(context: dg.SensorEvaluationContext) -> None:
    while True:
        try:
            threading.Event().wait(60)
        except Exception:  # noqa: BLE001 - as careless user code does
            continue


@dg.sensor(job=hello, timeout_seconds=0.5)
def stuck_in_c(context: dg.SensorEvaluationContext) -> None:
    sum(itertools.repeat(1))


@dg.sensor(job=hello)
def ending_itself(context: dg.SensorEvaluationContext) -> None:
    os._exit(3)


@dg.sensor(job=hello)
def leaving(context: dg.SensorEvaluationContext) -> None:
    raise SystemExit(2)


@dg.asset_sensor(asset_key=dg.AssetKey("orders"), job=hello)
def on_orders(context: dg.SensorEvaluationContext, event: dg.EventLogEntry) -> dg.RunRequest:
    return dg.RunRequest(run_key=str(event.storage_id))


@dg.multi_asset_sensor(monitored_assets=dg.AssetSelection.all(), job=hello)
def on_all(context: dg.MultiAssetSensorEvaluationContext) -> dg.RunRequest | None:
    new = context.materialization_records_for_key(dg.AssetKey("orders"))
    context.advance_all_cursors()
    return dg.RunRequest(tags={"seen": str(len(new))}) if new else None


@dg.sensor(asset_selection=dg.AssetSelection.assets("orders"))
def making_orders(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    observed = dg.AssetObservation("orders", metadata={"rows": 3})
    return dg.SensorResult([dg.RunRequest(asset_selection=["orders"])], asset_events=[observed])


@dg.run_status_sensor(run_status=dg.DagsterRunStatus.SUCCESS, request_job=hello)
def on_success(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    event = context.dagster_event.event_type_value
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags={"after": context.dagster_run.job_name, "by": event})


@dg.run_failure_sensor
def on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason:
    steps = [event.step_key for event in context.get_step_failure_events()]
    return dg.SkipReason(f"{context.dagster_run.job_name}: {steps}, {context.failure_event.message}")


defs = dg.Definitions(
    jobs=[hello, failing, paying],
    assets=[orders],
    schedules=[every_minute, nightly, deadly, stuck, slow],
    sensors=[
        counting,
        pushed,
        mistaken,
        raising,
        sleeping,
        stuck_in_c,
        ending_itself,
        leaving,
        on_orders,
        on_all,
        making_orders,
        on_success,
        on_failure,
    ],
)
