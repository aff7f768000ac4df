"""RabbitMQ: its refusals in our own words, and messages that count as sent when it has confirmed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orchord.embedded.processes import free_port
from orchord.errors import BrokerUnavailableError
from orchord.spi import CelerySettings
from orchord_workers.app import OrchordCelery, broker_errors_translated, close_app, make_app


@contextmanager
def an_app(rabbitmq_url: str, max_priority: int = 10) -> Iterator[OrchordCelery]:
    app = make_app(
        CelerySettings(broker=rabbitmq_url, result_backend="redis://127.0.0.1:1/0", max_priority=max_priority)
    )
    yield app
    close_app(app)


def test_a_changed_highest_priority_is_told_with_the_fix(rabbitmq_url: str) -> None:
    with an_app(rabbitmq_url) as app:
        app.send_task("any", queue="steps.home", ignore_result=True)
    with (
        an_app(rabbitmq_url, max_priority=7) as app,
        pytest.raises(BrokerUnavailableError, match="another `celery: max_priority`.*Set it back, or stop the workers"),
        broker_errors_translated(app),
    ):
        app.send_task("any", queue="steps.home", ignore_result=True)


def test_the_queue_of_each_location_bears_names_that_are_no_plain_words(rabbitmq_url: str) -> None:
    with an_app(rabbitmq_url) as app:
        for queue in ("steps.größe 1", "steps.größe 1:gpu", "ticks.größe 1"):
            app.send_task("any", queue=queue, ignore_result=True)
            with app.connection_for_write() as connection:
                declared = connection.default_channel.queue_declare(queue=queue, passive=True)
            assert declared.message_count == 1


def test_a_message_counts_when_rabbitmq_has_confirmed_it(rabbitmq_url: str) -> None:
    with an_app(rabbitmq_url) as app, app.connection_for_write() as connection:
        assert connection.transport_options["confirm_publish"] is True
        assert connection.default_channel.connection.confirm_publish is True


def test_a_broker_that_is_not_there_is_named() -> None:
    port = free_port()
    with (
        an_app(f"amqp://guest:secret@127.0.0.1:{port}//") as app,
        pytest.raises(BrokerUnavailableError, match=rf"amqp://guest:\*\*\*@127.0.0.1:{port}//") as caught,
        broker_errors_translated(app),
    ):
        app.send_task("any", queue="steps.home", ignore_result=True)
    assert "secret" not in str(caught.value)
