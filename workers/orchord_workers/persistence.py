"""Patience with a database that is away for a while: what a step has made is not thrown away for that.

Only for statements that may be repeated: a finish is fenced by its token, a lost attempt by its status.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from orchord.spi import StorageUnavailableError

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
PATIENCE_SECONDS = 600.0

Result = TypeVar("Result")


def patiently(act: Callable[[], Result], *, patience_seconds: float = PATIENCE_SECONDS) -> Result:
    """Do something until the database answers.

    Raises:
        StorageUnavailableError: it did not within ``patience_seconds``.
    """
    pause = FIRST_PAUSE_SECONDS
    waited = 0.0
    while True:
        try:
            return act()
        except StorageUnavailableError as error:
            if waited >= patience_seconds:
                raise
            logger.warning("Waiting %.1f s for the database: %s", pause, error)
        threading.Event().wait(pause)
        waited += pause
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
