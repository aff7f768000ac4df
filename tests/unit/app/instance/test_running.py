"""Repeating, canceling, waiting for and deleting runs."""

from __future__ import annotations

import secrets
import threading

import pytest

from orchord.errors import ConflictError, InvalidConfigError, RunNotFoundError
from orchord.events import utc_now
from orchord.instance import LaunchRequest
from orchord.runs import AttemptStatus, Inherited, RunStatus
from orchord.storage import Claim, Finish, Skip

SUCCESS, FAILURE, SKIPPED = AttemptStatus.SUCCESS, AttemptStatus.FAILURE, AttemptStatus.SKIPPED


class Worker:
    """Carries out runs as they are told to go."""

    def __init__(self, instance):
        self.instance = instance
        self.attempts = instance.storage.attempts

    def launch(self, **fields):
        return self.instance.launch(LaunchRequest(**({"job_name": "diamond"} | fields)))[0]

    def claim(self, run, step, attempt=1):
        claim = Claim(run.run_id, step, attempt, secrets.token_hex(4), "w", utc_now())
        assert self.attempts.claim(claim).claimed
        return claim

    def finish(self, claim, status=SUCCESS, outputs=("result",), skips=()):
        outputs = outputs if status is SUCCESS else ()
        finish = Finish(
            claim.run_id, claim.step_key, claim.attempt, claim.token, status, utc_now(), outputs, skips=skips
        )
        assert self.attempts.finish(finish).accepted

    def steps(self, run, **ends):
        for step, end in ends.items():
            if end in (SKIPPED, AttemptStatus.UPSTREAM_FAILED):
                self.attempts.record_skips(run.run_id, [Skip(step, end)], utc_now())
            else:
                self.finish(self.claim(run, step), end)

    def end(self, run):
        return self.instance.storage.runs.end(run.run_id, utc_now())


@pytest.fixture
def worker(instance):
    return Worker(instance)


