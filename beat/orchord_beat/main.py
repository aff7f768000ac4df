"""The daemon's process: one loop around the monitor, ended by a signal.

What it looks for is monitor.py; schedules and sensors do not run yet.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from orchord.spi import OrchordInstance, Settings, UnavailableError, steps_queue
from orchord_beat.monitor import LOOK_SECONDS, Monitor
from orchord_workers.spi import WorkerProcess, broker_errors_translated, close_app, make_app

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 10.0


def run_daemon(settings: Settings, *, log_level: str = "INFO") -> None:
    """Watch over the instance's runs until SIGTERM or SIGINT.

    Any number of daemons may run: what they do is fenced in storage, twice does no harm.
    """
    logging.getLogger().setLevel(log_level)
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    instance = OrchordInstance.from_home(settings)
    app = make_app(instance.config.celery)
    process = WorkerProcess(app, settings, code=None)

    def waiting_messages(location: str) -> int:
        with broker_errors_translated(app), app.connection_for_write() as connection:
            try:
                declared = connection.default_channel.queue_declare(queue=steps_queue(location), passive=True)
            except connection.channel_errors:
                # No such queue, as after a flush of the broker: nothing waits in it.
                return 0
            return int(declared.message_count)

    monitor = Monitor(process.instance, process.mender, waiting_messages)
    pause = LOOK_SECONDS
    while not stopped.wait(pause):
        try:
            with broker_errors_translated(app):
                monitor.look()
            pause = LOOK_SECONDS
        except UnavailableError as error:
            logger.warning("Cannot look now: %s", error)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
    process.close()
    instance.dispose()
    close_app(app)
