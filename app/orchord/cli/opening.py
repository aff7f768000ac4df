"""Opening the instance for one command, and closing it at the command's end.

What the instance is made of is said in orchord.yaml and put together in orchord.instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchord.instance import OrchordInstance
from orchord.settings import Settings


@contextmanager
def opened_instance() -> Iterator[OrchordInstance]:
    """Open the instance that the environment names.

    Raises:
        InstanceConfigError: its file has mistakes.
        StorageUnavailableError: its database does not answer.
    """
    instance = OrchordInstance.from_home(Settings.from_environment())
    try:
        yield instance
    finally:
        instance.dispose()
