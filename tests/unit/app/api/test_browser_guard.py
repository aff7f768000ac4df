"""Pages of other sites cannot change anything through a visitor's browser; programs and our own pages can."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

CANCEL = "/api/v1/runs/0190f3c1-5a7e-7b2c-9d4e-3f5a6b7c8d9e/cancel"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_another_site_changes_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post(CANCEL, headers=headers)
    assert answer.status_code == 403
    assert answer.json is not None
    assert answer.json["type"] == "urn:orchord:problem:other-site"
    assert client.delete(CANCEL.removesuffix("/cancel"), headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_programs_and_our_own_pages_are_served(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.post(CANCEL, headers=headers).status_code == 404


def test_reading_is_free_and_nothing_is_cached(client: FlaskClient) -> None:
    answer = client.get("/livez", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
