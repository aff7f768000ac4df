"""The canvas: a plan carried out as chords, one part at a time.

A step that waits on one step is sent when that step ends; a step that waits on several is the body of a chord whose
header parts are those steps; the run's end is the body of a chord over the leaves. Celery lets a task be in one
chord only, and a DAG needs one chord per waiting step, so the parts are returned to Celery's result backend here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from celery import states
from celery.canvas import Signature

from orchord.spi import (
    END_TASK,
    STEP_TASK,
    WHOLE_RUN_TASK,
    ExecutionPlan,
    Follow,
    JoinPart,
    Part,
    Run,
    StepMessage,
    end_task_id,
    join_id,
    joins_of,
    part_to_wire,
    parts_from_wire,
    parts_to_wire,
    shown_name,
    whole_run_task_id,
)
from orchord_workers.app import OrchordCelery
from orchord_workers.routing import Route, route_of_step, route_of_unit


@dataclass(frozen=True)
class CompletedJoin:
    """A chord that has all its parts, in the order of ``plan.upstream``. ``target`` is None for the run's end."""

    target: str | None
    parts: tuple[Part, ...]


class _Body(Signature):  # type: ignore[misc]  # celery has no types
    """A chord's body that is handed back to the caller instead of being sent by the result backend.

    Whoever completes a chord is at hand to carry its body out, without another message.
    """

    def __init__(self, app: OrchordCelery) -> None:
        super().__init__(STEP_TASK, app=app)
        # An attribute of a Signature would be a key of the dict that it is.
        object.__setattr__(self, "results", None)

    def delay(self, results: list[Any]) -> None:
        """Take the results of the parts."""
        object.__setattr__(self, "results", results)


class Canvas:
    """Sends steps, returns parts. Holds no state of any run; every message can be sent twice without harm."""

    def __init__(self, app: OrchordCelery) -> None:
        self.app = app

    def prepare(self, run: Run, plan: ExecutionPlan) -> None:
        """Tell the result backend how many parts each join of this run waits for: one round trip for all of them.

        A size that is missing, after a flush of the backend, only means that the monitor finishes the join.
        """
        joins = joins_of(plan)
        if not joins:
            return
        backend = self.app.backend
        with backend.client.pipeline(transaction=False) as pipe:
            for target, size in joins.items():
                key = backend.get_key_for_group(join_id(run.run_id, target), ".s")
                pipe.set(key, size, ex=int(backend.chord_expires or backend.expires or 86_400))
            pipe.execute()

    def act(self, run: Run, plan: ExecutionPlan, moves: Follow) -> None:
        """Send what follows from a stored end: steps to start, then parts to return."""
        for start in moves.starts:
            self.send_step(run, plan, StepMessage(run.run_id, start.step_key), start.parts)
        for join in moves.joins:
            completed = self.return_part(run, join)
            if completed is not None:
                self.send_body(run, plan, completed)

    def send_body(self, run: Run, plan: ExecutionPlan, completed: CompletedJoin) -> None:
        """Send the body of a chord whose parts are all there."""
        if completed.target is None:
            self.send_end(run)
        else:
            self.send_step(run, plan, StepMessage(run.run_id, completed.target), completed.parts)

    def send_step(
        self,
        run: Run,
        plan: ExecutionPlan,
        message: StepMessage,
        parts: Iterable[Part],
        *,
        delay_seconds: float | None = None,
    ) -> None:
        """Send one step to the workers of the run's location, to the queue and with the priority that its op names."""
        step = plan.by_key.get(message.step_key)
        numbers = (message.attempt, message.retry_number)
        # The claim needs the pool before the worker has the plan at hand.
        pool = () if step is None or step.pool is None else (step.pool,)
        self._send(
            STEP_TASK,
            (parts_to_wire(parts), message.run_id, message.step_key, *numbers, *pool),
            task_id=message.task_id,
            shadow=shown_name(run.job_name, message.step_key),
            route=route_of_step(run, step, self.app.priorities),
            countdown=delay_seconds,
        )

    def send_whole_run(self, run: Run, attempt: int = 1) -> None:
        """Send a run that is one unit of work."""
        self._send(
            WHOLE_RUN_TASK,
            (run.run_id,),
            task_id=whole_run_task_id(run.run_id, attempt),
            shadow=run.job_name,
            route=route_of_unit(run, self.app.priorities),
        )

    def send_end(self, run: Run) -> None:
        """Send the task that ends a run."""
        self._send(
            END_TASK,
            ([], run.run_id),
            task_id=end_task_id(run.run_id),
            shadow=shown_name(run.job_name, "end"),
            route=route_of_step(run, None, self.app.priorities),
        )

    def return_part(self, run: Run, join: JoinPart) -> CompletedJoin | None:
        """Return one part of a chord. Returns the chord when this part completed it: the caller starts its body."""
        chord_id = join_id(run.run_id, join.target)
        body = _Body(self.app)
        request = SimpleNamespace(id=f"{chord_id}:{join.source}", group=chord_id, group_index=join.index, chord=body)
        self.app.backend.on_chord_part_return(request, states.SUCCESS, part_to_wire(join.part))
        if body.results is None:
            return None
        return CompletedJoin(join.target, parts_from_wire(body.results))

    def _send(
        self,
        name: str,
        arguments: tuple[Any, ...],
        *,
        task_id: str,
        shadow: str,
        route: Route,
        countdown: float | None = None,
    ) -> None:
        self.app.send_task(
            name,
            args=arguments,
            task_id=task_id,
            shadow=shadow,
            queue=route.queue,
            priority=route.priority,
            ignore_result=True,
            countdown=countdown,
            # Flower shows ``shadow``; formatting the arguments of every message costs more than it tells.
            argsrepr=f"({message_summary(arguments)})",
            kwargsrepr="{}",
        )


def message_summary(arguments: tuple[Any, ...]) -> str:
    """Return a message's arguments as Flower shows them, without the parts."""
    return ", ".join(str(argument) for argument in arguments if not isinstance(argument, list))
