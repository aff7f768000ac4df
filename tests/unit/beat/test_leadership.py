"""One daemon leads, by a lease: rules of taking it, losing it and giving it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from orchord.errors import StorageUnavailableError
from orchord.events import utc_now
from orchord.storage import Storage
from orchord.storage.daemon_store import DaemonStore
from orchord.storage.values import DaemonRow
from orchord_beat.leadership import FORGET_AFTER, LEASE, LEASE_SECONDS, RENEW_SECONDS, STAND_BY_SECONDS, Leadership
from orchord_beat.vigil import Vigil


class Daemon:
    """A daemon's part, and what it was told."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.told: list[bool] = []
        self.errors: dict[str, str] = {}
        row = DaemonRow(name, "host", 1, utc_now(), utc_now())
        self.part = Leadership(storage, row, lambda: self.errors, self.told.append)


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("orchord_beat.leadership.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def storage(monotonic: list[float]) -> Iterator[Storage]:
    made = Storage.open("sqlite://")
    made.migrate()
    yield made
    made.dispose()


def rows(storage: Storage) -> dict[str, bool]:
    return {row.daemon_id: row.is_leader for row in storage.daemons.all()}


def test_the_first_leads_and_the_others_stand_by(storage: Storage) -> None:
    first, second = Daemon(storage, "first"), Daemon(storage, "second")
    assert first.part.renew() == RENEW_SECONDS
    assert second.part.renew() == STAND_BY_SECONDS
    assert (first.part.leads(), second.part.leads()) == (True, False)
    assert (first.told, second.told) == ([True], [])
    assert rows(storage) == {"first": True, "second": False}


def test_who_gives_it_back_is_followed_at_once(storage: Storage) -> None:
    first, second = Daemon(storage, "first"), Daemon(storage, "second")
    first.part.renew()
    first.part.give_back()
    second.part.renew()
    assert (first.part.leads(), second.part.leads()) == (False, True)
    assert rows(storage) == {"second": True}


def test_who_takes_over_says_that_the_last_leader_no_longer_leads(storage: Storage) -> None:
    killed, other = Daemon(storage, "killed"), Daemon(storage, "other")
    killed.part.renew()
    storage.daemons.give_back(LEASE, "killed")
    other.part.renew()
    assert rows(storage) == {"killed": False, "other": True}


def test_who_cannot_renew_it_stops_to_lead_by_itself(
    storage: Storage, monotonic: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Daemon(storage, "one")
    one.part.renew()

    def away(*_: object) -> None:
        raise StorageUnavailableError("The database is away. Start it.")

    monkeypatch.setattr(DaemonStore, "take_lease", away)
    monotonic[0] += LEASE_SECONDS - 0.1
    with pytest.raises(StorageUnavailableError):
        one.part.renew()
    assert one.part.leads()
    monotonic[0] += 0.2
    assert not one.part.leads()
    with pytest.raises(StorageUnavailableError):
        one.part.renew()
    assert one.told == [True, False]


def test_a_lease_counts_from_when_it_was_asked_for(
    storage: Storage, monotonic: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DaemonStore.take_lease

    def slowly(self: DaemonStore, *arguments: object) -> int | None:
        monotonic[0] += LEASE_SECONDS + 1
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(DaemonStore, "take_lease", slowly)
    one = Daemon(storage, "one")
    one.part.renew()
    assert not one.part.leads()


def test_what_goes_wrong_is_shown(storage: Storage, monotonic: list[float]) -> None:
    one = Daemon(storage, "one")
    one.errors["clock"] = "ValueError: a bug"
    one.part.renew()
    assert storage.daemons.all()[0].errors == {"clock": "ValueError: a bug"}
    one.errors.clear()
    monotonic[0] += RENEW_SECONDS
    one.part.renew()
    assert storage.daemons.all()[0].errors == {}


def test_a_daemon_that_has_long_been_silent_is_forgotten(storage: Storage) -> None:
    long_ago = storage.clock() - FORGET_AFTER * 2
    storage.daemons.beat(DaemonRow("gone", "host", 1, long_ago, long_ago))
    Daemon(storage, "one").part.renew()
    assert rows(storage) == {"one": True}


def test_leaving_without_a_database_is_only_logged(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise StorageUnavailableError("The database is away. Start it.")

    one = Daemon(storage, "one")
    one.part.renew()
    monkeypatch.setattr(DaemonStore, "give_back", away)
    one.part.give_back()
    assert "Could not sign off: The database is away." in caplog.text


def test_who_stands_by_keeps_watch_too(storage: Storage) -> None:
    vigil = Vigil()
    assert storage.daemons.take_lease(LEASE, "another", 60) is not None
    row = DaemonRow("d2", "host", 1, utc_now(), utc_now())
    Leadership(storage, row, dict, lambda leads: None, vigil).renew()
    assert vigil.lasts(storage.clock() + timedelta(seconds=1)) >= timedelta(seconds=1)
