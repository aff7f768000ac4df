"""Patience with a database that is away for a while: what a step has made is not thrown away for that.

Only for statements that may be repeated: a finish is fenced by its token, a lost attempt by its status.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from orchord.spi import Finish, FinishResult, Storage, StorageUnavailableError

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

Result = TypeVar("Result")


def patiently(act: Callable[[], Result]) -> Result:
    """Do something until the database answers, however long that takes.

    Whoever gave up would leave an attempt behind that runs, by the database, and on which nobody works.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return act()
        except StorageUnavailableError as error:
            logger.warning("Waiting %.1f s for the database: %s", pause, error)
        threading.Event().wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def finish_patiently(storage: Storage, finish: Finish) -> FinishResult:
    """Store the end of an attempt, however long that takes. A try whose answer was lost is recognized by the next."""
    tries = itertools.count()
    return patiently(lambda: storage.attempts.finish(finish, again=next(tries) > 0))
