"""A run that is one unit of work: all its steps in one process, each claimed and finished as any other step.

So a run that is taken over, after its process has died, goes on where it stopped.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


def run_whole(runner: Any, run_id: str) -> None:
    raise NotImplementedError
