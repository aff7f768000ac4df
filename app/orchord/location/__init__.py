"""Code locations: users' modules found, imported and resolved. The public names of the package, nothing else.

What a location has is Repository; what servers know of it is orchord.snapshot.
"""

from orchord.location.loading import CodeLocation, load_location
from orchord.location.target import LocationTarget
from orchord.location.workspace import read_workspace

__all__ = ["CodeLocation", "LocationTarget", "load_location", "read_workspace"]
