"""When callers are spared the wait for an index that fails slowly."""

from __future__ import annotations

import pytest

from adapters.fallback.circuit import Circuit


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at some time."""
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    """A circuit that rests two seconds."""
    return Circuit(clock, rest_seconds=2.0)


def fail(circuit: Circuit, clock: Clock, *, after: float) -> None:
    started = circuit.begin()
    assert started is not None
    clock.now += after
    circuit.failed(started)


def test_lets_calls_through_as_long_as_they_succeed(circuit: Circuit) -> None:
    for _ in range(3):
        assert circuit.begin() is not None
        circuit.succeeded()


def test_rests_after_a_slow_failure(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, after=2.0)

    assert circuit.begin() is None
    clock.now += 1.9
    assert circuit.begin() is None


def test_a_failure_that_costs_no_time_is_tried_again_at_once(
    circuit: Circuit, clock: Clock
) -> None:
    fail(circuit, clock, after=0.01)

    assert circuit.begin() is not None


def test_one_probe_at_a_time_after_the_rest(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, after=2.0)
    clock.now += 2.0

    assert circuit.begin() is not None
    assert circuit.begin() is None


def test_a_probe_that_succeeds_ends_the_rest(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, after=2.0)
    clock.now += 2.0

    assert circuit.begin() is not None
    circuit.succeeded()

    assert circuit.begin() is not None
    assert circuit.begin() is not None


def test_a_probe_that_fails_begins_another_rest(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, clock, after=2.0)
    clock.now += 2.0

    fail(circuit, clock, after=0.01)

    assert circuit.begin() is None
    clock.now += 2.0
    assert circuit.begin() is not None
