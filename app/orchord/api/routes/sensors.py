"""Sensors: listing, reading, turning on and off, cursors, pushes, trying out, and their ticks.

Schedules are routes/schedules.py; how any of this is done is orchord.instance.instigating.
"""

from __future__ import annotations

import msgspec
from flask import Response

from orchord.api.models.instigators import (
    CursorBody,
    PlaceQuery,
    PushBody,
    PushHeader,
    SensorBody,
    SensorDetailBody,
    SensorDryRunBody,
    SensorList,
    SensorPath,
)
from orchord.api.models.jobs import LocationQuery
from orchord.api.models.ticks import DryRunBody, TickBody, TickPage, TickPageQuery
from orchord.api.problems import ProblemError
from orchord.api.routes.instigation import dry_run, last_ticks, tick_page
from orchord.api.routing import API_PREFIX, Routes, answer
from orchord.api.state import the_instance
from orchord.instance.instigators import Instigator
from orchord.ticks import InstigatorKind

MAX_PAYLOAD_BYTES = 1_000_000
SENSOR = InstigatorKind.SENSOR

routes = Routes("sensors", "Functions that are evaluated again and again, or when something is pushed to them.")


@routes.get("/sensors", {200: SensorList}, problems=(404,))
def list_sensors(query: LocationQuery) -> SensorList:
    """List the sensors of one code location, or of all."""
    return SensorList(items=[SensorBody.of(found) for found in the_instance().sensors(query.location)])


@routes.get("/sensors/<sensor>", {200: SensorDetailBody}, problems=(409,))
def read_sensor(path: SensorPath, query: PlaceQuery) -> SensorDetailBody:
    """Read one sensor: whether it is on, its cursor, and its last ticks."""
    return _detailed(the_instance().instigator(SENSOR, path.sensor, query.location))


@routes.post("/sensors/<sensor>/start", {200: SensorDetailBody}, problems=(409,))
def start_sensor(path: SensorPath, query: PlaceQuery) -> SensorDetailBody:
    """Turn a sensor on. It goes on from its cursor."""
    return _detailed(the_instance().start_instigator(SENSOR, path.sensor, query.location))


@routes.post("/sensors/<sensor>/stop", {200: SensorDetailBody}, problems=(409,))
def stop_sensor(path: SensorPath, query: PlaceQuery) -> SensorDetailBody:
    """Turn a sensor off. A tick that has begun goes on to its end."""
    return _detailed(the_instance().stop_instigator(SENSOR, path.sensor, query.location))


@routes.post("/sensors/<sensor>/reset", {200: SensorDetailBody}, problems=(409,))
def reset_sensor(path: SensorPath, query: PlaceQuery) -> SensorDetailBody:
    """Forget that a sensor was started or stopped: what its code says holds again. Its cursor stays."""
    return _detailed(the_instance().reset_instigator(SENSOR, path.sensor, query.location))


@routes.put("/sensors/<sensor>/cursor", {200: SensorDetailBody}, problems=(409,))
def set_sensor_cursor(path: SensorPath, query: PlaceQuery, body: CursorBody) -> SensorDetailBody:
    """Set a sensor's cursor. A tick that is under way writes its own at its end: stop the sensor before."""
    return _detailed(the_instance().set_sensor_cursor(path.sensor, body.cursor, query.location))


@routes.post("/sensors/<sensor>/tick", {200: TickBody, 202: TickBody}, problems=(409,))
def push_sensor(path: SensorPath, query: PlaceQuery, header: PushHeader, body: PushBody) -> Response:
    """Have a sensor evaluated now, with a JSON object that its context gives as `payload`.

    202: the tick is recorded, and a worker evaluates it; follow it at `Location`. 200: the same `Idempotency-Key` made
    it before. 409: the sensor is off, or watches runs, or the key was used with another body.
    """
    payload = body.model_extra or {}
    size = len(msgspec.json.encode(payload))
    if size > MAX_PAYLOAD_BYTES:
        raise ProblemError(
            413,
            "payload-too-large",
            f"The payload has {size} bytes as JSON, and at most {MAX_PAYLOAD_BYTES} are taken. Store the data "
            "elsewhere, and push its address.",
        )
    tick, is_new = the_instance().push_sensor(path.sensor, payload, query.location, header.idempotency_key)
    where = f"{API_PREFIX}/ticks/{tick.tick_id}"
    return answer(TickBody.of(tick), 202 if is_new else 200, {"Location": where})


@routes.post("/sensors/<sensor>/dry-run", {200: DryRunBody}, problems=(409,))
def dry_run_sensor(path: SensorPath, query: PlaceQuery, body: SensorDryRunBody) -> DryRunBody:
    """Evaluate a sensor on a worker and answer which runs it asks for; none is started, and its cursor stays.

    An evaluation that fails is an answer too: read `status` and `error`.
    """
    return dry_run(SENSOR, path.sensor, query.location, payload=body.payload, cursor=body.cursor)


@routes.get("/sensors/<sensor>/ticks", {200: TickPage}, problems=(409,))
def list_sensor_ticks(path: SensorPath, query: TickPageQuery) -> TickPage:
    """List the ticks of a sensor, the newest first, by pages."""
    return tick_page(query, the_instance().instigator(SENSOR, path.sensor, query.location).key)


def _detailed(found: Instigator) -> SensorDetailBody:
    return SensorDetailBody.detailed(found, last_ticks(found.key))
