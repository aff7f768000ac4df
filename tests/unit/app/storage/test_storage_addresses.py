"""Database addresses: what is understood, what is shown, and what is refused."""

from __future__ import annotations

import pytest

from orchord.errors import InstanceConfigError
from orchord.storage.address import parse_address, shown, sqlite_file


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://me:secret@db:5433/runs?sslmode=require", "postgresql://db:5433/runs"),
        ("postgres://me:secret@db/runs", "postgresql://db:5432/runs"),
        ("postgresql+psycopg2://db/runs", "postgresql://db:5432/runs"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("sqlite://", "sqlite:///:memory:"),
    ],
)
def test_an_address_is_shown_without_user_and_password(given, expected):
    assert shown(parse_address(given)) == expected


def test_psycopg2_is_the_driver_whatever_the_address_says():
    assert parse_address("postgres://db/runs").drivername == "postgresql+psycopg2"


@pytest.mark.parametrize("given", ["mysql://me:secret@db/runs", "postgresql+asyncpg://db/x"])
def test_other_databases_are_refused(given):
    with pytest.raises(InstanceConfigError, match="does not speak to.*Use postgresql://") as caught:
        parse_address(given)
    assert "secret" not in str(caught.value)


def test_what_is_no_url_is_refused():
    with pytest.raises(InstanceConfigError, match="it is no URL. Write postgresql://"):
        parse_address("just words with secret")


def test_the_file_of_an_address():
    assert str(sqlite_file(parse_address("sqlite:////var/x.db"))) == "/var/x.db"
    assert sqlite_file(parse_address("sqlite://")) is None
    assert sqlite_file(parse_address("postgresql://db/runs")) is None