class TestReexecuting:
    def test_from_failure_runs_what_did_not_succeed_and_inherits_the_rest(self, instance, worker):
        run = worker.launch(tags={"who": "me"}, run_config={"ops": {"b": {"config": {"n": 7}}}})
        worker.steps(run, a=SUCCESS, b=FAILURE, c=SUCCESS, d=AttemptStatus.UPSTREAM_FAILED)
        assert worker.end(run) is RunStatus.FAILURE
        again = instance.reexecute(run.run_id, "FROM_FAILURE", tags={"why": "fixed"})
        assert again.step_keys == ("b", "d")
        assert again.inherited == {
            "a": Inherited(run.run_id, ("result",)),
            "c": Inherited(run.run_id, ("result",)),
        }
        assert (again.parent_run_id, again.root_run_id) == (run.run_id, run.run_id)
        assert again.tags == {
            "team": "data",
            "who": "me",
            "why": "fixed",
            "orchord/parent_run_id": run.run_id,
            "orchord/root_run_id": run.run_id,
        }
        assert again.run_config == run.run_config
        assert list(instance.run_launcher.launched[-1].plan.by_key) == ["b", "d"]

    def test_what_was_inherited_is_inherited_on(self, instance, worker):
        first = worker.launch()
        worker.steps(first, a=SUCCESS, b=FAILURE, c=SUCCESS, d=AttemptStatus.UPSTREAM_FAILED)
        worker.end(first)
        second = instance.reexecute(first.run_id, "FROM_FAILURE")
        worker.steps(second, b=SUCCESS, d=FAILURE)
        worker.end(second)
        third = instance.reexecute(second.run_id, "FROM_FAILURE")
        assert third.step_keys == ("d",)
        assert {key: value.run_id for key, value in third.inherited.items()} == {
            "a": first.run_id,
            "b": second.run_id,
            "c": first.run_id,
        }
        assert (third.parent_run_id, third.root_run_id) == (second.run_id, first.run_id)

    def test_an_output_that_was_not_yielded_stays_so(self, instance, worker):
        run = worker.launch()
        worker.finish(worker.claim(run, "a"), outputs=())
        worker.steps(run, b=SKIPPED, c=FAILURE, d=AttemptStatus.UPSTREAM_FAILED)
        worker.end(run)
        again = instance.reexecute(run.run_id, "FROM_FAILURE")
        assert again.step_keys == ("c", "d")
        assert again.inherited == {"a": Inherited(run.run_id, ()), "b": Inherited(run.run_id, ())}

    def test_a_retried_step_that_succeeded_is_kept(self, instance, worker):
        run = worker.launch()
        worker.finish(worker.claim(run, "a"), AttemptStatus.UP_FOR_RETRY)
        worker.finish(worker.claim(run, "a", 2))
        worker.steps(run, b=FAILURE, c=SUCCESS)
        instance.storage.runs.fail(run.run_id, None, utc_now())
        assert instance.reexecute(run.run_id, "FROM_FAILURE").step_keys == ("b", "d")

    def test_canceled_and_never_begun_steps_run(self, instance, worker):
        run = worker.launch()
        worker.steps(run, a=SUCCESS)
        worker.claim(run, "b")
        instance.cancel(run.run_id)
        assert worker.end(run) is RunStatus.CANCELED
        assert instance.reexecute(run.run_id, "FROM_FAILURE").step_keys == ("b", "c", "d")

    def test_within_a_selection_of_assets(self, instance, worker):
        run = worker.launch(job_name="assets", asset_selection=["raw", "clean"])
        worker.steps(run, raw=SUCCESS, clean=FAILURE)
        worker.end(run)
        again = instance.reexecute(run.run_id, "FROM_FAILURE")
        assert (again.step_keys, again.asset_selection) == (("clean",), ("clean", "raw"))
        assert again.inherited.keys() == {"raw"}
        whole = instance.reexecute(run.run_id)
        assert (whole.step_keys, whole.asset_selection, whole.inherited) == (("raw", "clean"), ("clean", "raw"), {})

    def test_all_steps_of_a_run_from_failure_are_those_of_the_first(self, instance, worker):
        run = worker.launch(op_selection=["*c"])
        worker.steps(run, a=SUCCESS, c=FAILURE)
        worker.end(run)
        second = instance.reexecute(run.run_id, "FROM_FAILURE")
        worker.steps(second, c=FAILURE)
        worker.end(second)
        third = instance.reexecute(second.run_id, "ALL_STEPS")
        assert (third.step_keys, third.inherited) == (("a", "c"), {})

    def test_config_can_be_given_in_place_of_the_old(self, instance, worker):
        run = worker.launch(run_config={"ops": {"a": {"config": {"n": 1}}, "b": {"config": {"n": 2}}}})
        worker.steps(run, a=FAILURE)
        instance.storage.runs.fail(run.run_id, None, utc_now())
        again = instance.reexecute(run.run_id, run_config={"ops": {"a": {"config": {"n": 9}}}})
        assert again.run_config == {"ops": {"a": {"config": {"n": 9}}}}

    def test_a_run_that_goes_on_is_not_executed_again(self, instance, worker):
        run = worker.launch()
        with pytest.raises(ConflictError, match="is STARTING and cannot be executed again before it has ended"):
            instance.reexecute(run.run_id)

    def test_nothing_to_do_again_is_a_conflict(self, instance, worker):
        run = worker.launch(op_selection=["a"])
        worker.steps(run, a=SUCCESS)
        worker.end(run)
        with pytest.raises(ConflictError, match="has no step that failed. Execute it again with strategy ALL_STEPS"):
            instance.reexecute(run.run_id, "FROM_FAILURE")
        assert instance.reexecute(run.run_id).step_keys == ("a",)

    def test_an_unknown_strategy_is_told_with_the_nearest(self, instance, worker):
        with pytest.raises(InvalidConfigError, match="found 'FROM_FAILUR'. Did you mean 'FROM_FAILURE'?"):
            instance.reexecute(worker.launch().run_id, "FROM_FAILUR")

    def test_an_unknown_run_is_told(self, instance):
        with pytest.raises(RunNotFoundError):
            instance.reexecute("nobody")


