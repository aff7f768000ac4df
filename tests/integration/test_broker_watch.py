"""The monitor sees that a broker or a result backend has lost what it held, on Redis and on RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from orchord.errors import BrokerUnavailableError
from orchord.instance.sections import CelerySettings
from orchord_workers.app import close_app, make_app
from orchord_workers.broker_watch import MARK_QUEUE, BrokerWatch

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


def test_a_broker_that_is_away_is_told_of_and_asked_again(make: Make) -> None:
    watch = make("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match=r"The broker at redis://127\.0\.0\.1:1/0"):
            watch.was_emptied()
