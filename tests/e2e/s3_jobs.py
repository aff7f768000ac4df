"""The mission document's numbers with its values on S3, as [Code 3] sets it up, and steps that print."""

from __future__ import annotations

import os

from orchord import (
    AssetSelection,
    Definitions,
    asset,
    define_asset_job,
    job,
    op,
    s3_pickle_io_manager,
    s3_resource,
)

IO_MANAGER_S3_BUCKET = os.environ["IO_MANAGER_S3_BUCKET"]
IO_MANAGER_S3_PREFIX = "io-manager"
IO_MANAGER_S3_ENDPOINT_URL = os.environ["IO_MANAGER_S3_ENDPOINT_URL"]
IO_MANAGER_S3_ACCESS_KEY_ID = os.environ["IO_MANAGER_S3_ACCESS_KEY_ID"]
IO_MANAGER_S3_SECRET_ACCESS_KEY = os.environ["IO_MANAGER_S3_SECRET_ACCESS_KEY"]


def get_io_manager():
    return {
        "io_manager": s3_pickle_io_manager.configured(
            {
                "s3_bucket": IO_MANAGER_S3_BUCKET,
                "s3_prefix": IO_MANAGER_S3_PREFIX,
            }
        ),
        "s3": s3_resource.configured(
            {
                "endpoint_url": IO_MANAGER_S3_ENDPOINT_URL,
                "use_ssl": False,
                "aws_access_key_id": IO_MANAGER_S3_ACCESS_KEY_ID,
                "aws_secret_access_key": IO_MANAGER_S3_SECRET_ACCESS_KEY,
            }
        ),
    }


@op
def generate_numbers():
    print("generating")
    return list(range(1, 11))


@op
def sum_numbers(numbers):
    print(f"summing {len(numbers)}")
    return sum(numbers)


@op(required_resource_keys={"s3"})
def count_objects(context, total):
    listed = context.resources.s3.list_objects_v2(Bucket=IO_MANAGER_S3_BUCKET, Prefix=IO_MANAGER_S3_PREFIX)
    return total, listed["KeyCount"]


@job
def process_numbers():
    count_objects(sum_numbers(generate_numbers()))


@asset(group_name="numbers")
def generated_numbers():
    return list(range(1, 11))


@asset(group_name="numbers")
def summed_numbers(generated_numbers):
    return sum(generated_numbers)


process_numbers_asset = define_asset_job(
    name="process_numbers_asset",
    selection=AssetSelection.groups("numbers"),
)

defs = Definitions(
    assets=[generated_numbers, summed_numbers],
    jobs=[process_numbers, process_numbers_asset],
    resources=get_io_manager(),
)
