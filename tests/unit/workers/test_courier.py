"""The courier: which messages ticks become, and that a broker that is away is told, or only logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from orchord.embedded.processes import free_port
from orchord.errors import BrokerUnavailableError
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, Tick, TickStatus
from orchord_workers.courier import CeleryCourier, batches


def tick(number: int, kind: InstigatorKind, name: str = "n", lane: str | None = None, location: str = "here") -> Tick:
    key = InstigatorKey(location, kind, name)
    return Tick(number, key, str(number), TickStatus.PENDING, utc_now(), 60.0, lane=lane)


def test_sensors_travel_alone_with_their_lane_and_schedules_by_twenty_five():
    schedules = [tick(number, InstigatorKind.SCHEDULE) for number in range(60)]
    others = [tick(90, InstigatorKind.SCHEDULE, location="there"), tick(91, InstigatorKind.SENSOR, "s", "sensor:s")]
    messages = list(batches([*schedules, *others]))
    assert messages[0] == ("here", "sensor s", [91], "sensor:s")
    assert [(place, len(ids), lane) for place, _, ids, lane in messages[1:]] == [
        ("here", 25, None),
        ("here", 25, None),
        ("here", 10, None),
        ("there", 1, None),
    ]


def test_a_broker_that_is_away_is_told_for_ticks_and_logged_for_hints(tmp_path: Path, caplog: Any):
    (tmp_path / "orchord.yaml").write_text(f"celery: {{broker: 'redis://127.0.0.1:{free_port()}/0'}}\n")
    with OrchordInstance.from_home(Settings(tmp_path, True)) as instance:
        courier = instance.courier
        assert isinstance(courier, CeleryCourier)
        with pytest.raises(BrokerUnavailableError, match="cannot be reached"):
            courier.send_ticks([tick(1, InstigatorKind.SENSOR)])
        with caplog.at_level(logging.WARNING):
            courier.wake("clock")
        assert "The daemon could not be woken for clock" in caplog.text


def test_the_fake_courier_keeps_what_it_is_given(tmp_path: Path):
    launcher = "run_launcher: {module: orchord.testing.fake_launcher, class: FakeRunLauncher}\n"
    (tmp_path / "orchord.yaml").write_text(launcher)
    with OrchordInstance.from_home(Settings(tmp_path, True)) as instance:
        courier = instance.courier
        assert isinstance(courier, FakeCourier)
        one = tick(1, InstigatorKind.SENSOR)
        courier.send_ticks([one])
        courier.wake("queue")
        assert (courier.ticks, courier.woken) == ([one], ["queue"])
        courier.is_away = True
        with pytest.raises(BrokerUnavailableError, match="as the test wants it"):
            courier.send_ticks([one])
