"""Whether what an instance stands on is there: database, broker, daemons, code locations.

What goes on in the instance is examination.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchord.spi import OrchordError, OrchordInstance, StorageUnavailableError, UnavailableError, known_daemons
from orchord_beat.findings import Finding


def service_findings(instance: OrchordInstance) -> Iterator[Finding]:
    """Yield what is wrong with services; after a database that cannot be used, only the broker."""
    database = _database(instance)
    if database is not None:
        yield database
    try:
        instance.run_launcher.check()
    except UnavailableError as error:
        yield Finding("broker", str(error), None, "Start it, or correct `celery: broker` in orchord.yaml.")
    except OrchordError as error:
        yield Finding("run launcher", str(error), None, "Correct `run_launcher` in orchord.yaml.")
    if database is None:
        yield from _daemons(instance)
        yield from _locations(instance)


def _database(instance: OrchordInstance) -> Finding | None:
    try:
        instance.storage.ping()
    except StorageUnavailableError as error:
        return Finding("database", str(error), None, "Start it, or correct `storage` in orchord.yaml.")
    try:
        instance.storage.check_schema()
    except StorageUnavailableError as error:

        def migrate() -> str:
            instance.storage.migrate()
            return "brought to this version's form"

        return Finding("database", str(error), None, "Run `orchord instance migrate`.", migrate)
    return None


def _daemons(instance: OrchordInstance) -> Iterator[Finding]:
    daemons = known_daemons(instance.storage)
    living = [daemon for daemon in daemons if daemon.is_alive]
    if not living:
        last = max((daemon.row.last_seen_at for daemon in daemons), default=None)
        what = "None is alive: schedules and sensors do not run, and what is lost is not mended."
        yield Finding("daemon", what, last, "Start one with `orchord daemon`.")
    for daemon in living:
        for loop, error in daemon.row.errors.items():
            yield Finding(f"daemon {daemon.row.daemon_id}", f"Its loop '{loop}' fails: {error}", None, "See its log.")


def _locations(instance: OrchordInstance) -> Iterator[Finding]:
    for row in instance.storage.locations.all():
        if row.error is not None:
            fix = "Correct the code, and restart its workers."
            yield Finding(f"location {row.name}", f"Its code does not load: {row.error.message}", row.loaded_at, fix)
