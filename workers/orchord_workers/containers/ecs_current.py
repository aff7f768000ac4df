"""The ECS task in which the launcher worker itself runs: where a new task is to run when nothing else is said.

What of it goes into a request is ecs_requests.py.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchord.spi import environment_value
from orchord_workers.containers.platform import PlatformError

# ECS sets it in every container that it starts.
METADATA_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
METADATA_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class CurrentTask:
    """The launcher worker's own task.

    Attributes:
        cluster: its cluster.
        container_name: the container in which this process runs.
        description: the task, as DescribeTasks tells it.
        network: its network, as RunTask takes it; None where it has none of its own.
    """

    cluster: str
    container_name: str
    description: Mapping[str, Any]
    network: Mapping[str, Any] | None

    def run_task_arguments(self) -> dict[str, Any]:
        """Return what makes RunTask start a task where this one runs."""
        strategy = self.description.get("capacityProviderStrategy")
        made: dict[str, Any] = {"cluster": self.cluster}
        if strategy:
            made["capacityProviderStrategy"] = strategy
        else:
            made["launchType"] = self.description.get("launchType") or "FARGATE"
        if self.network is not None:
            made["networkConfiguration"] = {"awsvpcConfiguration": self.network}
        return made


def find_current_task(ecs: Any, make_ec2: Any) -> CurrentTask | None:
    """Return the task in which this process runs; None outside of ECS.

    Args:
        ecs: boto3's client.
        make_ec2: makes boto3's client of EC2, where the network's security groups are asked for.

    Raises:
        PlatformError: ECS does not tell; trying again may help.
    """
    address = environment_value(METADATA_VARIABLE)
    if not address:
        return None
    container, task = _read(address), _read(f"{address}/task")
    cluster, arn = str(task["Cluster"]), str(task["TaskARN"])
    found = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
    if not found:
        # A task is told of some seconds after it has begun.
        raise PlatformError(f"ECS does not know the launcher worker's own task {arn} yet.", is_passing=True)
    network = _network(found[0], make_ec2)
    return CurrentTask(cluster, str(container["Name"]), found[0], network)


def _network(task: Mapping[str, Any], make_ec2: Any) -> dict[str, Any] | None:
    details = [
        {one["name"]: one["value"] for one in attachment.get("details", ())}
        for attachment in task.get("attachments", ())
        if attachment.get("type") == "ElasticNetworkInterface"
    ]
    subnets = [one["subnetId"] for one in details if "subnetId" in one]
    if not subnets:
        return None
    ids = [one["networkInterfaceId"] for one in details if "networkInterfaceId" in one]
    interfaces = make_ec2().describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"] if ids else ()
    groups = [group["GroupId"] for interface in interfaces for group in interface.get("Groups", ())]
    is_public = any(interface.get("Association", {}).get("PublicIp") for interface in interfaces)
    return {
        "subnets": subnets,
        "securityGroups": list(dict.fromkeys(groups)),
        "assignPublicIp": "ENABLED" if is_public else "DISABLED",
    }


def _read(address: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(address, timeout=METADATA_TIMEOUT_SECONDS) as answer:
            found: Mapping[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"{METADATA_VARIABLE} is {address}, which does not answer: {error}.", is_passing=True
        ) from error
