"""``map_asset_specs``: the same change made to what is known of many assets.

One definition's own method of this name, which makes the change, is in definition.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchord.definitions.assets.definition import AssetsDefinition
from orchord.definitions.assets.spec import AssetSpec


def map_asset_specs(
    func: Callable[[AssetSpec], AssetSpec], iterable: Iterable[AssetsDefinition | AssetSpec]
) -> list[AssetsDefinition | AssetSpec]:
    """Return assets and specs with each spec as the function makes it.

    Args:
        func: is given a spec, and returns the one that takes its place, with the same key and deps.
        iterable: assets, and specs of external ones.

    Raises:
        InvalidDefinitionError: the function changed the key or deps of an asset that code makes.
    """
    return [one.map_asset_specs(func) if isinstance(one, AssetsDefinition) else func(one) for one in iterable]
