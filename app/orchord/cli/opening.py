"""Opening the instance for one command, and closing it at the command's end.

What the instance is made of is said in orchord.yaml and put together in orchord.instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchord.instance import OrchordInstance
from orchord.settings import Settings
from orchord.storage.address import parse_address, sqlite_file


@contextmanager
def opened_instance(*, prepared: bool = True) -> Iterator[OrchordInstance]:
    """Open the instance that the environment names.

    Args:
        prepared: whether the database must be ready for use. A database that is a file in the home is then made when
            it is not there, as nobody else could have made it; any other is only checked.

    Raises:
        InstanceConfigError: its file has mistakes.
        StorageUnavailableError: its database does not answer, or its tables are not of this version.
    """
    with OrchordInstance.from_home(Settings.from_environment()) as instance:
        if prepared:
            file = sqlite_file(parse_address(instance.config.storage_url))
            if file is not None and not file.exists():
                instance.storage.migrate()
            else:
                instance.storage.check_schema()
        yield instance
