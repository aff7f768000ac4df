"""The plan as data: steps, their inputs and outputs, and the edges between them. Compiled in plan/compile.py.

A plan is made of msgspec structs only, so that a server can hold it without user code. It never changes; a
selection of steps is another plan (``ExecutionPlan.select``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec


class OutputRef(msgspec.Struct, frozen=True, array_like=True):
    """One output of one step."""

    step_key: str
    output_name: str


class StepInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input of a step, and where its value comes from.

    With ``sources``: from those outputs (``fan_in``: a list of them all). Without: from the asset ``asset_key`` by
    its IO manager, from run config, or from ``has_default``. ``loads`` is False for ``Nothing``: order only.
    ``asset_key`` is the user string of the asset that this input reads, whether it is made in this run or not.
    ``given_at`` is where run config must give its value, when nothing else does: the path of a node (empty: the job's
    own inputs) and the name of that node's input.
    """

    name: str
    sources: tuple[OutputRef, ...] = ()
    fan_in: bool = False
    loads: bool = True
    asset_key: str | None = None
    has_default: bool = False
    input_manager_key: str | None = None
    given_at: tuple[str, str] | None = None


class StepOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of a step. ``stores`` is False for ``Nothing``: no IO manager is called."""

    name: str
    is_required: bool = True
    stores: bool = True
    asset_key: str | None = None
    io_manager_key: str = "io_manager"


class RetryRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A retry policy as data. Delays are in seconds; ``backoff`` and ``jitter`` hold the policies' enum names."""

    max_retries: int
    delay_seconds: float | None = None
    backoff: str | None = None
    jitter: str | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """One unit that is executed, retried and fenced by itself. ``key`` is the node's path joined by dots."""

    key: str
    op_name: str
    inputs: tuple[StepInput, ...] = ()
    outputs: tuple[StepOutput, ...] = ()
    tags: dict[str, str] = {}
    description: str | None = None
    retry: RetryRule | None = None
    pool: str | None = None
    resource_keys: tuple[str, ...] = ()
    timeout_seconds: float | None = None

    @cached_property
    def asset_keys(self) -> tuple[str, ...]:
        """The assets that this step makes."""
        return tuple(output.asset_key for output in self.outputs if output.asset_key is not None)


class ExecutionPlan(msgspec.Struct, frozen=True, dict=True):
    """The steps that one run executes, in an order in which each comes after all its upstreams."""

    job_name: str
    steps: tuple[Step, ...]

    @cached_property
    def by_key(self) -> dict[str, Step]:
        """Steps by key."""
        return {step.key: step for step in self.steps}

    @cached_property
    def upstream(self) -> dict[str, tuple[str, ...]]:
        """For each step, the distinct steps of this plan that it waits on, in the order its inputs name them.

        The order is part of the contract: part number i of a join comes from ``upstream[key][i]``.
        """
        known = self.by_key
        return {
            step.key: tuple(
                dict.fromkeys(ref.step_key for inp in step.inputs for ref in inp.sources if ref.step_key in known)
            )
            for step in self.steps
        }

    @cached_property
    def downstream(self) -> dict[str, tuple[str, ...]]:
        """For each step, the steps that wait on it, in plan order."""
        result: dict[str, list[str]] = {step.key: [] for step in self.steps}
        for key, ups in self.upstream.items():
            for up in ups:
                result[up].append(key)
        return {key: tuple(downs) for key, downs in result.items()}

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Steps that wait on nothing."""
        return tuple(key for key, ups in self.upstream.items() if not ups)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Steps that nothing waits on. Every step has a leaf among its descendants."""
        return tuple(key for key, downs in self.downstream.items() if not downs)

    @cached_property
    def leaf_places(self) -> dict[str, int]:
        """The place of each leaf among ``leaves``."""
        return {key: place for place, key in enumerate(self.leaves)}

    def step(self, key: str) -> Step:
        """Return the step with this key."""
        return self.by_key[key]

    def select(self, keys: Iterable[str]) -> ExecutionPlan:
        """Return the plan of these steps alone. Sources outside it stay named, and no longer make anyone wait."""
        wanted = set(keys)
        return ExecutionPlan(self.job_name, tuple(step for step in self.steps if step.key in wanted))
