"""The parts of the instance file that say where the database is, in each of the forms that are understood.

storage: postgresql://...                          storage: {url: ...}
storage: {postgres: {postgres_db: {...}}}          storage: {sqlite: {base_dir: ...}}
storage: {module: dagster_postgres, class: DagsterPostgresStorage, config: {...}}
storage: {custom: {module: ..., class: ..., config: {...}}}
run_storage, event_log_storage, schedule_storage: Dagster's older three, of which the first is used
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from orchord.errors import InstanceConfigError, did_you_mean
from orchord.storage.address import parse_address, shown

OLDER_SECTIONS = ("run_storage", "event_log_storage", "schedule_storage")
DATABASE_FILE = "orchord.db"

_POSTGRES_CLASSES = frozenset(
    {"DagsterPostgresStorage", "PostgresRunStorage", "PostgresEventLogStorage", "PostgresScheduleStorage"}
)
_SQLITE_CLASSES = frozenset(
    {
        "DagsterSqliteStorage",
        "SqliteRunStorage",
        "SqliteEventLogStorage",
        "ConsolidatedSqliteEventLogStorage",
        "SqliteScheduleStorage",
    }
)
_POSTGRES_DB_KEYS = ("username", "password", "hostname", "db_name", "port", "params", "scheme")
_POSTGRES_KEYS = ("postgres_db", "postgres_url", "should_autocreate_tables", "pool_size", "max_overflow")


def sqlite_url(folder: Path) -> str:
    """Return the address of the database file in a folder."""
    return f"sqlite:///{folder.absolute() / DATABASE_FILE}"


class StoragePlace(NamedTuple):
    """Where the database is, how many connections are pooled, and what of the sections changes nothing."""

    url: str
    pool: dict[str, int]
    notices: list[str]


def parse_storage(document: Mapping[str, Any], home: Path, mistakes: list[str]) -> StoragePlace:
    """Return where the database is; what is wrong is added to ``mistakes``."""
    older = [name for name in OLDER_SECTIONS if name in document]
    place = StoragePlace(sqlite_url(home), {}, [])
    if "storage" in document and older:
        mistakes.append(f"storage and {', '.join(older)} are both given. Keep storage alone.")
    if "storage" in document:
        url = _one_storage("storage", document["storage"], home, place, mistakes)
    else:
        urls = {name: _pluggable(name, document[name], home, place, mistakes) for name in older}
        url = next((text for text in urls.values() if text is not None), None)
        others = [name for name, text in urls.items() if text not in (None, url)]
        if others:
            place.notices.append(
                f"{', '.join(others)}: everything is kept in the database of {older[0]}, since a run, its events and "
                "the tick that made it are one transaction"
            )
    return place._replace(url=url) if url else place


def _one_storage(path: str, value: Any, home: Path, place: StoragePlace, mistakes: list[str]) -> str | None:
    if isinstance(value, str):
        return _checked_url(path, value, mistakes)
    if not isinstance(value, dict):
        mistakes.append(f"{path}: found {value!r}, expected a database URL, or a mapping with postgres, sqlite or url.")
        return None
    if "module" in value or "class" in value:
        return _pluggable(path, value, home, place, mistakes)
    kinds: dict[str, Callable[[Any], str | None]] = {
        "postgres": lambda part: _postgres(f"{path}.postgres", part, place, mistakes),
        "sqlite": lambda part: _sqlite(f"{path}.sqlite", part, home, mistakes),
        "custom": lambda part: _pluggable(f"{path}.custom", part, home, place, mistakes),
        "url": lambda part: _checked_url(f"{path}.url", part, mistakes),
    }
    _pool(path, value, place, mistakes)
    given = [key for key in value if key in kinds]
    for key in value:
        if key == "mysql":
            mistakes.append(f"{path}.mysql: Orchord does not speak to MySQL. Use postgres or sqlite.")
        elif key not in kinds and key not in ("pool_size", "max_overflow"):
            mistakes.append(f"{path}: unknown key '{key}'.{did_you_mean(str(key), kinds)}")
    if len(given) > 1:
        mistakes.append(f"{path}: {' and '.join(given)} are both given. Keep one.")
    return kinds[given[0]](value[given[0]]) if given else None


def _pluggable(path: str, value: Any, home: Path, place: StoragePlace, mistakes: list[str]) -> str | None:
    if not isinstance(value, dict) or not isinstance(value.get("class"), str):
        mistakes.append(f"{path}: expected a mapping with module, class and config.")
        return None
    class_name, config = value["class"], value.get("config") or {}
    if class_name in _POSTGRES_CLASSES:
        return _postgres(f"{path}.config", config, place, mistakes)
    if class_name in _SQLITE_CLASSES:
        return _sqlite(f"{path}.config", config, home, mistakes)
    known = _POSTGRES_CLASSES | _SQLITE_CLASSES
    mistakes.append(f"{path}: no storage class '{class_name}' is known.{did_you_mean(class_name, known)}")
    return None


def _postgres(path: str, value: Any, place: StoragePlace, mistakes: list[str]) -> str | None:
    if not isinstance(value, dict):
        mistakes.append(f"{path}: found {value!r}, expected a mapping with postgres_db or postgres_url.")
        return None
    _pool(path, value, place, mistakes)
    mistakes += [
        f"{path}: unknown key '{key}'.{did_you_mean(str(key), _POSTGRES_KEYS)}"
        for key in value
        if key not in _POSTGRES_KEYS
    ]
    if "should_autocreate_tables" in value:
        place.notices.append(f"{path}.should_autocreate_tables: tables are made by `orchord instance migrate`")
    if ("postgres_db" in value) == ("postgres_url" in value):
        mistakes.append(f"{path}: give one of postgres_db and postgres_url.")
        return None
    if "postgres_url" in value:
        return _checked_url(f"{path}.postgres_url", value["postgres_url"], mistakes)
    return _postgres_db(f"{path}.postgres_db", value["postgres_db"], place, mistakes)


def _postgres_db(path: str, value: Any, place: StoragePlace, mistakes: list[str]) -> str | None:
    if not isinstance(value, dict):
        mistakes.append(f"{path}: found {value!r}, expected a mapping with {', '.join(_POSTGRES_DB_KEYS[:4])}.")
        return None
    before = len(mistakes)
    mistakes += [
        f"{path}: unknown key '{key}'.{did_you_mean(str(key), _POSTGRES_DB_KEYS)}"
        for key in value
        if key not in _POSTGRES_DB_KEYS
    ]
    mistakes += [
        f"{path}.{key}: missing." for key in ("username", "hostname", "db_name") if not isinstance(value.get(key), str)
    ]
    params = value.get("params") or {}
    if not isinstance(params, dict):
        mistakes.append(f"{path}.params: found {params!r}, expected a mapping.")
    port = value.get("port", 5432)
    if not str(port).isdecimal():
        mistakes.append(f"{path}.port: found {port!r}, expected a number.")
    if len(mistakes) > before:
        return None
    if value.get("scheme", "postgresql") != "postgresql":
        place.notices.append(f"{path}.scheme: the driver is always Orchord's own, psycopg 3")
    password = value.get("password")
    user = quote(value["username"], safe="") + (f":{quote(str(password), safe='')}" if password else "")
    query = f"?{urlencode({key: str(item) for key, item in params.items()})}" if params else ""
    host = f"[{value['hostname']}]" if ":" in value["hostname"] else value["hostname"]
    return f"postgresql://{user}@{host}:{port}/{quote(value['db_name'], safe='')}{query}"


def _sqlite(path: str, value: Any, home: Path, mistakes: list[str]) -> str | None:
    value = value or {}
    if not isinstance(value, dict):
        mistakes.append(f"{path}: found {value!r}, expected a mapping with base_dir.")
        return None
    mistakes += [f"{path}: unknown key '{key}'. Known: base_dir." for key in value if key != "base_dir"]
    base = value.get("base_dir", str(home))
    if not isinstance(base, str):
        mistakes.append(f"{path}.base_dir: found {base!r}, expected a folder.")
        return None
    return sqlite_url(home / Path(base).expanduser())


def _checked_url(path: str, value: Any, mistakes: list[str]) -> str | None:
    if not isinstance(value, str):
        mistakes.append(f"{path}: expected a database URL as text, found {type(value).__name__}.")
        return None
    try:
        shown(parse_address(value))
    except InstanceConfigError as error:
        mistakes += [f"{path}: {mistake}" for mistake in error.mistakes]
        return None
    return value


def _pool(path: str, value: Mapping[str, Any], place: StoragePlace, mistakes: list[str]) -> None:
    for key in ("pool_size", "max_overflow"):
        if key in value:
            number = value[key]
            if isinstance(number, bool) or not isinstance(number, int) or number < (1 if key == "pool_size" else 0):
                mistakes.append(f"{path}.{key}: found {number!r}, expected a whole number.")
            else:
                place.pool[key] = number
