"""Jobs whose steps run in processes of their own, or crash them, for the e2e tests of processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import orchord as dg


@dg.op
def whoami(context: dg.OpExecutionContext) -> int:
    print("printed by", os.getpid(), flush=True)
    os.write(1, b"written to the descriptor\n")
    subprocess.run(["sh", "-c", "echo by a child; echo to stderr 1>&2"], check=True)
    context.log.info("logged by %s", os.getpid())
    return os.getpid()


@dg.op
def passes(number: int) -> int:
    return number


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
def fails_once(context: dg.OpExecutionContext, number: int) -> int:
    if context.retry_number == 0:
        raise RuntimeError("the first time")
    return number


@dg.op(out={"yes": dg.Out(is_required=False), "no": dg.Out(is_required=False)})
def chooses(number: int):
    yield dg.Output(number, "yes")


@dg.op
def adds(first: int, second: int, third: int) -> int:
    return first + second + third


@dg.graph
def a_diamond():
    start = whoami()
    yes, no = chooses(start)
    passes.alias("skipped")(no)
    adds(passes.alias("left")(start), fails_once(start), passes.alias("chosen")(yes))


diamond = a_diamond.to_job(name="diamond", executor_def=dg.multiprocess_executor)
diamond_forked = a_diamond.to_job(
    name="diamond_forked", executor_def=dg.multiprocess_executor.configured({"start_method": {"fork": {}}})
)
diamond_spawned = a_diamond.to_job(
    name="diamond_spawned", executor_def=dg.multiprocess_executor.configured({"start_method": {"spawn": {}}})
)
diamond_unnamed = a_diamond.to_job(name="diamond_unnamed")
diamond_inline = a_diamond.to_job(name="diamond_inline", executor_def=dg.in_process_executor)


@dg.op
def crashes_in_c() -> None:
    ctypes.string_at(0)


@dg.op
def leaves() -> None:
    os._exit(3)


@dg.op
def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def crashes_once(context: dg.OpExecutionContext) -> int:
    if context.retry_number == 0:
        ctypes.string_at(0)
    return 7


@dg.op
def stands_by() -> int:
    threading.Event().wait(0.5)
    return 1


@dg.job(executor_def=dg.multiprocess_executor)
def crashing():
    crashes_in_c()
    leaves()
    kills_itself()
    passes(crashes_once())
    passes.alias("beside")(stands_by())


@dg.op
def sleeps(context: dg.OpExecutionContext) -> None:
    while True:
        threading.Event().wait(0.05)


@dg.op
def cleans_up() -> None:
    try:
        print("at work", flush=True)
        while True:
            threading.Event().wait(0.05)
    finally:
        print("cleaned up", flush=True)


@dg.op
def holds_the_lock() -> None:
    # With Python's lock held, no signal handler runs; and EINTR is answered by sleeping on.
    sleeper = ctypes.PyDLL(None)
    while True:
        sleeper.sleep(60)


@dg.op(tags={"orchord/isolation": "subprocess"})
def sleeps_apart() -> None:
    while True:
        threading.Event().wait(0.05)


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 4}))
def endless():
    sleeps()
    cleans_up()
    holds_the_lock()


@dg.job(executor_def=dg.multiprocess_executor)
def endless_politely():
    sleeps()
    cleans_up()


@dg.job
def endless_apart():
    sleeps_apart()


@dg.op(tags={"orchord/isolation": "subprocess"})
def apart(context: dg.OpExecutionContext, number: int) -> int:
    print("apart in", os.getpid())
    return os.getpid()


@dg.op(tags={"orchord/isolation": "subprocess"}, retry_policy=dg.RetryPolicy(max_retries=1))
def crashes_apart_once(context: dg.OpExecutionContext, number: int) -> int:
    if context.retry_number == 0:
        os._exit(5)
    return number


@dg.op
def is_parent_of(here: int, there: int) -> str:
    return f"{here}-{there}"


@dg.job
def isolated():
    here = whoami()
    is_parent_of(here, crashes_apart_once(apart(here)))


@dg.op(pool="narrow")
def narrow() -> tuple[float, float]:
    began = time.time()
    threading.Event().wait(0.3)
    return began, time.time()


@dg.op
def overlap(spans: list[tuple[float, float]]) -> bool:
    spans = sorted(spans)
    together = any(one[1] > two[0] for one, two in zip(spans, spans[1:], strict=False))
    if together:
        raise RuntimeError(f"two held the pool's one slot: {spans}")
    return together


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 4}))
def pooled():
    overlap([narrow.alias(f"narrow{number}")() for number in range(4)])


@dg.op(config_schema={"mark": str})
def waits_for_mark(context: dg.OpExecutionContext, number: int) -> int:
    mark = Path(context.op_config["mark"])
    with mark.with_suffix(".pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    while not mark.exists():
        threading.Event().wait(0.05)
    return 1


@dg.job(executor_def=dg.multiprocess_executor)
def taken_over():
    waits_for_mark(whoami())


class TwoByTwo(dg.Executor):
    """Runs the step that is called first here, the others in processes."""

    def __init__(self, inline: str) -> None:
        self.inline = inline

    def execute(self, plan_context, execution_plan):
        while not plan_context.is_over:
            for step in plan_context.ready_steps:
                if step.key == self.inline:
                    plan_context.run_inline(step.key)
                else:
                    plan_context.start_process(step.key)
            plan_context.wait()


@dg.executor(config_schema={"inline": str})
def two_by_two(init_context: dg.InitExecutorContext) -> dg.Executor:
    return TwoByTwo(init_context.executor_config["inline"])


class Forgetful(dg.Executor):
    """Returns when nothing is done yet."""

    def execute(self, plan_context, execution_plan):
        return None


@dg.executor
def forgetful(init_context: dg.InitExecutorContext) -> dg.Executor:
    return Forgetful()


diamond_of_ones_own = a_diamond.to_job(name="diamond_of_ones_own", executor_def=two_by_two)
diamond_forgotten = a_diamond.to_job(name="diamond_forgotten", executor_def=forgetful)

defs = dg.Definitions(
    jobs=[
        diamond,
        diamond_forked,
        diamond_spawned,
        diamond_unnamed,
        diamond_inline,
        diamond_of_ones_own,
        diamond_forgotten,
        crashing,
        endless,
        endless_politely,
        endless_apart,
        isolated,
        pooled,
        taken_over,
    ]
)
