"""How long retries wait, by the formulas that users know, and what retry policies and signals refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchord.definitions.retry import Backoff, Jitter, RetryPolicy, delay_seconds
from orchord.definitions.signals import Failure, RetryRequested
from orchord.errors import InvalidDefinitionError, InvalidInvocationError


def delays(policy, random_number=0.5, count=4):
    return [policy.delay_seconds(number, random_number) for number in range(1, count + 1)]


def test_delays_by_backoff():
    assert delays(RetryPolicy(max_retries=4)) == [0, 0, 0, 0]
    assert delays(RetryPolicy(4, delay=2)) == [2, 2, 2, 2]
    assert delays(RetryPolicy(4, delay=2, backoff=Backoff.LINEAR)) == [2, 4, 6, 8]
    assert delays(RetryPolicy(4, delay=1, backoff=Backoff.EXPONENTIAL)) == [1, 3, 7, 15]


def test_jitter_uses_the_number_it_is_given():
    full = RetryPolicy(4, delay=2, backoff=Backoff.LINEAR, jitter=Jitter.FULL)
    around = RetryPolicy(4, delay=2, backoff=Backoff.LINEAR, jitter=Jitter.PLUS_MINUS)
    assert delays(full, 0.25) == [0.5, 1, 1.5, 2]
    assert delays(around, 0.0) == [0, 2, 4, 6]
    assert delays(around, 0.5) == [2, 4, 6, 8]
    assert delays(around, 0.75) == [3, 5, 7, 9]


@given(
    st.floats(0, 1e4),
    st.sampled_from([None, *(item.value for item in Backoff)]),
    st.sampled_from([None, *(item.value for item in Jitter)]),
    st.integers(1, 20),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_never_negative_nor_far_beyond_its_policy(delay, backoff, jitter, number, random_number):
    found = delay_seconds(delay, backoff, jitter, number, random_number)
    assert 0 <= found <= delay * 2**number + delay


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_retries": -1}, "RetryPolicy max_retries must be 0 or more, not -1."),
        ({"max_retries": 1.5}, "RetryPolicy max_retries must be 0 or more, not 1.5."),
        ({"delay": -2}, "RetryPolicy delay must be 0 or more seconds, not -2."),
        ({"backoff": Backoff.LINEAR}, "RetryPolicy backoff needs a delay to work on. Give delay=<seconds>."),
        ({"jitter": Jitter.FULL}, "RetryPolicy jitter needs a delay to work on. Give delay=<seconds>."),
    ],
)
def test_what_a_retry_policy_refuses(arguments, text):
    with pytest.raises(InvalidDefinitionError) as caught:
        RetryPolicy(**arguments)
    assert str(caught.value) == text


def test_retry_requested_keeps_what_it_asks_for():
    asked = RetryRequested(max_retries=3, seconds_to_wait=0.5)
    assert (asked.max_retries, asked.seconds_to_wait) == (3, 0.5)
    assert RetryRequested(max_retries=None).max_retries == 1
    with pytest.raises(InvalidInvocationError, match="RetryRequested max_retries must be 0 or more, not -1"):
        RetryRequested(max_retries=-1)
    with pytest.raises(InvalidInvocationError, match="RetryRequested seconds_to_wait must be 0 or more, not -2"):
        RetryRequested(seconds_to_wait=-2)


def test_a_failure_keeps_its_description_and_metadata():
    failure = Failure("broken", metadata={"rows": 3}, allow_retries=False)
    assert (str(failure), failure.description, failure.metadata, failure.allow_retries) == (
        "broken",
        "broken",
        {"rows": 3},
        False,
    )
    assert Failure().allow_retries is True
