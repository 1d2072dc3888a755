"""Whatever people write: an answer, and no harm to what others wrote."""

import json
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from tests.examples import NOW
from tests.unit.overrides.texts import CHECKOUT, book, line, text
from tuner.model.override import Override
from tuner.overrides.book import Book
from tuner.overrides.document import read_document
from tuner.overrides.entry import Entry
from tuner.overrides.resolve import resolve

KEYS = ["paused", "overrides", "name", "match", "namespace", "kind", "reason", "expires", "freeze"]
KEYS += ["pin", "gogc", "memoryLimit", "barrier", "immediate", "bounds", "lowest", "highest"]
KEYS += ["targets", "gcShare", "latency", "profile"]
# YAML takes keys of up to 1024 characters, escapes included, and no bare DEL.
words = st.text(st.characters(exclude_characters="\x7f"), max_size=40)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    words,
    st.sampled_from([*KEYS, "*", "[", "1Gi", "9E9Gi", "for 2h", "2026-12-01T00:00:00Z", "for "]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | words, inner),
    max_leaves=20,
)
tops = st.fixed_dictionaries({}, optional={"paused": scalars, "overrides": st.lists(values)})
yaml_like = st.text(st.sampled_from("abf:-{}[]&*!|>\"'#%@\\,? \n\t0179.~=<"))

DOES = (
    "freeze: true",
    "pin: {gogc: 200}",
    "pin: {barrier: 9, immediate: true}",
    "bounds: {gogc: {lowest: 80}}",
    "targets: {latency: 1s}",
    "profile: critical",
    "profile: normal, expires: for 1h",
)
MISTAKES = (
    "freeze: 3",
    "freeze: false",
    "pin: {gogc: x}",
    "targets: {gcShare: 3%}, freeze: true",
    "profile: gold",
    "freeze: true, expires: soon",
    "freeze: true, freeze: false",
)
MATCHES = ("{namespace: shop, name: 'check*'}", "{namespace: '*', name: '*'}", "{name: a}", "x")


@given(st.one_of(st.text(), yaml_like, values.map(json.dumps), tops.map(json.dumps)))
@example("{[a]: b}")
@example("overrides: [{name: !!timestamp foo, <<: 1}]")
@example("overrides: [!!python/name:os.system '']")
@example("overrides: [{name: it, pin: {gogc: " + "9" * 5000 + "}}]")
@example('overrides: [{name: it, "\\ud800": "\\ud800", reason: "\\ud800"}]')
@example("overrides: [{expires: 0001-01-01T00:00:00+23:59}, {expires: for " + "9" * 999 + "h}]")
def test_any_text_gives_a_book_and_an_answer(whole: str) -> None:
    document = read_document(whole)
    for after in (Book().after(document), book(line()).after(document)):
        override = resolve(after, CHECKOUT, NOW, {}).override
        spoken = [document.trouble, override.invalid, *map(str, document.refusals)]
        assert all(message.isprintable() for message in spoken)
        assert after.holds_all <= bool(override.invalid)


@st.composite
def good_lines(draw: st.DrawFn) -> list[str]:
    """Good entries, each with a name of its own."""
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    return [line(draw(st.sampled_from(DOES)), name=name) for name in names]


@given(
    good=good_lines(),
    does=st.sampled_from(MISTAKES),
    match=st.sampled_from(MATCHES),
    name=st.sampled_from("abcdefg"),
    place=st.integers(0, 6),
)
def test_a_bad_entry_changes_nothing_of_what_the_good_ones_do(
    good: list[str], does: str, match: str, name: str, place: int
) -> None:
    bad = line(does, name=name, match=match)
    alone = Book().after(read_document(text(*good)))
    beside = Book().after(read_document(text(*good[:place], bad, *good[place:])))
    assert beside.entries == alone.entries
    override = resolve(beside, CHECKOUT, NOW, {}).override
    assert override.invalid
    assert replace(override, invalid="") == resolve(alone, CHECKOUT, NOW, {}).override


@given(values)
def test_an_entry_is_either_good_or_refused(item: object) -> None:
    (read,) = read_document(json.dumps({"overrides": [item]})).items
    assert isinstance(read, Entry) or read.message


@given(st.floats(0, 1e10), st.floats(0, 1e6))
def test_an_answer_follows_from_its_arguments_alone(now: float, late: float) -> None:
    of = book(line("freeze: true, expires: for 2h"), line("profile: normal", name="that"))
    first = resolve(of, CHECKOUT, now, {})
    assert resolve(of, CHECKOUT, now, {}) == first
    later = resolve(of, CHECKOUT, now + late, first.first_seen).override
    assert later.frozen is (now + late < now + 7200)
    assert isinstance(later, Override)
