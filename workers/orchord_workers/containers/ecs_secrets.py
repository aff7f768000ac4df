"""Which secrets of AWS Secrets Manager a task's container gets: their ARNs alone, for ECS to read. Values stay there.

What the config names them by is ecs_settings.py.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from orchord_workers.containers.ecs_settings import EcsSettings

logger = logging.getLogger(__name__)

_REFUSALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def secrets_of(settings: EcsSettings, make_client: Callable[[], Any]) -> list[dict[str, str]]:
    """Return the secrets of a container as ``{name, valueFrom}``: those that are tagged, then those that are named."""
    found: dict[str, str] = {}
    if settings.secrets_tags:
        found |= _tagged(settings, make_client)
    for secret in settings.secrets:
        if isinstance(secret, Mapping):
            found[str(secret["name"])] = str(secret["valueFrom"])
        else:
            found |= _keys_of(str(secret), make_client())
    return [{"name": name, "valueFrom": value} for name, value in sorted(found.items())]


def _tagged(settings: EcsSettings, make_client: Callable[[], Any]) -> dict[str, str]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - an optional package

    found: dict[str, str] = {}
    try:
        pages = make_client().get_paginator("list_secrets")
        for tag in settings.secrets_tags:
            for page in pages.paginate(Filters=[{"Key": "tag-key", "Values": [tag]}]):
                found |= {str(secret["Name"]): str(secret["ARN"]) for secret in page["SecretList"]}
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if settings.secrets_tags_are_given or code not in _REFUSALS:
            raise
        # Nobody has asked for it by name: tasks go without, as where there are no such secrets.
        logger.warning("Secrets tagged %s are not given to tasks: listing them is refused", settings.secrets_tags)
    return found


def _keys_of(arn: str, client: Any) -> dict[str, str]:
    """Return each key of a secret that is a JSON object, by its own name."""
    keys = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])
    return {str(key): f"{arn}:{key}::" for key in keys}
