"""The Flask application: routes, error handlers, limits and documents put together around one instance.

What the routes do is in routes/; the process that serves the application is in server.py.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from orchord.api import browsers, documents, problems
from orchord.api.routes import assets, daemons, health, jobs, pools, run_events, runs, schedules, sensors, ticks
from orchord.api.state import ApiState, Holding, install

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024
DEFAULT_THREADS = 32

_BLUEPRINTS = (
    runs.routes.blueprint,
    run_events.routes.blueprint,
    jobs.job_routes.blueprint,
    assets.routes.blueprint,
    schedules.routes.blueprint,
    sensors.routes.blueprint,
    ticks.routes.blueprint,
    pools.routes.blueprint,
    jobs.location_routes.blueprint,
    daemons.routes.blueprint,
    health.routes.blueprint,
)


def create_app(
    instance: OrchordInstance,
    *,
    holding: Holding | None = None,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
) -> Flask:
    """Return the application that serves an instance.

    Args:
        instance: whose runs, assets and locations are served. The caller disposes of it.
        holding: the places for requests that wait; by default those of a server with ``DEFAULT_THREADS`` threads.
        max_body_bytes: larger bodies are answered with 413.
    """
    app = OpenAPI(
        "orchord.api",
        info=Info(title="Orchord", version=version("orchord"), description=documents.DESCRIPTION),
        validation_error_model=problems.Problem,
        # Every route documents its 500 itself; flask-openapi3 would add its own format for this status elsewhere.
        validation_error_status=500,
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # A path is what it says: `//` and a last `/` are no other spelling of another route.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.url_map.redirect_defaults = False
    for blueprint in _BLUEPRINTS:
        app.register_api(blueprint)
    documents.install(app)
    problems.install_handlers(app)
    browsers.install(app)
    with app.app_context():
        install(ApiState(instance, holding or Holding(places_for(DEFAULT_THREADS))))
    return app


def places_for(threads: int) -> int:
    """Return how many of a server's threads may be held by requests that wait; the others stay free for the rest."""
    return max(1, threads - max(2, threads // 8))
