"""Which settings a container gets: the launcher's, the executor's, then the tags', the strongest last.

Pure but for variables that settings refer to. How a platform merges the layers is its own (containers/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchord.spi import Place, Run, Step, environment_value, executor_config, place_of
from orchord_workers.containers.platform import PlatformError

IMAGE_TAGS = ("orchord/image", "dagster/image")
# What tags hold in the executor's own keys; what Dagster's tag holds are raw parts of manifests.
SETTINGS_TAGS: Mapping[Place, str] = {
    Place.DOCKER: "orchord/docker",
    Place.KUBERNETES: "orchord/k8s",
    Place.ECS: "orchord/ecs",
}
RAW_K8S_TAG = "dagster-k8s/config"
# The older tag, for one part of it.
RESOURCES_K8S_TAG = "dagster-k8s/resource_requirements"
# On a job, Dagster's own tags are of the pod that carries a whole run out, and of no step's: they are sized for that.
_OF_WHOLE_RUNS = frozenset({RAW_K8S_TAG, RESOURCES_K8S_TAG})
ECS_TAGS = "ecs/"
# Under this name an ECS task's settings have the run's own tags, some of which the launcher's config may propagate.
RUN_TAGS_KEY = "orchord/run_tags"
_IMAGE_KEYS = ("image", "job_image")
_OF_NO_CONTAINER = ("retries", "max_concurrent", "tag_concurrency_limits")
# Under these keys a mapping is of names that people choose, of which `env` is one: {env: prod} is a label.
_CHOSEN_NAMES = frozenset(
    {
        *("labels", "annotations", "environment", "node_selector", "nodeSelector", "match_labels", "matchLabels"),
        *("sysctls", "storage_opt", "string_data", "stringData"),
    }
)
_RAW_PARTS = ("run_k8s_config", "step_k8s_config")


@dataclass(frozen=True)
class Layers:
    """What a container's settings say: the image, if anything names one, and the layers, the strongest last."""

    image: str | None
    layers: tuple[Mapping[str, Any], ...]


def layers_of_step(
    run: Run, step: Step, place: Place, launcher: Mapping[str, Any] | None, location_image: str | None
) -> Layers:
    """Return the settings of one step's container.

    Args:
        run: the step's run.
        step: the step.
        place: the platform.
        launcher: the config of the run's launcher, if that is of the same platform.
        location_image: the image that the location's workers run, if that is known.

    Raises:
        PlatformError: a tag cannot be read, or a variable that is referred to is not set.
    """
    layers = [] if launcher is None else [launcher]
    # Of another platform's executor, as with a tag that sends one op elsewhere, nothing would fit.
    if place_of(run.executor, None) is place:
        layers += _layers_of_executor(run, place)
    of_run = {key: value for key, value in run.tags.items() if key not in _OF_WHOLE_RUNS}
    layers += _layers_of_tags(of_run, place, "step_k8s_config")
    layers += _layers_of_tags(step.tags, place, "step_k8s_config")
    return _settled(layers, (run.tags, step.tags), location_image)


def layers_of_run(run: Run, place: Place, launcher: Mapping[str, Any] | None, location_image: str | None) -> Layers:
    """Return the settings of a container that carries a whole run out. As ``layers_of_step``."""
    layers = [] if launcher is None else [launcher]
    layers += _layers_of_tags(run.tags, place, "run_k8s_config")
    if place is Place.ECS:
        layers.append({RUN_TAGS_KEY: list(run.tags.items())})
    return _settled(layers, (run.tags,), location_image)


def _layers_of_executor(run: Run, place: Place) -> list[Mapping[str, Any]]:
    config = executor_config(run)
    own = config.get("docker") if place is Place.DOCKER else None
    flat = {key: value for key, value in config.items() if key not in (*_OF_NO_CONTAINER, "docker")}
    layers: list[Mapping[str, Any]] = [flat]
    if isinstance(own, Mapping):
        layers.append(own)
    return layers


def _layers_of_tags(tags: Mapping[str, Any], place: Place, raw_key: str) -> list[Mapping[str, Any]]:
    layers: list[Mapping[str, Any]] = []
    if place is Place.KUBERNETES and RESOURCES_K8S_TAG in tags:
        layers.append({"resources": _mapping(RESOURCES_K8S_TAG, tags[RESOURCES_K8S_TAG])})
    if place is Place.KUBERNETES and RAW_K8S_TAG in tags:
        layers.append({raw_key: _mapping(RAW_K8S_TAG, tags[RAW_K8S_TAG])})
    name = SETTINGS_TAGS.get(place)
    if name is not None and name in tags:
        layers.append(_mapping(name, tags[name]))
    if place is Place.ECS:
        given = {key: value for key, value in tags.items() if key.startswith(ECS_TAGS)}
        layers += [given] if given else []
    return layers


def _mapping(tag: str, value: Any) -> Mapping[str, Any]:
    found = value
    if isinstance(value, str):
        try:
            found = json.loads(value)
        except ValueError as error:
            raise PlatformError(f"The tag {tag} is no JSON: {error}. Give a mapping, as text in JSON.") from error
    if not isinstance(found, Mapping):
        raise PlatformError(f"The tag {tag} is {value!r}. Give a mapping, as text in JSON.")
    return found


def _settled(
    layers: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, Any]], location_image: str | None
) -> Layers:
    """Read what layers refer to, and decide the image: by tag, by the strongest layer, else the location's."""
    missing: list[str] = []
    read = tuple(_with_environment(layer, missing) for layer in layers)
    if missing:
        names = ", ".join(sorted(set(missing)))
        raise PlatformError(f"The settings refer to variables that the launcher worker does not have: {names}.")
    tagged = next((str(each[tag]) for each in reversed(tags) for tag in IMAGE_TAGS if each.get(tag)), None)
    named = next((image for layer in reversed(read) if (image := _image_of(layer))), None)
    return Layers(tagged or named or location_image, read)


def _image_of(layer: Mapping[str, Any]) -> str | None:
    """Return the image that a layer names: by its own key, or in the raw part of a container."""
    for raw in (*(layer.get(key) for key in _RAW_PARTS), layer):
        container = raw.get("container_config") if isinstance(raw, Mapping) else None
        if isinstance(container, Mapping) and container.get("image"):
            return str(container["image"])
    return next((str(layer[key]) for key in _IMAGE_KEYS if layer.get(key)), None)


def _with_environment(value: Any, missing: list[str]) -> Any:
    """Return settings with every ``{env: NAME}`` replaced, as config of type StringSource means it."""
    if isinstance(value, Mapping):
        if set(value) == {"env"} and isinstance(value["env"], str):
            found = environment_value(value["env"])
            if found is None:
                missing.append(value["env"])
            return found
        return {key: _of_key(key, item, missing) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_environment(item, missing) for item in value]
    return value


def _of_key(key: str, value: Any, missing: list[str]) -> Any:
    if key in _CHOSEN_NAMES and isinstance(value, Mapping):
        return {name: _with_environment(item, missing) for name, item in value.items()}
    return _with_environment(value, missing)
