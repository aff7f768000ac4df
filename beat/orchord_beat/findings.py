"""One thing that is wrong in an instance, as `orchord doctor` tells and mends it.

Finding them is examination.py and services_check.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass
class Finding:
    """One thing that is wrong.

    Attributes:
        subject: of what it is: a run, a step, a tick, a service.
        what: what is wrong, as a sentence.
        since: since when, as far as that is known.
        fix: what people can do about it.
        repair: mends it, and says in words what was done; None when only people can.
    """

    subject: str
    what: str
    since: datetime | None
    fix: str
    repair: Callable[[], str] | None = None
