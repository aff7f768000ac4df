"""The rules that asset selections are made of: each says which assets of a graph it chooses, and its own text form.

Users meet them as AssetSelection (selection.py) or as text (selection_grammar.py), never directly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets.graph import AssetGraph
from orchord.definitions.assets.labels import KIND_TAG_PREFIX
from orchord.errors import did_you_mean


@dataclass
class Notes:
    """What was noticed while choosing: mistakes make the selection wrong, hints may tell why it is empty."""

    mistakes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


class Rule(msgspec.Struct, frozen=True):
    """Chooses assets of a graph. A struct, since there are many rules: dataclasses took 4 ms longer to import."""

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        """Return the keys that are chosen, and note what is wrong."""
        raise NotImplementedError

    def operand(self) -> str:
        """Return the text form as part of another: in parentheses where that needs them."""
        text = str(self)
        is_loose = isinstance(self, (Upstream, Downstream)) or " " in text
        return f"({text})" if is_loose and not isinstance(self, (Sinks, Roots)) else text


def quoted(text: str) -> str:
    """Return a text as the grammar's string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _base(graph: AssetGraph, include_sources: bool) -> frozenset[AssetKey]:
    return graph.keys if include_sources else graph.materializable_keys


class AllAssets(Rule, frozen=True):
    """See ``AssetSelection.all``."""

    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        return set(_base(graph, self.include_sources))

    def __str__(self) -> str:
        return "*"


class KeysOf(Rule, frozen=True):
    """See ``AssetSelection.assets``."""

    selected: tuple[AssetKey, ...]

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        missing = [key for key in self.selected if not graph.has(key)]
        if missing:
            known = [key.to_user_string() for key in graph.keys]
            notes.mistakes += [
                f"no asset has the key '{key.to_user_string()}'.{did_you_mean(key.to_user_string(), known)}"
                for key in missing
            ]
        return {key for key in self.selected if graph.has(key)}

    def __str__(self) -> str:
        return " or ".join(f"key:{quoted(key.to_user_string())}" for key in self.selected) or "not *"


class KeyPrefixes(Rule, frozen=True):
    """See ``AssetSelection.key_prefixes``."""

    prefixes: tuple[tuple[str, ...], ...]
    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        base = _base(graph, self.include_sources)
        return {key for key in base if any(key.has_prefix(prefix) for prefix in self.prefixes)}

    def __str__(self) -> str:
        return " or ".join(f"key:{quoted(AssetKey(prefix).to_user_string() + '/*')}" for prefix in self.prefixes)


class KeySubstring(Rule, frozen=True):
    """See ``AssetSelection.key_substring``."""

    text: str
    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        return {key for key in _base(graph, self.include_sources) if self.text in key.to_user_string()}

    def __str__(self) -> str:
        return f"key_substring:{quoted(self.text)}"


class KeyWildcard(Rule, frozen=True):
    """See ``AssetSelection.key_wildcard``."""

    pattern: str

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        # Only the star is special; fnmatch would also read ? and [.
        pattern = self.pattern.replace("[", "[[]").replace("?", "[?]")
        return {key for key in graph.keys if fnmatchcase(key.to_user_string(), pattern)}

    def __str__(self) -> str:
        return f"key:{quoted(self.pattern)}"


class Groups(Rule, frozen=True):
    """See ``AssetSelection.groups``."""

    names: tuple[str, ...]
    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        names = set(self.names)
        chosen = {key for key in _base(graph, self.include_sources) if graph.get(key).group_name in names}
        known = {node.group_name for node in graph.nodes.values()}
        notes.hints += [f"no asset is in the group '{name}'.{did_you_mean(name, known)}" for name in names - known]
        return chosen

    def __str__(self) -> str:
        return " or ".join(f"group:{quoted(name)}" for name in self.names)


class Tag(Rule, frozen=True):
    """See ``AssetSelection.tag``."""

    key: str
    value: str
    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        base = _base(graph, self.include_sources)
        return {key for key in base if (graph.get(key).tags or {}).get(self.key) == self.value}

    def __str__(self) -> str:
        return f"tag:{quoted(self.key)}={quoted(self.value)}" if self.value else f"tag:{quoted(self.key)}"


