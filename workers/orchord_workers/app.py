"""The Celery app: how it reaches broker and result backend, and the settings that runs rely on.

Both the launcher (in the API) and the worker make theirs here, so that they can never differ. Tasks are in tasks.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis.exceptions
from celery import Celery
from celery.exceptions import CeleryError
from kombu import pools
from kombu.exceptions import KombuError
from kombu.transport.pyamqp import Transport as RabbitMQTransport

from orchord.spi import BrokerUnavailableError, CelerySettings
from orchord_workers import redis_transport
from orchord_workers.routing import LAST_LEVEL_OF_REDIS, Priorities

CONNECT_TIMEOUT_SECONDS = 4
# How long RabbitMQ may take to say that it has a message, before the message counts as not sent.
CONFIRM_TIMEOUT_SECONDS = 5
# RabbitMQ's driver has a family of errors of its own, for a broker that stops, say, or that refuses.
_ERRORS_OF_RABBITMQ = (*RabbitMQTransport.connection_errors, *RabbitMQTransport.channel_errors)
_PRECONDITION_FAILED = 406


class OrchordCelery(Celery):  # type: ignore[misc]  # celery has no types
    """Celery, with messages that count as sent when the broker has them.

    Attributes:
        priorities: How priorities are said to the broker.
        further_queues: Names of the queues that each location has beside its plain one.
    """

    priorities: Priorities
    further_queues: tuple[str, ...] = ()

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """Send a message; without a confirmation in time, it counts as not sent."""
        options.setdefault("confirm_timeout", CONFIRM_TIMEOUT_SECONDS)
        return super().send_task(name, *args, **options)


def make_app(config: CelerySettings, *, location: str | None = None) -> OrchordCelery:
    """Make the Celery app of one process.

    Args:
        config: The ``celery`` section of the instance file.
        location: The code location whose queue is the default, for a worker.
    """
    broker, backend = config.broker, config.result_backend
    redis_transport.register()
    app = OrchordCelery("orchord", broker=broker, backend=backend, set_as_current=False)
    is_redis = urlsplit(broker).scheme.startswith(("redis", "valkey", "sentinel"))
    app.priorities = Priorities.of(config, lowest_first=is_redis)
    app.further_queues = config.queues
    # Without confirmations, RabbitMQ could die with a message that had only reached its socket.
    transport_options: dict[str, Any] = {"confirm_publish": True}
    if is_redis:
        transport_options = {
            # A list in Redis for each level.
            "priority_steps": list(range(LAST_LEVEL_OF_REDIS + 1)) if config.max_priority else [0],
            "visibility_timeout": config.visibility_timeout_seconds,
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 25,
            # Without fan-out there is nothing to prefix; one key per queue, named as the queue.
            "global_keyprefix": "",
        }
    app.conf.update(
        accept_content=["json"],
        # A broker that refuses (Valkey in a failover or full, RabbitMQ's consumer_timeout) must not end the worker.
        broker_channel_error_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=CONNECT_TIMEOUT_SECONDS,
        broker_transport_options=transport_options,
        enable_utc=True,
        redis_socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        redis_socket_timeout=30,
        redis_socket_keepalive=True,
        # One backend, with one pool of connections, for all threads of the process.
        result_backend_thread_safe=True,
        result_expires=86_400,
        # A task that is refused by its claim must not be retried, and results live in the database.
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_create_missing_queues=True,
        task_default_priority=app.priorities.number(),
        task_default_queue="steps" if location is None else f"steps.{location}",
        task_ignore_result=True,
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5},
        task_queue_max_priority=config.max_priority or None,
        task_reject_on_worker_lost=False,
        task_serializer="json",
        task_store_errors_even_if_ignored=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        # Flower turns events on when it starts; without anyone who looks they only cost.
        worker_send_task_events=False,
    )
    return app


def close_app(app: Celery) -> None:
    """Close an app's connections. Another app of the same address in this process opens its own again.

    Celery leaves them to Kombu's pools, which belong to the process and are keyed by the address.
    """
    connection = app.connection_for_write()
    for group in (pools.producers, pools.connections):
        # A group makes the pool that it lacks, and does not answer to `in`.
        group[connection].force_close_all()
        del group[connection]
    app.backend.client.connection_pool.disconnect()
    app.close()


@contextmanager
def broker_errors_translated(app: Celery) -> Iterator[None]:
    """Turn what the broker's drivers raise into one error that names the address and the fix."""
    try:
        yield
    except (redis.exceptions.RedisError, KombuError, OSError, CeleryError, *_ERRORS_OF_RABBITMQ) as error:
        if getattr(error, "reply_code", None) == _PRECONDITION_FAILED:
            raise BrokerUnavailableError(
                f"RabbitMQ has a queue that was made with another `celery: max_priority`: {error}. Set it back, or "
                "stop the workers and delete the queues steps.* and ticks.*; what was in them is sent again."
            ) from error
        raise BrokerUnavailableError(
            f"The broker at {without_password(str(app.conf.broker_url))} or the result backend at "
            f"{without_password(str(app.conf.result_backend))} cannot be reached: {str(error).rstrip('.')}. "
            "Start it, or correct `celery: broker` in orchord.yaml."
        ) from error


def without_password(url: str) -> str:
    """Return a URL fit for messages: its password, if any, replaced by ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}{port}"))