class TestCanceling:
    def test_a_run_that_has_not_begun_is_canceled_at_once(self, instance, worker):
        run = worker.launch()
        assert instance.cancel(run.run_id).status is RunStatus.CANCELED
        assert instance.run_launcher.terminated == []
        types = [item.event.type for item in instance.storage.events.page(run.run_id)]
        assert types == ["RUN_STARTING", "RUN_CANCELED"]

    def test_a_run_that_has_begun_is_interrupted(self, instance, worker):
        run = worker.launch()
        worker.claim(run, "a")
        assert instance.cancel(run.run_id).status is RunStatus.CANCELING
        assert instance.run_launcher.terminated == [run.run_id]
        assert instance.storage.events.page(run.run_id)[-1].event.type == "RUN_CANCELING"

    def test_asking_again_interrupts_again(self, instance, worker):
        run = worker.launch()
        worker.claim(run, "a")
        instance.cancel(run.run_id)
        assert instance.cancel(run.run_id).status is RunStatus.CANCELING
        assert instance.run_launcher.terminated == [run.run_id] * 2

    def test_a_run_that_has_ended_is_a_conflict(self, instance, worker):
        run = worker.launch()
        worker.end(run)
        with pytest.raises(ConflictError, match=r"has ended \(SUCCESS\) and cannot be canceled"):
            instance.cancel(run.run_id)

    def test_an_unknown_run_is_told(self, instance):
        with pytest.raises(RunNotFoundError):
            instance.cancel("nobody")


class TestDeleting:
    def test_a_run_goes_with_its_logs_and_without_what_its_steps_stored(self, instance, worker):
        run = worker.launch()
        worker.end(run)
        with instance.compute_log_manager.capture(run.run_id, "a", 1):
            print("hello")
        stored = instance.home / "storage" / run.run_id / "a" / "result"
        stored.parent.mkdir(parents=True)
        stored.write_text("x")
        assert (instance.home / "compute_logs" / run.run_id).is_dir()
        instance.delete_run(run.run_id)
        assert instance.get_run_by_id(run.run_id) is None
        assert not (instance.home / "compute_logs" / run.run_id).exists()
        assert stored.exists()

    def test_a_run_that_goes_on_is_a_conflict(self, instance, worker):
        with pytest.raises(ConflictError, match="Cancel it first"):
            instance.delete_run(worker.launch().run_id)

    def test_an_unknown_run_is_told(self, instance):
        with pytest.raises(RunNotFoundError):
            instance.delete_run("nobody")


class TestWaiting:
    def test_the_end_ends_the_wait(self, instance, worker):
        run = worker.launch()
        ending = threading.Timer(0.05, lambda: worker.end(run))
        ending.start()
        assert instance.wait(run.run_id, 20).status is RunStatus.SUCCESS
        ending.join()

    def test_the_time_ends_the_wait(self, instance, worker):
        assert instance.wait(worker.launch().run_id, 0.02).status is RunStatus.STARTING

    def test_a_run_that_has_ended_is_not_waited_for(self, instance, worker):
        run = worker.launch()
        worker.end(run)
        assert instance.wait(run.run_id, 100).status is RunStatus.SUCCESS

    def test_an_unknown_run_is_told(self, instance):
        with pytest.raises(RunNotFoundError):
            instance.wait("nobody", 1)

    def test_a_watch_may_begin_before_the_run(self, instance, worker):
        from orchord.runs import new_run_id

        run_id = new_run_id()
        with instance.watch(run_id) as watch:
            assert not watch.wait(0)
            worker.end(worker.launch(run_id=run_id))
            assert watch.wait(5)
