"""The canvas: a plan carried out as chords, one part at a time.

A step that waits on one step is sent when that step ends; a step that waits on several is the body of a chord whose
header parts are those steps; the run's end is the body of a chord over the leaves. Celery lets a task be in one
chord only, and a DAG needs one chord per waiting step, so the parts are returned to Celery's result backend here.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from celery import Celery, states
from celery.canvas import Signature

from orchord.spi import (
    END_TASK,
    LOST_TASK,
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
    parts_to_wire,
    shown_name,
    steps_queue,
    whole_run_task_id,
)


class Canvas:
    """Sends steps, returns parts. Holds no state of any run; every message can be sent twice without harm."""

    def __init__(self, app: Celery) -> None:
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
            self.send_step(run, StepMessage(run.run_id, start.step_key), start.parts)
        for join in moves.joins:
            self.return_part(run, join)

    def send_step(
        self, run: Run, message: StepMessage, parts: Iterable[Part], *, delay_seconds: float | None = None
    ) -> None:
        """Send one step to the workers of the run's location."""
        self._send(
            STEP_TASK,
            (parts_to_wire(parts), message.run_id, message.step_key, message.attempt, message.retry_number),
            run,
            task_id=message.task_id,
            shadow=shown_name(run.job_name, message.step_key),
            countdown=delay_seconds,
        )

    def send_whole_run(self, run: Run, attempt: int = 1) -> None:
        """Send a run that is one unit of work."""
        self._send(
            WHOLE_RUN_TASK, (run.run_id,), run, task_id=whole_run_task_id(run.run_id, attempt), shadow=run.job_name
        )

    def send_end(self, run: Run) -> None:
        """Send the task that ends a run."""
        self._send(
            END_TASK, ([], run.run_id), run, task_id=end_task_id(run.run_id), shadow=shown_name(run.job_name, "end")
        )

    def send_lost(self, queue: str, name: str, arguments: list[Any]) -> None:
        """Report that the process that ran a task has died. Sent by the worker's parent process."""
        self.app.send_task(LOST_TASK, args=(name, arguments), queue=queue, ignore_result=True)

    def return_part(self, run: Run, join: JoinPart) -> None:
        """Return one part of a chord. The part that completes the chord sends its body."""
        chord_id = join_id(run.run_id, join.target)
        request = SimpleNamespace(
            id=f"{chord_id}:{join.source}", group=chord_id, group_index=join.index, chord=self._body(run, join.target)
        )
        self.app.backend.on_chord_part_return(request, states.SUCCESS, part_to_wire(join.part))

    def _body(self, run: Run, target: str | None) -> dict[str, Any]:
        if target is None:
            task, arguments = END_TASK, [run.run_id]
            task_id, shadow = end_task_id(run.run_id), shown_name(run.job_name, "end")
        else:
            message = StepMessage(run.run_id, target)
            task, arguments = STEP_TASK, [run.run_id, target, message.attempt, message.retry_number]
            task_id, shadow = message.task_id, shown_name(run.job_name, target)
        options = {
            "task_id": task_id,
            "shadow": shadow,
            "queue": steps_queue(run.location),
            "ignore_result": True,
            "argsrepr": "",
            "kwargsrepr": "",
        }
        return dict(Signature(task, args=arguments, options=options, app=self.app))

    def _send(
        self,
        name: str,
        arguments: tuple[Any, ...],
        run: Run,
        *,
        task_id: str,
        shadow: str,
        countdown: float | None = None,
    ) -> None:
        self.app.send_task(
            name,
            args=arguments,
            task_id=task_id,
            shadow=shadow,
            queue=steps_queue(run.location),
            ignore_result=True,
            countdown=countdown,
            # Flower shows ``shadow``; formatting the arguments of every message costs more than it tells.
            argsrepr=f"({message_summary(arguments)})",
            kwargsrepr="{}",
        )


def message_summary(arguments: tuple[Any, ...]) -> str:
    """Return a message's arguments as Flower shows them, without the parts."""
    return ", ".join(str(argument) for argument in arguments if not isinstance(argument, list))
