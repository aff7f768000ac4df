"""Code locations and workers, on both engines."""

from __future__ import annotations

import msgspec
import pytest

from orchord.definitions.config.types import ShapeType
from orchord.errors import NotFoundError
from orchord.events import ErrorInfo
from orchord.plan.model import ExecutionPlan, Step
from orchord.snapshot import GraphSnapshot, JobSnapshot, LocationSnapshot
from orchord.storage import WorkerRow


def job(name="numbers", *steps):
    plan = ExecutionPlan(name, tuple(Step(key, key) for key in steps))
    return JobSnapshot(name, plan, GraphSnapshot(), ShapeType(name, {}))


class TestLocations:
    def test_a_location_comes_back_as_it_was_put(self, storage, open_storage):
        snapshot = LocationSnapshot("home", (job("a", "x"), job("b")))
        storage.locations.put(snapshot)
        for reader in (storage, open_storage()):
            (row,) = reader.locations.all()
            assert (row.name, row.snapshot_id, row.snapshot, row.error) == (
                "home",
                snapshot.snapshot_id,
                snapshot,
                None,
            )
            assert reader.locations.find("home") == row
            assert reader.locations.find("away") is None

    def test_locations_come_by_name(self, storage):
        for name in ("c", "a", "b"):
            storage.locations.put(LocationSnapshot(name))
        assert [row.name for row in storage.locations.all()] == ["a", "b", "c"]

    def test_new_code_takes_the_place_of_old_and_the_jobs_of_old_runs_stay(self, storage, open_storage):
        old, new = job("a", "x"), job("a", "x", "y")
        other = open_storage()
        storage.locations.put(LocationSnapshot("home", (old,)))
        assert other.locations.all()[0].snapshot == LocationSnapshot("home", (old,))
        storage.locations.put(LocationSnapshot("home", (new,)))
        assert other.locations.all()[0].snapshot == LocationSnapshot("home", (new,))
        assert other.locations.job_snapshot(old.snapshot_id) == old
        assert other.locations.job_snapshot(new.snapshot_id) == new

    def test_a_failed_load_keeps_the_last_code_that_worked(self, storage):
        snapshot = LocationSnapshot("home", (job(),))
        storage.locations.put(snapshot)
        error = ErrorInfo("CodeLocationLoadError", "no module", "Traceback")
        storage.locations.put_error("home", error)
        (row,) = storage.locations.all()
        assert (row.snapshot, row.error) == (snapshot, error)
        storage.locations.put(snapshot)
        assert storage.locations.all()[0].error is None

    def test_a_location_that_never_loaded_has_an_error_alone(self, storage):
        error = ErrorInfo("CodeLocationLoadError", "no module")
        storage.locations.put_error("home", error)
        (row,) = storage.locations.all()
        assert (row.snapshot, row.error) == (None, error)

    def test_a_job_that_is_not_stored_is_an_error(self, storage):
        with pytest.raises(NotFoundError, match="No snapshot of a job is stored under 'nothing'"):
            storage.locations.job_snapshot("nothing")

    def test_a_location_can_be_forgotten(self, storage):
        storage.locations.put(LocationSnapshot("home"))
        assert storage.locations.remove("home")
        assert not storage.locations.remove("home")
        assert storage.locations.all() == []

    def test_many_who_publish_at_once_leave_one_of_theirs(self, storage, race):
        snapshots = [LocationSnapshot("home", tuple(job(f"j{n}", f"s{k}") for n in range(5))) for k in range(8)]
        race([lambda s=snapshot: storage.locations.put(s) for snapshot in snapshots])
        assert storage.locations.all()[0].snapshot in snapshots


class TestWorkers:
    def row(self, life, name="w", **fields):
        given = {
            "hostname": "host",
            "pid": 1,
            "location": "home",
            "queues": ("steps.home",),
            "started_at": life.now(),
            "last_seen_at": life.now(),
        }
        return WorkerRow(worker_id=name, **(given | fields))

    def test_a_worker_comes_back_as_it_was_last_seen(self, life):
        first = self.row(life, queues=("a", "b"))
        life.storage.workers.beat(first)
        assert life.storage.workers.all() == [first]
        second = msgspec.structs.replace(first, last_seen_at=life.now(seconds=5), pid=2)
        life.storage.workers.beat(second)
        assert life.storage.workers.all() == [second]

    def test_the_silent_are_not_alive(self, life):
        for name, seen in (("silent", life.now(minutes=-5)), ("b", life.now()), ("a", life.now())):
            life.storage.workers.beat(self.row(life, name, last_seen_at=seen))
        assert [row.worker_id for row in life.storage.workers.alive(life.now(minutes=-1))] == ["a", "b"]
        assert [row.worker_id for row in life.storage.workers.all()] == ["a", "b", "silent"]

    def test_who_signs_off_is_forgotten(self, life):
        life.storage.workers.beat(self.row(life))
        assert life.storage.workers.remove("w")
        assert not life.storage.workers.remove("w")
        assert life.storage.workers.all() == []

    def test_who_was_killed_long_ago_is_forgotten_unless_it_still_holds_a_step(self, life):
        for name, seen in (("gone", life.now(days=-2)), ("holds", life.now(days=-2)), ("here", life.now())):
            life.storage.workers.beat(self.row(life, name, last_seen_at=seen))
        claim = life.claimed(life.run(), worker_id="holds")
        assert life.storage.workers.forget_silent(life.now(days=-1)) == 1
        assert [row.worker_id for row in life.storage.workers.all()] == ["here", "holds"]
        life.finished(claim)
        assert life.storage.workers.forget_silent(life.now(days=-1)) == 1
