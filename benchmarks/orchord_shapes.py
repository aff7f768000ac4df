"""The jobs that are measured, written for Orchord: the numbers job, chains, and a fan-in.

The same shapes stand in bare_canvas.py (plain Celery) and dagster_shapes.py.
"""

from orchord import Definitions, JobDefinition, graph, job, op


@op
def generate_numbers():
    return list(range(1, 11))


@op
def filter_even_numbers(numbers):
    return [number for number in numbers if number % 2 == 0]


@op
def filter_odd_numbers(numbers):
    return [number for number in numbers if number % 2 != 0]


@op
def sum_even_numbers(numbers):
    return sum(numbers)


@op
def sum_odd_numbers(numbers):
    return sum(numbers)


@op
def sum_two_sums(first_number, second_number):
    return first_number + second_number


@job
def process_numbers():
    numbers = generate_numbers()
    sum_two_sums(
        sum_even_numbers(filter_even_numbers(numbers)),
        sum_odd_numbers(filter_odd_numbers(numbers)),
    )


@op
def zero():
    return 0


@op
def add_one(number):
    return number + 1


@op
def one():
    return 1


@op
def total(numbers):
    return sum(numbers)


def chain_of(length: int) -> JobDefinition:
    """A job of ``length`` steps, one after another."""

    @graph(name=f"chain_{length}")
    def steps():
        value = zero()
        for number in range(1, length):
            value = add_one.alias(f"add_{number}")(value)

    return steps.to_job()


def fan_in_of(width: int) -> JobDefinition:
    """A job of ``width`` steps side by side, and one over all of them."""

    @graph(name=f"fan_in_{width}")
    def steps():
        total([one.alias(f"one_{number}")() for number in range(width)])

    return steps.to_job()


defs = Definitions(jobs=[process_numbers, chain_of(40), chain_of(1000), fan_in_of(200)])
