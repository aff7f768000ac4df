"""Which combinations of executor, place, IO manager, storage and tags are refused, and in which words."""

from __future__ import annotations

import pytest

from orchord.plan.fitting import Surroundings, misfits, names_image
from orchord.plan.model import ExecutionPlan, OutputRef, Step, StepInput, StepOutput
from orchord.plan.places import Place


def plan_of(*, tags: dict[str, dict[str, str]] | None = None, key: str = "io_manager", loads: bool = True):
    """A makes a value, B reads it."""
    given = tags or {}
    return ExecutionPlan(
        "pair",
        (
            Step("a", "a", outputs=(StepOutput("result", io_manager_key=key),), tags=given.get("a", {})),
            Step(
                "b",
                "b",
                inputs=(StepInput("x", (OutputRef("a", "result"),), loads=loads),),
                outputs=(StepOutput("result", io_manager_key=key),),
                tags=given.get("b", {}),
            ),
        ),
    )


CHORDS = ("celery_executor", "docker_executor", "celery_docker_executor", "k8s_job_executor", "celery_k8s_job_executor")


class TestValuesInMemory:
    @pytest.mark.parametrize("executor", [*CHORDS, "multiprocess_executor", "multi_or_in_process_executor"])
    def test_are_refused_where_steps_have_processes_of_their_own(self, executor):
        (reason,) = misfits(plan_of(), Surroundings(executor, process_bound=("io_manager",)))
        assert reason == (
            f"IO manager 'io_manager': it keeps values in the memory of one process, and with {executor} each step has "
            "a process of its own, so step 'b' would not find them. Use in_process_executor, or an IO manager that "
            "stores values."
        )

    def test_are_fine_in_one_process_wherever_that_is(self):
        for place in Place:
            assert misfits(plan_of(), Surroundings("in_process_executor", place, process_bound=("io_manager",))) == []
        chosen = {"in_process": {}}
        assert (
            misfits(plan_of(), Surroundings("multi_or_in_process_executor", Place.WORKER, chosen, ("io_manager",)))
            == []
        )

    def test_are_fine_when_no_other_step_loads_them(self):
        around = Surroundings("celery_executor", process_bound=("io_manager",))
        assert misfits(plan_of(loads=False), around) == []
        assert misfits(plan_of(key="stored"), around) == []
        assert misfits(plan_of().select(["b"]), around) == []


class TestIsolation:
    def test_of_no_known_kind_is_refused(self):
        (reason,) = misfits(plan_of(tags={"a": {"orchord/isolation": "dokcer"}}), Surroundings("celery_executor"))
        assert reason == (
            "step 'a': its tag orchord/isolation is 'dokcer'. Give one of inline, subprocess, docker, k8s, or none."
        )

    def test_of_one_op_is_refused_in_a_run_that_is_one_unit(self):
        plan = plan_of(tags={"b": {"orchord/isolation": "docker"}})
        (reason,) = misfits(plan, Surroundings("in_process_executor"))
        assert reason.startswith(
            "step 'b': its tag orchord/isolation asks for 'docker', and in_process_executor carries the run out as one "
            "unit, in which no step has a place of its own."
        )
        assert misfits(plan, Surroundings("celery_executor")) == []

    def test_inline_fits_everywhere(self):
        plan = plan_of(tags={"b": {"orchord/isolation": "inline"}})
        assert misfits(plan, Surroundings("in_process_executor")) == []


class TestDatabase:
    def test_of_sqlite_is_refused_for_containers(self):
        around = Surroundings("docker_executor", database_is_a_file=True)
        (reason,) = misfits(plan_of(), around)
        assert reason == (
            "storage: it is SQLite, a file of this machine, which a container cannot see, and steps 'a', 'b' would run "
            "in one (docker). Use Postgres: storage: {postgres: …} in orchord.yaml."
        )
        assert misfits(plan_of(), Surroundings("docker_executor", database_is_a_file=False)) == []

    def test_of_sqlite_is_refused_for_a_whole_run_in_a_container_and_for_one_op(self):
        (reason,) = misfits(plan_of(), Surroundings("in_process_executor", Place.ECS, database_is_a_file=True))
        assert "and the run would run in one (ecs)" in reason
        tagged = plan_of(tags={"b": {"orchord/isolation": "k8s"}})
        (reason,) = misfits(tagged, Surroundings("celery_executor", database_is_a_file=True))
        assert "and step 'b' would run in one (k8s)" in reason

    def test_of_sqlite_is_fine_beside_the_workers(self):
        for executor in ("celery_executor", "multiprocess_executor"):
            assert misfits(plan_of(), Surroundings(executor, Place.PROCESS, database_is_a_file=True)) == []


class TestImages:
    def test_that_nothing_names_are_told_with_who_could(self):
        (reason,) = misfits(plan_of(), Surroundings("k8s_job_executor", places_with_image=()))
        assert reason == (
            "image: nothing says in which image steps 'a', 'b' would run (k8s). Give `image` (`job_image`) in the "
            "config of the executor or the run launcher, the tag orchord/image, or start the location's workers with "
            "ORCHORD_CURRENT_IMAGE."
        )

    def test_that_anything_names_are_enough(self):
        assert misfits(plan_of(), Surroundings("k8s_job_executor", places_with_image=(Place.KUBERNETES,))) == []
        tags = {
            "a": {"orchord/k8s": '{"job_image": "x"}'},
            "b": {"dagster-k8s/config": '{"container_config": {"image": "y"}}'},
        }
        assert misfits(plan_of(tags=tags), Surroundings("k8s_job_executor", places_with_image=())) == []

    def test_of_some_steps_only_are_told_for_the_others(self):
        tags = {"a": {"orchord/docker": '{"image": "x"}'}}
        (reason,) = misfits(plan_of(tags=tags), Surroundings("docker_executor", places_with_image=()))
        assert "in which image step 'b' would run (docker)" in reason

    def test_of_a_whole_run(self):
        (reason,) = misfits(plan_of(), Surroundings("in_process_executor", Place.DOCKER, places_with_image=()))
        assert "in which image the run would run (docker)" in reason

    def test_settings_name_one_at_any_depth(self):
        assert names_image({"run_k8s_config": {"container_config": {"image": "x"}}})
        assert not names_image({"image": None, "env_vars": ["IMAGE=x"]})
        assert not names_image("no json")
        assert not names_image(None)


def test_all_reasons_are_told_at_once():
    plan = plan_of(tags={"a": {"orchord/isolation": "nowhere"}})
    around = Surroundings(
        "docker_executor", process_bound=("io_manager",), database_is_a_file=True, places_with_image=()
    )
    assert [reason.partition(":")[0] for reason in misfits(plan, around)] == [
        "step 'a'",
        "IO manager 'io_manager'",
        "storage",
        "image",
    ]


def test_many_steps_are_counted_rather_than_listed():
    steps = tuple(Step(f"s{number}", "s") for number in range(9))
    (reason,) = misfits(ExecutionPlan("many", steps), Surroundings("docker_executor", database_is_a_file=True))
    assert "steps 's0', 's1', 's2' and 6 more would run" in reason
