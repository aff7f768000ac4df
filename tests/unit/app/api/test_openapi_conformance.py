"""The API keeps to its own OpenAPI document: schemathesis sends what the document allows, and what it does not.

Every check is made: no server error; statuses, content types, headers and bodies as documented; wrong data refused,
right data taken. Paths name what exists, and what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from orchord.api.app import create_app
from orchord.api.documents import openapi_document
from orchord.events import utc_now
from orchord.instance import LaunchRequest, OrchordInstance
from orchord.testing.fake_courier import FakeCourier
from orchord.ticks import InstigatorKey, InstigatorKind, NewTick, Tick, TickStatus

#: The operations that take a text in a grammar of ours, which JSON Schema cannot tell from any other text.
WITH_A_GRAMMAR = {"list_assets", "read_asset_graph"}
#: What Postgres cannot store is refused, also where JSON Schema cannot say so.
CONFIG = {"generation": {"allow-x00": False}}
HOOKS = InstigatorKey("shop", InstigatorKind.SENSOR, "hooks")
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


Case = schemathesis.Case[Any]


def operations() -> dict[str, str]:
    """Return the path of each operation by its id; the document does not depend on the instance."""
    document = openapi_document(cast("Any", create_app(cast("Any", None))))
    return {operation["operationId"]: path for path, item in document["paths"].items() for operation in item.values()}


PATHS = operations()


@pytest.fixture
def existing(instance: OrchordInstance) -> dict[str, str]:
    """What paths may name, after something has happened in the instance."""
    run = instance.launch(LaunchRequest(job_name="assets"))[0]
    (tick,) = instance.storage.ticks.make([NewTick(HOOKS, "push:1", utc_now(), 60.0)])
    return {
        "run_id": run.run_id,
        "step": "orders",
        "job": "numbers",
        "location": "shop",
        "key": "raw/orders",
        "schedule": "nightly",
        "sensor": "hooks",
        "tick_id": str(tick.tick_id),
    }


@pytest.fixture
def document(instance: OrchordInstance, with_worker: None, courier: FakeCourier, end_ticks: Callable[..., None]) -> Any:
    def end_dry_runs(ticks: Sequence[Tick]) -> None:
        end_ticks([tick for tick in ticks if tick.is_dry_run], TickStatus.SKIPPED)

    courier.on_ticks = end_dry_runs
    app = create_app(instance)
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


def without(*names: str) -> list[Any]:
    return CHECKS.get_by_names(list(names))


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("operation_id", PATHS)
def test_an_operation_keeps_to_the_document(document: Any, operation_id: str, mode: GenerationMode) -> None:
    operation = document.find_operation_by_id(operation_id)
    excluded = without("positive_data_acceptance") if operation_id in WITH_A_GRAMMAR else []
    strategy = operation.as_strategy(generation_mode=mode)

    @bounded(25)
    @given(case=strategy)
    def keeps(case: Case) -> None:
        case.call_and_validate(excluded_checks=excluded)

    try:
        keeps()
    except Unsatisfiable:
        assert mode is NEGATIVE
        pytest.skip("the operation takes nothing that could be wrong")


@pytest.mark.parametrize("operation_id", [name for name, path in PATHS.items() if "{" in path])
def test_an_operation_on_what_exists_keeps_to_the_document(
    document: Any, existing: dict[str, str], operation_id: str
) -> None:
    operation = document.find_operation_by_id(operation_id)
    named = {name: value for name, value in existing.items() if f"{{{name}}}" in PATHS[operation_id]}

    @bounded(25)
    @given(case=operation.as_strategy(path_parameters=named))
    def keeps(case: Case) -> None:
        # A well-formed run config may still be wrong for this job, and a well-formed attempt may not exist.
        case.call_and_validate(excluded_checks=without("positive_data_acceptance"))

    keeps()


def test_launching_a_job_that_exists_keeps_to_the_document(document: Any) -> None:
    operation = document.find_operation_by_id("launch_run")
    statuses = set()

    @bounded(40)
    @given(case=operation.as_strategy())
    def keeps(case: Case) -> None:
        body = {**cast("dict[str, Any]", case.body), "job": "numbers"}
        body.pop("location", None)
        for part in ("run_config", "op_selection", "asset_selection"):
            if len(str(body.get(part))) % 2:
                body.pop(part, None)
        case.body = body
        answer = case.call_and_validate(excluded_checks=without("positive_data_acceptance"))
        statuses.add(answer.status_code)

    keeps()
    assert {201, 422} <= statuses
