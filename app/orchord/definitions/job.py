"""``@job``: a function that calls ops and graphs, made a job.

What a job is and can do is JobDefinition (job_definition.py, named here too); ``graph.to_job()`` makes one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from orchord.definitions.graph import GraphDefinition
from orchord.definitions.hooks import HookDefinition
from orchord.definitions.job_definition import JobDefinition
from orchord.definitions.retry import RetryPolicy

__all__ = ["JobDefinition", "job"]


@overload
def job(compose_fn: Callable[..., Any]) -> JobDefinition: ...
@overload
def job(
    compose_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: Any = None,
    hooks: Iterable[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> Callable[[Callable[..., Any]], JobDefinition]: ...
def job(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config: Any = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    logger_defs: Mapping[str, Any] | None = None,
    executor_def: Any = None,
    hooks: Iterable[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    input_values: Mapping[str, Any] | None = None,
    owners: Sequence[str] | None = None,
) -> JobDefinition | Callable[[Callable[..., Any]], JobDefinition]:
    """Make a job of a function that calls ops and graphs with each other's outputs.

    The function runs once, when it is decorated, and sees placeholders instead of values. Use it with or without
    parentheses.

    Args:
        compose_fn: the function, when used without parentheses. Its parameters are inputs of the job.
        name: the job's name; the function's when left out.
        description: for people; the function's docstring when left out.
        resource_defs: resources by key; those it lacks are bound by Definitions.
        config: default run config (a dict or a RunConfig), or a ConfigMapping that makes it from a simpler one.
        tags: for people; they go to the runs too, unless ``run_tags`` are given.
        run_tags: tags of its runs.
        metadata: for people.
        logger_defs: loggers by name.
        executor_def: how its steps are executed.
        hooks: hooks that run after every step.
        op_retry_policy: the retry policy of ops that have none of their own.
        input_values: values for the job's inputs.
        owners: e-mail addresses and teams (``team:name``).

    Raises:
        InvalidDefinitionError: the job cannot be right; every mistake is listed.
    """

    def define(function: Callable[..., Any]) -> JobDefinition:
        graph = GraphDefinition.from_function(function, name=name, description=description, kind="Job")
        made = JobDefinition(
            graph,
            resource_defs=resource_defs,
            config=config,
            tags=tags,
            run_tags=run_tags,
            metadata=metadata,
            logger_defs=logger_defs,
            executor_def=executor_def,
            hooks=hooks,
            op_retry_policy=op_retry_policy,
            input_values=input_values,
            owners=owners,
        )
        made.__doc__ = function.__doc__
        return made

    return define if compose_fn is None else define(compose_fn)
