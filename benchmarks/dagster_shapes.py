"""The numbers job, written for Dagster, which is measured in a venv of its own.

The same job stands in orchord_shapes.py and bare_canvas.py (plain Celery); only the import line differs here.
"""

from dagster import Definitions, job, op


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


defs = Definitions(jobs=[process_numbers])
