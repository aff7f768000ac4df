"""Events of an attempt that runs: taken from who holds it, once, and shown before its end."""

from __future__ import annotations

from datetime import UTC, datetime

from orchord.events import Event, EventType
from orchord.instance import live_events
from orchord.instance.live_events import LiveEvents, stop_watching
from orchord.storage import Storage
from orchord.testing.waiting import eventually


def said(text: str) -> Event:
    return Event(EventType.LOG, datetime.now(UTC), text, "a")


def messages(storage: Storage, run_id: str) -> list[str]:
    return [one.event.message for one in storage.events.page(run_id, types=[EventType.LOG])]


def test_only_the_holder_of_an_attempt_adds_to_it_and_only_while_it_runs(life) -> None:
    run = life.run()
    run_id, claim = run.run_id, life.claimed(run, "a")
    token = claim.token
    attempts = life.storage.attempts
    assert attempts.append_live(run_id, "a", 1, token, [said("one"), said("two")])
    assert not attempts.append_live(run_id, "a", 1, "another", [said("three")])
    assert not attempts.append_live(run_id, "a", 2, token, [said("four")])
    life.finished(claim)
    assert not attempts.append_live(run_id, "a", 1, token, [said("five")])
    assert messages(life.storage, run_id) == ["one", "two"]


def test_what_was_stored_though_its_answer_was_lost_is_stored_once(life) -> None:
    run = life.run()
    run_id, claim = run.run_id, life.claimed(run, "a")
    token = claim.token
    piece = [said("one"), said("two")]
    for again in (False, True):
        assert life.storage.attempts.append_live(run_id, "a", 1, token, piece, again=again)
    assert life.storage.attempts.append_live(run_id, "a", 1, token, [said("three")], again=True)
    assert messages(life.storage, run_id) == ["one", "two", "three"]


def test_a_quick_attempts_events_are_all_left_for_its_end_and_a_long_ones_are_not(life) -> None:
    run = life.run()
    run_id, claim = run.run_id, life.claimed(run, "a")
    token = claim.token
    live = LiveEvents(life.storage, run_id)
    live.begin("a", 1, token)
    first, second = said("first"), said("second")
    live.note(first)
    assert live.rest_of("a", [first]) == (first,)
    live.begin("a", 1, token)
    live.note(first)
    eventually(lambda: messages(life.storage, run_id) == ["first"])
    live.note(second)
    early = Event(EventType.RESOURCE_INIT_STARTED, datetime.now(UTC), "before")
    rest = live.rest_of("a", [early, first, second])
    assert rest in ((early, second), (early,))
    stop_watching()


def test_attempts_that_were_left_to_others_are_looked_at_no_more(life) -> None:
    run = life.run()
    run_id, claim = run.run_id, life.claimed(run, "a")
    live = LiveEvents(life.storage, run_id)
    live.begin("a", 1, claim.token)
    live.note(said("one"))
    assert live_events._watcher._watched
    live.close()
    assert not live_events._watcher._watched
    stop_watching()
