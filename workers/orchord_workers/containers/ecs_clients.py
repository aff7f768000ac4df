"""boto3's clients for ECS and its neighbours, and what they raise in the words of the port.

What is asked of them is ecs.py and ecs_definitions.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchord_workers.containers.ecs_state import is_passing_error
from orchord_workers.containers.platform import PlatformError

EXTRA = "pip install 'orchord[ecs]'"


def new_client(service: str, arguments: Mapping[str, Any]) -> Any:
    """Make boto3's client of a service.

    Raises:
        PlatformError: boto3 is not installed, or has no region or the like.
    """
    try:
        import boto3  # noqa: PLC0415 - an optional package
        import botocore.config  # noqa: PLC0415 - an optional package
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise PlatformError(f"ECS needs boto3, which is not installed: {EXTRA}") from error
    # Requests that are throttled are tried again, with pauses that grow and a rate that adapts.
    config = botocore.config.Config(retries={"mode": "adaptive", "max_attempts": 6}, connect_timeout=10)
    try:
        return boto3.Session().client(service, config=config, **arguments)
    except (BotoCoreError, ValueError) as error:
        raise PlatformError(f"AWS cannot be reached: {error}. See boto_config, and AWS_DEFAULT_REGION.") from error


@contextmanager
def told(what: str) -> Iterator[None]:
    """Translate what boto3 raises."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an optional package

    try:
        yield
    except ClientError as error:
        code, message = (str(error.response.get("Error", {}).get(key, "")) for key in ("Code", "Message"))
        raise PlatformError(f"{what}: {code}: {message}", is_passing=is_passing_error(code, message)) from error
    except BotoCoreError as error:
        # The network, or credentials that are not there now.
        raise PlatformError(f"{what}: {error}", is_passing=True) from error
