"""DefaultRunLauncher: a run that is one unit of work has a process of its own, beside a worker of its location.

The worker starts it and waits for it (run_process.py).
"""

from __future__ import annotations

from orchord.spi import Place
from orchord_workers.launcher import CeleryRunLauncher


class DefaultRunLauncher(CeleryRunLauncher):
    """Sends runs to the workers of their location, which give each a process.

    Config keys: none.
    """

    place = Place.PROCESS
