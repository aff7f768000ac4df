"""Schedules and sensors from the outside: starting, stopping, resetting, pushing, and trying them out.

What is known of them is instigators.py; ticks by the clock are made by the daemon, and evaluated by tick workers.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from orchord.errors import BrokerUnavailableError, ConflictError, UnavailableError
from orchord.events import ErrorInfo, utc_now
from orchord.instance.instigators import RUN_STATUS_KIND, Instigator, find_instigator, instigators
from orchord.ticks import FINAL_TICK_STATUSES, InstigatorKey, InstigatorKind, InstigatorStatus, NewTick, Tick
from orchord.wire import WAKE_CLOCK

if TYPE_CHECKING:
    from orchord.instance.instance import OrchordInstance
    from orchord.storage import Storage

logger = logging.getLogger(__name__)

#: A worker that has not reported itself for so long does not count.
WORKER_SILENCE = timedelta(seconds=30)
#: How long a dry run may wait for a tick worker that is at something else, beside its own time limit.
WAITING_SECONDS = 15.0
WIPED_AT_ONCE = 1000


class InstigatorControl:
    """The part of an instance by which schedules and sensors are looked at and turned on and off."""

    storage: Storage

    def schedules(self, location: str | None = None) -> list[Instigator]:
        """Return the schedules of one code location, or of all.

        Raises:
            LocationNotFoundError: no code location has this name.
        """
        return instigators(self.storage, InstigatorKind.SCHEDULE, location)

    def sensors(self, location: str | None = None) -> list[Instigator]:
        """Return the sensors of one code location, or of all.

        Raises:
            LocationNotFoundError: no code location has this name.
        """
        return instigators(self.storage, InstigatorKind.SENSOR, location)

    def instigator(self, kind: InstigatorKind, name: str, location: str | None = None) -> Instigator:
        """Return one schedule or sensor.

        Raises:
            LocationNotFoundError: no code location has this name.
            NotFoundError: there is no such schedule or sensor.
            ConflictError: several locations have one of this name.
        """
        return find_instigator(self.storage, kind, name, location)

    def start_instigator(self, kind: InstigatorKind, name: str, location: str | None = None) -> Instigator:
        """Turn a schedule or sensor on; its ticks begin now. One that was turned on before goes on as it is.

        Raises:
            NotFoundError, ConflictError: as ``instigator`` does.
        """
        return self._set(kind, name, location, InstigatorStatus.RUNNING)

    def stop_instigator(self, kind: InstigatorKind, name: str, location: str | None = None) -> Instigator:
        """Turn a schedule or sensor off. A tick that has begun goes on to its end.

        Raises:
            NotFoundError, ConflictError: as ``instigator`` does.
        """
        return self._set(kind, name, location, InstigatorStatus.STOPPED)

    def reset_instigator(self, kind: InstigatorKind, name: str, location: str | None = None) -> Instigator:
        """Forget that a schedule or sensor was turned on or off: the code's default holds.

        Raises:
            NotFoundError, ConflictError: as ``instigator`` does.
        """
        return self._set(kind, name, location, None)

    def set_all_instigators(
        self, kind: InstigatorKind, status: InstigatorStatus | None, location: str | None = None
    ) -> list[Instigator]:
        """Turn all schedules, or all sensors, on or off; None: as their code says. The daemons are woken once.

        Raises:
            LocationNotFoundError: no code location has this name.
        """
        changing = [found for found in instigators(self.storage, kind, location) if found.state.status is not status]
        for found in changing:
            self.storage.instigators.set_status(found.key, status, utc_now())
        if changing:
            self._whole().courier.wake(WAKE_CLOCK)
        return instigators(self.storage, kind, location)

    def set_sensor_cursor(self, name: str, cursor: str | None, location: str | None = None) -> Instigator:
        """Set what a sensor's next evaluation gets as ``context.cursor``; None: nothing, as before its first.

        Raises:
            NotFoundError, ConflictError: as ``instigator`` does.
        """
        key = self.instigator(InstigatorKind.SENSOR, name, location).key
        self.storage.instigators.set_cursor(key, cursor)
        return self.instigator(key.kind, key.name, key.location)

    def push_sensor(
        self,
        name: str,
        payload: Mapping[str, Any],
        location: str | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Tick, bool]:
        """Have a sensor evaluated now, with a payload that its context can read; return the tick and whether it is new.

        Pushes to one sensor are evaluated one after another, in their order. When the broker is away, the tick is
        recorded all the same, and the daemon has it evaluated later.

        Args:
            name: the sensor.
            payload: a JSON object, ``context.payload`` in the evaluation.
            location: its code location, when several have such a sensor.
            idempotency_key: the same key again gives the same tick.

        Raises:
            NotFoundError: there is no such sensor.
            ConflictError: it is off, or watches runs and takes no pushes, or the key was used with another payload.
        """
        found = self.instigator(InstigatorKind.SENSOR, name, location)
        if found.sensor.kind == RUN_STATUS_KIND:
            raise ConflictError(f"Sensor '{name}' is evaluated when a run changes its status, and takes no pushes.")
        if not found.is_running:
            raise ConflictError(f"Sensor '{name}' is off. Start it before anything is pushed to it.")
        tick_key = f"push:{idempotency_key or uuid.uuid4()}"
        tick = self._made(found, tick_key, payload=dict(payload))
        if tick is None:
            earlier = self.storage.ticks.find_by_key(found.key, tick_key)
            if earlier is None or earlier.payload != dict(payload):
                raise ConflictError(
                    f"The key '{idempotency_key}' was used for another push to sensor '{name}'. Use a new key."
                )
            return earlier, False
        try:
            self._send(tick)
        except BrokerUnavailableError as error:
            logger.warning("Tick %s of sensor %s waits for the daemon: %s", tick.tick_id, name, error)
        return tick, True

    def dry_run(
        self,
        kind: InstigatorKind,
        name: str,
        location: str | None = None,
        *,
        at: datetime | None = None,
        payload: Mapping[str, Any] | None = None,
        cursor: str | None = None,
        pause: Callable[[float], bool] | None = None,
    ) -> Tick:
        """Have a schedule or sensor evaluated on a worker, without starting runs or keeping a cursor; wait for its end.

        Args:
            kind: schedule or sensor.
            name: its name.
            location: its code location, when several have one of this name.
            at: the time that a schedule's evaluation gets; default: its next tick's.
            payload: what a sensor's context gets as ``payload``, as if it were pushed.
            cursor: what it gets as ``cursor``; default: the one that is stored.
            pause: waits so many seconds, and returns True to give up.

        Returns:
            The tick: of one that went well, ``data["requests"]`` are the runs that it asks for.

        Raises:
            NotFoundError, ConflictError: as ``instigator`` does; a sensor that watches runs cannot be tried out.
            UnavailableError: no worker is there to evaluate it, or none did in time; or the broker is away.
        """
        found = self.instigator(kind, name, location)
        if kind is InstigatorKind.SENSOR and found.sensor.kind == RUN_STATUS_KIND:
            raise ConflictError(f"Sensor '{name}' is evaluated for a run that changed its status: there is none here.")
        self._need_worker(found.key)
        if at is None and kind is InstigatorKind.SCHEDULE:
            at = next(iter(found.next_ticks(1, utc_now())), None)
        given = None if payload is None else dict(payload)
        tick = self._made(found, f"dry:{uuid.uuid4()}", at=at, payload=given, cursor=cursor, is_dry_run=True)
        assert tick is not None  # its key is new
        try:
            self._send(tick)
            return self._ended(tick, pause or threading.Event().wait)
        except UnavailableError as error:
            self.storage.ticks.give_up(tick.tick_id, ErrorInfo("UnavailableError", str(error)), utc_now())
            raise

    def wipe_instigators(self, kind: InstigatorKind) -> int:
        """Forget what is remembered of schedules, or of sensors, and their ended ticks; return how many ticks went.

        The code's defaults hold again, and sensors begin without a cursor.
        """
        for key in self.storage.instigators.states():
            if key.kind is kind:
                self.storage.instigators.forget(key)
        wiped = 0
        now = utc_now()
        for status in sorted(FINAL_TICK_STATUSES):
            while gone := self.storage.ticks.purge(kind, status, now, WIPED_AT_ONCE):
                wiped += gone
        self._whole().courier.wake(WAKE_CLOCK)
        return wiped

    def _set(
        self, kind: InstigatorKind, name: str, location: str | None, status: InstigatorStatus | None
    ) -> Instigator:
        found = self.instigator(kind, name, location)
        if found.state.status is status:
            return found
        self.storage.instigators.set_status(found.key, status, utc_now())
        self._whole().courier.wake(WAKE_CLOCK)
        return self.instigator(kind, name, found.key.location)

    def _made(
        self,
        found: Instigator,
        tick_key: str,
        *,
        at: datetime | None = None,
        payload: dict[str, Any] | None = None,
        cursor: str | None = None,
        is_dry_run: bool = False,
    ) -> Tick | None:
        new = NewTick(
            key=found.key,
            tick_key=tick_key,
            planned_at=at or utc_now(),
            time_limit_seconds=found.time_limit_seconds(self._whole().config),
            lane=None if is_dry_run else found.lane,
            payload=payload,
            is_dry_run=is_dry_run,
            cursor=cursor,
        )
        return next(iter(self.storage.ticks.make([new])), None)

    def _send(self, tick: Tick) -> None:
        self._whole().courier.send_ticks([tick])
        self.storage.ticks.mark_sent([tick.tick_id], utc_now())

    def _need_worker(self, key: InstigatorKey) -> None:
        alive = self.storage.workers.alive(self.storage.clock() - WORKER_SILENCE)
        if not any(worker.location == key.location and worker.takes_ticks for worker in alive):
            raise UnavailableError(
                f"No worker of location '{key.location}' is alive to evaluate '{key.name}'. Start one with "
                "`orchord worker`."
            )

    def _ended(self, tick: Tick, pause: Callable[[float], bool]) -> Tick:
        deadline = utc_now() + timedelta(seconds=tick.time_limit_seconds + WAITING_SECONDS)
        seconds = 0.02
        while True:
            known = self.storage.ticks.find(tick.tick_id)
            if known is None or known.status.is_final:
                return known or tick
            if utc_now() > deadline or pause(seconds):
                raise UnavailableError(
                    f"No worker has evaluated '{tick.key.name}' in {tick.time_limit_seconds + WAITING_SECONDS:.0f} s. "
                    f"Look at the log of the workers of location '{tick.key.location}'."
                )
            seconds = min(seconds * 1.5, 0.25)

    def _whole(self: Self) -> OrchordInstance:
        return cast("OrchordInstance", self)
