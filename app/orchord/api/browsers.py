"""What keeps browsers safe: no other site can make a visitor's browser change anything, and nothing is cached.

A page from elsewhere can send simple requests to any server that the browser reaches, also to one on localhost;
browsers say in their headers where a request comes from. Programs that are no browsers send none of these headers.
"""

from __future__ import annotations

from flask import Flask, Response, request

from orchord.api.problems import ProblemError

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    """Guard an application."""
    app.before_request(_refuse_other_sites)
    app.after_request(_with_headers)


def _refuse_other_sites() -> None:
    if request.method in _READING:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_foreign = site == "cross-site"
    else:
        is_foreign = origin is not None and origin.partition("://")[2] != request.host
    if is_foreign:
        detail = f"This request comes from a page of another site ({origin or 'unknown'}). Send it from this server."
        raise ProblemError(403, "other-site", detail)


def _with_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
