"""The text form of selections: what each form means, and what is said of a text that cannot be read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchord as dg
from orchord.errors import InvalidSubsetError

S = dg.AssetSelection
A, B, C = S.assets("a"), S.assets("b"), S.assets("c")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a", A),
        ('"a"', A),
        ("a/b", S.assets(["a", "b"])),
        ('key:"a"', A),
        ("key:a", A),
        ("*", S.all()),
        ("+a", A.upstream(1)),
        ("++a", A.upstream(2)),
        ("2+a", A.upstream(2)),
        ("*a", A.upstream()),
        ("a+", A.downstream(1)),
        ("a++", A.downstream(2)),
        ("a+3", A.downstream(3)),
        ("a*", A.downstream()),
        ("2+a+1", A.upstream(2) | A.downstream(1)),
        ("+key:a", A.upstream()),
        ("key:a+", A.downstream()),
        ("1+key:a", A.upstream(1)),
        ("+group:g", S.groups("g").upstream()),
        ("group:g+2", S.groups("g").downstream(2)),
        ("key:a*", S.key_wildcard("a*")),
        ('key:"a/*"', S.key_wildcard("a/*")),
        ("key:raw/*", S.key_wildcard("raw/*")),
        ("key_substring:a", S.key_substring("a")),
        ("group:g", S.groups("g")),
        ('group:"a group"', S.groups("a group")),
        ("tag:k=v", S.tag("k", "v")),
        ('tag:"k"="v w"', S.tag("k", "v w")),
        ("tag:k", S.tag("k", "")),
        ("kind:python", S.kind("python")),
        ("kind:<null>", S.kind(None)),
        ("owner:ada@example.com", S.owner("ada@example.com")),
        ("owner:team:data", S.owner("team:data")),
        ('owner:"team:data"', S.owner("team:data")),
        ("not a", S.all() - A),
        ("a and b", A & B),
        ("a or b", A | B),
        ("a or b and c", A | (B & C)),
        ("(a or b) and c", (A | B) & C),
        ("a and not b", A - B),
        ("a AND NOT b OR c", (A - B) | C),
        ("sinks(*)", S.all().sinks()),
        ("roots(group:g)", S.groups("g").roots()),
        ("sinks(a)+", A.sinks().downstream()),
        ("+(a or b)", (A | B).upstream()),
        ("  a  ", A),
        ("* and group:g", S.all() & S.groups("g")),
        ("order", S.assets("order")),
        ("and/or", S.assets(["and", "or"])),
    ],
)
def test_means(text, meaning):
    assert S.from_string(text) == meaning


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty at character 1. Write '*' for all assets."),
        ("a b", "'b' is not expected at character 3. Join selections by 'and' or 'or'; quote a key that has spaces"),
        ("grup:x", "'grup:' is unknown at character 1. Did you mean 'group'?"),
        ("a and", "a key, group:, tag:, kind:, owner: or '(' is missing at character 6."),
        ("(a", "')' is missing at character 3."),
        ("a)", "')' is not expected at character 2."),
        ("a, b", "',' is not expected at character 2."),
        ("tag:", "the value of 'tag:' is missing at character 5. Write tag:\"value\"."),
        ("key:", "a key is missing at character 5."),
        ("'a'", '"\'" is not expected at character 1.'),
        ("a//b", "'a//b' is no key, as a part of it is empty at character 1. Separate the parts by one '/' each."),
        ("(" * 60 + "a" + ")" * 60, "it is nested more than 50 deep at character 51."),
        ("not " * 60 + "a", "it is nested more than 50 deep at character 201."),
        ("+", "a key, group:, tag:, kind:, owner: or '(' is missing at character 2."),
    ],
)
def test_refuses(text, problem):
    with pytest.raises(InvalidSubsetError) as caught:
        S.from_string(text)
    assert str(caught.value).startswith(f"The asset selection {text!r} cannot be read: ")
    assert problem in str(caught.value)


def test_include_sources_reaches_every_part_of_the_text():
    assert S.from_string("group:g or *", include_sources=True) == S.groups("g", include_sources=True) | S.all(True)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_words(text):
    with contextlib.suppress(InvalidSubsetError):
        assert isinstance(S.from_string(text), S)


WORDS = st.text("abz_/", min_size=1, max_size=5).filter(lambda word: not set(word.split("/")) & {""})
SIMPLE = st.one_of(
    WORDS.map(lambda word: S.assets(dg.AssetKey.from_user_string(word))),
    WORDS.map(S.groups),
    st.tuples(WORDS, WORDS).map(lambda pair: S.tag(*pair)),
    WORDS.map(S.kind),
    st.just(S.all()),
)


def _larger(children):
    return st.one_of(
        st.tuples(children, children).map(lambda pair: pair[0] | pair[1]),
        st.tuples(children, children).map(lambda pair: pair[0] & pair[1]),
        st.tuples(children, children).map(lambda pair: pair[0] - pair[1]),
        st.tuples(children, st.one_of(st.none(), st.integers(1, 3))).map(lambda pair: pair[0].upstream(pair[1])),
        st.tuples(children, st.one_of(st.none(), st.integers(1, 3))).map(lambda pair: pair[0].downstream(pair[1])),
        children.map(lambda one: one.sinks()),
        children.map(lambda one: one.roots()),
    )


@given(st.recursive(SIMPLE, _larger, max_leaves=6))
def test_the_written_form_of_any_selection_is_read_back_to_the_same_text(selection):
    text = str(selection)
    assert str(S.from_string(text)) == str(S.from_string(str(S.from_string(text))))
