"""The monitor sees that a broker or a result backend has lost what it held, on Redis and on RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
import redis

from orchord.errors import BrokerUnavailableError
from orchord.events import utc_now
from orchord.instance import OrchordInstance
from orchord.instance.sections import CelerySettings
from orchord.plan.model import ExecutionPlan, Step
from orchord.runs import Run, RunStatus, new_run_id
from orchord.ticks import InstigatorKey, InstigatorKind, Tick, TickStatus
from orchord.wire import WAKE_CLOCK, StepMessage
from orchord_beat.wakes import Wakes
from orchord_workers.app import close_app, make_app
from orchord_workers.broker_watch import MARK_QUEUE, BrokerWatch
from orchord_workers.canvas import Canvas
from orchord_workers.courier import CeleryCourier

Make = Callable[[str], BrokerWatch]


@pytest.fixture
def make(valkey_url: str) -> Iterator[Make]:
    made = []

    def watch(broker: str) -> BrokerWatch:
        app = make_app(CelerySettings(broker=broker, result_backend=valkey_url))
        made.append((app, BrokerWatch(app)))
        return made[-1][1]

    yield watch
    for app, one in made:
        one.close()
        close_app(app)


@pytest.mark.parametrize("broker", ["valkey_url", "rabbitmq_url"])
def test_a_flush_is_seen_once_by_whoever_looks_next(
    make: Make, valkey_url: str, broker: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(broker)
    watch = make(url)
    watch.was_emptied()
    assert not watch.was_emptied()
    assert not make(url).was_emptied(), "another daemon takes the first one's mark for its own"
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    assert watch.was_emptied()
    assert not watch.was_emptied()
    assert watch.waiting("nowhere") == 0


def test_a_rabbitmq_that_lost_its_queues_is_seen(make: Make, rabbitmq_url: str) -> None:
    watch = make(rabbitmq_url)
    watch.was_emptied()
    other = make_app(CelerySettings(broker=rabbitmq_url, result_backend="cache+memory://"))
    with other.connection_for_write() as connection:
        connection.default_channel.queue_delete(MARK_QUEUE)
    assert watch.was_emptied()
    assert not watch.was_emptied()


@pytest.mark.parametrize("max_priority", [0, 10])
def test_the_mark_stays_a_queue_through_all_that_a_daemon_sends(valkey_url: str, max_priority: int) -> None:
    settings = CelerySettings(broker=valkey_url, max_priority=max_priority, default_priority=5, queues=("big",))
    app, other = make_app(settings), make_app(CelerySettings(broker=valkey_url))
    daemon, without_priorities = BrokerWatch(app), BrokerWatch(other)
    step = Step("step", "op", tags={"orchord/celery_priority": "7"})
    run = Run(new_run_id(), "a_job", "here", RunStatus.STARTED, "snapshot", utc_now(), priority=2)
    key = InstigatorKey("here", InstigatorKind.SENSOR, "looking")
    tick = Tick(1, key, "due:1", TickStatus.PENDING, utc_now(), utc_now(), 60.0)
    with OrchordInstance.ephemeral() as instance, redis.Redis.from_url(valkey_url) as client:
        instance.config = msgspec.structs.replace(instance.config, celery=settings)
        courier, wakes = CeleryCourier(instance), Wakes(app)
        daemon.was_emptied()
        for number in range(3):
            wakes.listen()
            Canvas(app).send_step(run, ExecutionPlan("a_job", (step,)), StepMessage(run.run_id, "step"), ())
            Canvas(app).send_whole_run(run)
            courier.send_ticks([tick])
            courier.wake(WAKE_CLOCK)
            app.control.broadcast("orchord_interrupt", arguments={"run_id": run.run_id, "holders": []})
            assert daemon.waiting("here") == 2 * (number + 1)
            assert not daemon.was_emptied()
            assert not without_priorities.was_emptied()
            assert (client.type(MARK_QUEUE), client.llen(MARK_QUEUE)) == (b"list", 1)
        for watch in (daemon, without_priorities):
            watch.close()
        wakes.close()
        courier.dispose()
    for made in (app, other):
        close_app(made)


def test_a_key_in_place_of_the_mark_does_not_keep_the_monitor_from_its_work(make: Make, valkey_url: str) -> None:
    watch = make(valkey_url)
    with redis.Redis.from_url(valkey_url) as client:
        client.set(MARK_QUEUE, "not a queue")
        assert watch.was_emptied()
        assert not watch.was_emptied()
        assert client.type(MARK_QUEUE) == b"list"


def test_a_broker_that_is_away_is_told_of_and_asked_again(make: Make) -> None:
    watch = make("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match=r"The broker at redis://127\.0\.0\.1:1/0"):
            watch.was_emptied()
