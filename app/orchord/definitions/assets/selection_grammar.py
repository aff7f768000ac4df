"""The text form of asset selections: ``group:numbers and not (kind:python or +orders)`` becomes rules.

    either    = both ("or" both)*                         both = one ("and" one)*
    one       = "not" one | [up] atom [down]              up = "*" | [N] "+"+      down = "*" | "+" [N] | "+"+
    atom      = "(" either ")" | "sinks(" either ")" | "roots(" either ")" | "*" | NAME ":" value | KEY

On a bare KEY each ``+`` is one edge and ``*`` is all of them; on anything else ``+`` alone is all, ``2+`` is two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchord.definitions.asset_key import AssetKey
from orchord.definitions.assets import selection_rules as rules
from orchord.errors import InvalidDefinitionError, InvalidSubsetError, did_you_mean

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<number>[0-9]{1,9}(?=\+))
      | (?P<null><null>)
      | (?P<sign>[()+*:=,])
      | (?P<word>[^\s()+*:="',]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile("[0-9]{1,9}")
_MAX_DEPTH = 50
_FUNCTIONS = ("sinks", "roots")
_ATTRIBUTES = ("key", "key_substring", "group", "tag", "kind", "owner")


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def parse(text: str, include_sources: bool = False) -> rules.Rule:
    """Return the rule that a text stands for.

    Raises:
        InvalidSubsetError: the text does not follow the grammar; says where, and what could stand there.
    """
    return _Parser(text, include_sources).parse()


class _Parser:
    def __init__(self, text: str, include_sources: bool) -> None:
        self.text = text
        self.include_sources = include_sources
        self.tokens = self._tokens()
        self.position = 0
        self.depth = 0

    def parse(self) -> rules.Rule:
        if not self.tokens:
            raise self._error("it is empty", 0, "Write '*' for all assets.")
        rule = self._either()
        token = self._peek()
        if token is not None:
            fix = "Join selections by 'and' or 'or'; quote a key that has spaces or signs."
            raise self._error(f"{token.text!r} is not expected", token.start, fix)
        return rule

    def _tokens(self) -> list[_Token]:
        tokens = []
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise self._error(f"{self.text[position:].strip()[0]!r} is not expected", position, "")
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind), match.end(kind)))
            position = match.end()
        return tokens

    def _error(self, problem: str, at: int, fix: str) -> InvalidSubsetError:
        sentence = f"{problem} at character {at + 1}. {fix}".strip()
        return InvalidSubsetError(f"The asset selection {self.text!r} cannot be read", [sentence])

    def _peek(self, ahead: int = 0) -> _Token | None:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def _is(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind in ("sign", "word") and token.text == text

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self.position += 1
            return True
        return False

    def _accept_word(self, word: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "word" and token.text.lower() == word and not self._is(":", 1):
            self.position += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            token = self._peek()
            at = token.start if token else len(self.text)
            raise self._error(f"{text!r} is missing", at, "")

    def _either(self) -> rules.Rule:
        members = [self._both()]
        while self._accept_word("or"):
            members.append(self._both())
        return members[0] if len(members) == 1 else rules.Either(tuple(members))

    def _both(self) -> rules.Rule:
        rule = self._one()
        while self._accept_word("and"):
            if self._accept_word("not"):
                rule = rules.Without(rule, self._one())
            else:
                members = rule.members if isinstance(rule, rules.Both) else (rule,)
                rule = rules.Both((*members, self._one()))
        return rule

    def _one(self) -> rules.Rule:
        # Texts come from outside: nesting must end in an error of the text, not of Python's stack.
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            token = self._peek()
            raise self._error(f"it is nested more than {_MAX_DEPTH} deep", token.start if token else len(self.text), "")
        try:
            return self._negated_or_reached()
        finally:
            self.depth -= 1

    def _negated_or_reached(self) -> rules.Rule:
        if self._accept_word("not"):
            return rules.Without(rules.AllAssets(self.include_sources), self._one())
        up = self._up()
        atom, is_bare = self._atom()
        down = self._down()
        reached: list[rules.Rule] = []
        if up is not None:
            reached.append(rules.Upstream(atom, _depth(up, is_bare)))
        if down is not None:
            reached.append(rules.Downstream(atom, _depth(down, is_bare)))
        return reached[0] if len(reached) == 1 else rules.Either(tuple(reached)) if reached else atom

    def _up(self) -> str | None:
        """Read what stands before an atom: ``*``, pluses, or a number and a plus; as text."""
        token = self._peek()
        if token is not None and token.kind == "number":
            self.position += 1
            self._expect("+")
            return token.text
        if self._is("*") and self._starts_atom(1):
            self.position += 1
            return "*"
        pluses = ""
        while self._accept("+"):
            pluses += "+"
        return pluses or None

    def _starts_atom(self, ahead: int) -> bool:
        """Whether the next token begins an atom right after this one (``*a``, and not ``* and a``)."""
        this, after = self._peek(ahead - 1), self._peek(ahead)
        return this is not None and after is not None and after.start == this.end and after.text not in (")", "+", "*")

    def _down(self) -> str | None:
        if self._accept("*"):
            return "*"
        pluses = ""
        while self._is("+"):
            plus = self._peek()
            self.position += 1
            pluses += "+"
            number = self._peek()
            if plus and number and _NUMBER.fullmatch(number.text) and number.start == plus.end:
                self.position += 1
                return number.text
        return pluses or None

    def _atom(self) -> tuple[rules.Rule, bool]:
        token = self._peek()
        if token is None:
            raise self._error("a key, group:, tag:, kind:, owner: or '(' is missing", len(self.text), "")
        if self._accept("("):
            rule = self._either()
            self._expect(")")
            return rule, False
        if self._accept("*"):
            return rules.AllAssets(self.include_sources), False
        if token.kind == "word" and token.text in _FUNCTIONS and self._is("(", 1):
            self.position += 2
            rule = self._either()
            self._expect(")")
            return (rules.Sinks(rule) if token.text == "sinks" else rules.Roots(rule)), False
        if token.kind == "word" and self._is(":", 1):
            self.position += 2
            return self._attribute(token), False
        if token.kind in ("word", "string"):
            self.position += 1
            return self._key_of(_plain(token), token.start), True
        raise self._error(f"{token.text!r} is not expected", token.start, "")

    def _attribute(self, name: _Token) -> rules.Rule:
        sources = self.include_sources
        if name.text == "key":
            return self._key()
        if name.text == "key_substring":
            return rules.KeySubstring(self._value(name), sources)
        if name.text == "group":
            return rules.Groups((self._value(name),), sources)
        if name.text == "kind":
            return rules.Kind(self._value_or_null(name), sources)
        if name.text == "owner":
            return rules.Owner(self._value_or_null(name))
        if name.text == "tag":
            key = self._value(name)
            return rules.Tag(key, self._value(name) if self._accept("=") else "", sources)
        fix = f"{did_you_mean(name.text, _ATTRIBUTES)} Put a key that has a colon in double quotes."
        raise self._error(f"'{name.text}:' is unknown", name.start, fix.strip())

    def _key(self) -> rules.Rule:
        """Read a key, in which stars outside quotes may touch words: ``key:raw/*``. A following ``+`` ends it."""
        first = self._peek()
        start = first.start if first else len(self.text)
        pieces: list[str] = []
        end: int | None = None
        while (token := self._peek()) is not None and (end is None or token.start == end):
            if not (token.kind in ("word", "string", "number") or token.text == "*"):
                break
            if token.kind == "number" and pieces:
                break
            pieces.append(_plain(token))
            end = token.end
            self.position += 1
        text = "".join(pieces)
        if not text:
            raise self._error("a key is missing", end or len(self.text), 'Write key:name or key:"name".')
        if "*" in text:
            return rules.KeyWildcard(text)
        return self._key_of(text, start)

    def _key_of(self, text: str, at: int) -> rules.Rule:
        try:
            return rules.KeysOf((AssetKey.from_user_string(text),))
        except InvalidDefinitionError:
            problem = f"{text!r} is no key, as a part of it is empty"
            raise self._error(problem, at, "Separate the parts by one '/' each.") from None

    def _value(self, name: _Token) -> str:
        token = self._peek()
        if token is None or token.kind not in ("word", "string", "number"):
            at = token.start if token else len(self.text)
            raise self._error(f"the value of '{name.text}:' is missing", at, f'Write {name.text}:"value".')
        self.position += 1
        text, end = _plain(token), token.end
        # Unquoted values may hold signs that are tokens elsewhere, such as the colon of team:data.
        while token.kind == "word" and self._is(":") and (colon := self._peek()) and colon.start == end:
            after = self._peek(1)
            if after is None or after.kind != "word" or after.start != colon.end:
                break
            self.position += 2
            text, end = f"{text}:{after.text}", after.end
        return text

    def _value_or_null(self, name: _Token) -> str | None:
        token = self._peek()
        if token is not None and token.kind == "null":
            self.position += 1
            return None
        return self._value(name)


def _plain(token: _Token) -> str:
    return re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "string" else token.text


def _depth(sign: str, is_bare: bool) -> int | None:
    """Return how many edges a sign reaches: a number as it says, pluses of a bare key one each, else all."""
    if sign.isdigit():
        return int(sign)
    return len(sign) if is_bare and sign != "*" else None