class Kind(Rule, frozen=True):
    """See ``AssetSelection.kind``."""

    name: str | None
    include_sources: bool = False

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        base = _base(graph, self.include_sources)
        if self.name is None:
            return {key for key in base if not graph.get(key).kinds}
        tag = f"{KIND_TAG_PREFIX}{self.name}"
        return {key for key in base if self.name in graph.get(key).kinds or tag in (graph.get(key).tags or {})}

    def __str__(self) -> str:
        return "kind:<null>" if self.name is None else f"kind:{quoted(self.name)}"


class Owner(Rule, frozen=True):
    """See ``AssetSelection.owner``."""

    name: str | None

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        if self.name is None:
            return {key for key, node in graph.nodes.items() if not node.owners}
        return {key for key, node in graph.nodes.items() if self.name in node.owners}

    def __str__(self) -> str:
        return "owner:<null>" if self.name is None else f"owner:{quoted(self.name)}"


class Upstream(Rule, frozen=True):
    """See ``AssetSelection.upstream``."""

    child: Rule
    depth: int | None = None
    include_self: bool = True

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        start = self.child.choose(graph, notes)
        # External assets cannot be made, so reaching up stops short of them, unless they were named.
        reached = graph.upstream(start, self.depth)
        reached = {key for key in reached if key in start or graph.get(key).is_materializable}
        return reached if self.include_self else reached - start

    def __str__(self) -> str:
        text = f"{'' if self.depth is None else self.depth}+{self.child.operand()}"
        return text if self.include_self else f"{text} and not {self.child.operand()}"


class Downstream(Rule, frozen=True):
    """See ``AssetSelection.downstream``."""

    child: Rule
    depth: int | None = None
    include_self: bool = True

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        start = self.child.choose(graph, notes)
        reached = graph.downstream(start, self.depth)
        return reached if self.include_self else reached - start

    def __str__(self) -> str:
        text = f"{self.child.operand()}+{'' if self.depth is None else self.depth}"
        return text if self.include_self else f"{text} and not {self.child.operand()}"


class Roots(Rule, frozen=True):
    """See ``AssetSelection.roots``."""

    child: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        chosen = self.child.choose(graph, notes)
        return {key for key in chosen if not chosen.intersection(graph.parents(key))}

    def __str__(self) -> str:
        return f"roots({self.child})"


class Sinks(Rule, frozen=True):
    """See ``AssetSelection.sinks``."""

    child: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        chosen = self.child.choose(graph, notes)
        return {key for key in chosen if not chosen.intersection(graph.children(key))}

    def __str__(self) -> str:
        return f"sinks({self.child})"


class Materializable(Rule, frozen=True):
    """See ``AssetSelection.materializable``."""

    child: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        return self.child.choose(graph, notes) & graph.materializable_keys

    def __str__(self) -> str:
        return f"{self.child.operand()} and *"


class ParentSources(Rule, frozen=True):
    """See ``AssetSelection.upstream_source_assets``."""

    child: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        chosen = self.child.choose(graph, notes)
        return {parent for key in chosen for parent in graph.parents(key)} & graph.external_keys

    def __str__(self) -> str:
        return f"external_parents({self.child})"


class Neighbours(Rule, frozen=True):
    """See ``AssetSelection.required_multi_asset_neighbors``."""

    child: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        chosen = self.child.choose(graph, notes)
        return chosen | {other for key in chosen for other in graph.get(key).neighbours}

    def __str__(self) -> str:
        return f"neighbors({self.child})"


class Either(Rule, frozen=True):
    """``a | b``: assets that any member selects."""

    members: tuple[Rule, ...]

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        return set().union(*(member.choose(graph, notes) for member in self.members))

    def __str__(self) -> str:
        return " or ".join(member.operand() for member in self.members)


class Both(Rule, frozen=True):
    """``a & b``: assets that every member selects."""

    members: tuple[Rule, ...]

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        first, *others = [member.choose(graph, notes) for member in self.members]
        return first.intersection(*others)

    def __str__(self) -> str:
        return " and ".join(member.operand() for member in self.members)


class Without(Rule, frozen=True):
    """``a - b``: assets that the left selects and the right does not."""

    left: Rule
    right: Rule

    def choose(self, graph: AssetGraph, notes: Notes) -> set[AssetKey]:
        return self.left.choose(graph, notes) - self.right.choose(graph, notes)

    def __str__(self) -> str:
        if isinstance(self.left, AllAssets):
            return f"not {self.right.operand()}"
        return f"{self.left.operand()} and not {self.right.operand()}"
