"""The door by which orchord_beat reaches the workers' machinery. Nothing else of this package is for others.

What it takes from orchord itself it takes from orchord.spi.
"""

from orchord_workers.app import broker_errors_translated, close_app, make_app
from orchord_workers.broker_watch import BrokerWatch
from orchord_workers.mending import Mender
from orchord_workers.process import WorkerProcess

__all__ = ["BrokerWatch", "Mender", "WorkerProcess", "broker_errors_translated", "close_app", "make_app"]
