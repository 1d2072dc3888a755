from dataclasses import replace

import pytest

from tests.unit.overrides.texts import document, line, text
from tuner.model.workload import Kind
from tuner.overrides.book import Document
from tuner.overrides.document import read_document
from tuner.overrides.entry import Bounds, Entry, Match

MIB = 1 << 20
BARE = Entry(name="it", match=Match("shop", "checkout"), reason="why it", digest="")


@pytest.mark.parametrize(
    ("does", "meant"),
    [
        ("freeze: true", replace(BARE, freeze=True)),
        ("freeze: yes", replace(BARE, freeze=True)),
        ("pin: {gogc: 200}", replace(BARE, pin_gogc=200)),
        ('pin: {gogc: "200"}', replace(BARE, pin_gogc=200)),
        ("pin: {memoryLimit: 700MiB}", replace(BARE, pin_memory_limit_bytes=700 * MIB)),
        ("pin: {memoryLimit: 700Mi}", replace(BARE, pin_memory_limit_bytes=700 * MIB)),
        ("pin: {memoryLimit: 1GiB}", replace(BARE, pin_memory_limit_bytes=1024 * MIB)),
        ("pin: {memoryLimit: 1.5Gi}", replace(BARE, pin_memory_limit_bytes=1536 * MIB)),
        ("pin: {memoryLimit: 700M}", replace(BARE, pin_memory_limit_bytes=700_000_000)),
        (
            "pin: {barrier: 300, immediate: true}",
            replace(BARE, pin_barrier=300, immediate=True),
        ),
        ("bounds: {gogc: {lowest: 80}}", replace(BARE, gogc_bounds=Bounds(80, None))),
        ("bounds: {gogc: {lowest: 80, highest: 80}}", replace(BARE, gogc_bounds=Bounds(80, 80))),
        (
            "bounds: {memoryLimit: {highest: 1GiB}}",
            replace(BARE, memory_limit_bounds=Bounds(None, 1024 * MIB)),
        ),
        ("targets: {gcShare: 0.03}", replace(BARE, gc_share_target=0.03)),
        ("targets: {latency: 50ms}", replace(BARE, latency_target_seconds=0.05)),
        ("profile: best-effort", replace(BARE, profile="best-effort")),
        ("freeze: true, expires: 1970-01-01T00:01:00Z", replace(BARE, freeze=True, ends_at=60)),
        (
            "freeze: true, expires: '1970-01-01 02:01:00+02:00'",
            replace(BARE, freeze=True, ends_at=60),
        ),
        ("freeze: true, expires: for 1h30m", replace(BARE, freeze=True, lasts_seconds=5400)),
    ],
)
def test_an_entry_means_what_it_says(does: str, meant: Entry) -> None:
    (entry,) = document(line(does)).entries
    assert replace(entry, digest="") == meant


def test_a_match_may_name_a_kind() -> None:
    match = "{namespace: 'shop-*', name: '[a-c]?', kind: Deployment}"
    (entry,) = document(line(match=match)).entries
    assert entry.match == Match("shop-*", "[a-c]?", Kind.DEPLOYMENT)


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("freeze: false", "does nothing: set freeze: true, pin, bounds, targets or profile"),
        ("expires: for 1h", "does nothing: set freeze: true"),
        ("freze: true", "freze: unknown, did you mean freeze?"),
        ("freeze: soon", "freeze: 'soon' is neither true nor false"),
        ("freeze: [true]", "freeze: ['true'] is neither true nor false"),
        ("freeze: ", "freeze: '' is neither true nor false"),
        ("pin: 200", "pin: '200' stands where keys and values belong"),
        ("pin: {}", "pin: says nothing: set one of gogc, memoryLimit, barrier, immediate"),
        ("pin: {immediate: true}", "pin: pins nothing: set gogc, memoryLimit or barrier"),
        ("pin: {memory_limit: 1Gi}", "pin.memory_limit: unknown, did you mean memoryLimit?"),
        ("pin: {gogc: off}", "pin.gogc: 'off' is not a whole number"),
        ("pin: {gogc: 12.5}", "pin.gogc: '12.5' is not a whole number"),
        ("pin: {gogc: 0}", "pin.gogc: 0 is too small: the least is 1"),
        ("pin: {gogc: 1000000}", "pin.gogc: 1000000 is too large: the greatest is 999999"),
        ("pin: {gogc: null}", "pin.gogc: 'null' is not a whole number"),
        (
            "pin: {memoryLimit: 700MB}",
            "pin.memoryLimit: '700MB' is not an amount of memory: write one such as 700MiB",
        ),
        (
            "pin: {memoryLimit: 700}",
            "pin.memoryLimit: '700' is less than 1MiB: write an amount such as 700MiB",
        ),
        ("pin: {memoryLimit: 700m}", "pin.memoryLimit: '700m' is less than 1MiB"),
        ("pin: {memoryLimit: -1Gi}", "pin.memoryLimit: '-1Gi' is not an amount of memory"),
        ("pin: {memoryLimit: off}", "pin.memoryLimit: 'off' is not an amount of memory"),
        ("pin: {memoryLimit: [1Gi]}", "pin.memoryLimit: \"['1Gi']\" is not an amount of memory"),
        ("pin: {barrier: 0}", "pin.barrier: 0 is too small: the least is 1"),
        ("bounds: {}", "bounds: says nothing: set one of gogc, memoryLimit"),
        ("bounds: {gogc: {}}", "bounds.gogc: says nothing: set one of lowest, highest"),
        ("bounds: {gogc: {min: 80}}", "bounds.gogc.min: unknown, there are lowest, highest"),
        (
            "bounds: {gogc: {lowest: 200, highest: 100}}",
            "bounds.gogc: lowest 200 is above highest 100",
        ),
        (
            "bounds: {memoryLimit: {highest: 1GB}}",
            "bounds.memoryLimit.highest: '1GB' is not an amount of memory",
        ),
        ("targets: {}", "targets: says nothing: set one of gcShare, latency"),
        ("targets: {gcShare: 3%}", "targets.gcShare: '3%' is a percentage: write the ratio, 0.03"),
        ("targets: {gcShare: 3}", "targets.gcShare: 3 is too large: it must be below 1"),
        ("targets: {gcShare: .95}", "targets.gcShare: .95 is too large: it must be below 0.95"),
        ("targets: {gcShare: nan}", "targets.gcShare: 'nan' is not a number"),
        ("targets: {latency: 50}", "targets.latency: 50 has no unit: write a duration such as 30s"),
        ("targets: {latency: 0s}", "targets.latency: 0s is too small: it must be above 0"),
        ("profile: gold", "profile: 'gold' is not one of 'critical', 'normal' or 'best-effort'"),
        (
            "freeze: true, expires: 2026-12-01",
            "expires: '2026-12-01' has no time zone: write a time such as 2026-12-01T00:00:00Z",
        ),
        ("freeze: true, expires: 2026-13-01T00:00:00Z", "expires: '2026-13-01T00:00:00Z' is not a"),
        (
            "freeze: true, expires: 2h",
            "expires: '2h' is not a time: write a time such as 2026-12-0",
        ),
        ("freeze: true, expires: for 2d", "expires: 'd' in 2d is not a unit of time"),
        ("freeze: true, expires: for 0s", "expires: for 0s is not between nothing and ten years"),
        ("freeze: true, expires: for 99999h", "expires: for 99999h is not between nothing and ten"),
        ("freeze: true, expires: {}", "expires: {} is not a time"),
        (
            "freeze: true, expires: 9999-12-31T23:59:59-01:00",
            "expires: '9999-12-31T23:59:59-01:00' is not a time that UTC has",
        ),
        ("freeze: true, name: other", "key name is there twice, again on line 3"),
        ("pin: {gogc: 100, gogc: 200}", "key gogc is there twice, again on line 3"),
        ("freeze: true, [a]: b", "a list or mapping stands where a key belongs, on line 3"),
    ],
)
def test_a_bad_entry_is_refused_with_what_would_be_right(does: str, said: str) -> None:
    read = document(line(does))
    (refusal,) = read.refusals
    assert not read.entries
    assert not read.trouble
    assert refusal.message.startswith(f"line 3: {said}")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("freeze", "'freeze' stands where keys and values belong"),
        ("{}", "name: is missing; match: is missing; reason: is missing"),
        ("{name: a, match: {name: b}, reason: r, freeze: true}", "match.namespace: is missing"),
        (
            "{name: a, match: {namespace: b, name: B}, reason: r, freeze: true}",
            "match.name: 'B' fits no name in a cluster: use a-z, 0-9, '-', '.' and the wildcards",
        ),
        (
            "{name: a, match: {namespace: b, name: c, kind: Job}, reason: r, freeze: true}",
            "match.kind: 'Job' is not one of",
        ),
        (
            "{name: a b, match: {namespace: b, name: c}, reason: r, freeze: true}",
            "name: 'a b' is not a name: use up to 63 letters, digits",
        ),
        (
            "{name: [a], match: {namespace: b, name: c}, reason: r, freeze: true}",
            "name: ['a'] is not text",
        ),
        (
            "{name: a, match: {namespace: b, name: c}, reason: ' ', freeze: true}",
            "reason: is empty: say it in words",
        ),
        (
            '{name: a, match: {namespace: b, name: c}, reason: r, "fre\\neze": true}',
            "fre\\neze: unknown, did you mean freeze?",
        ),
    ],
)
def test_what_every_entry_needs_is_told_where_it_is_missing_or_wrong(item: str, said: str) -> None:
    (refusal,) = document(f"  - {item}\n").refusals
    assert refusal.message.startswith(f"line 3: {said}")


def test_many_mistakes_of_one_entry_are_told_three_at_a_time() -> None:
    (refusal,) = document(line("pin: {gogc: a, barrier: b}, bounds: 1, targets: 2")).refusals
    assert refusal.message.endswith("bounds: '1' stands where keys and values belong; and 1 more")


def test_a_message_has_a_length_that_an_event_can_hold() -> None:
    (refusal,) = document(line(", ".join(f"{'k' * 900}{each}: 1" for each in range(9)))).refusals
    assert len(refusal.message) < 700


@pytest.mark.parametrize(
    ("item", "name", "match"),
    [
        (line("pin: {gogc: x}"), "it", Match("shop", "checkout")),
        (line("freeze: true, name: other"), "#1", Match("shop", "checkout")),
        (line(name="a b"), "#1", Match("shop", "checkout")),
        (line(match="{namespace: shop}"), "it", None),
        (line(match="{namespace: shop, name: a, name: b}"), "it", None),
        (line("match: {namespace: a, name: b}"), "it", None),
        ("  - freeze\n", "#1", None),
        ("  - [name, it]\n", "#1", None),
    ],
)
def test_of_a_bad_entry_its_name_and_match_are_kept_where_they_are_readable(
    item: str, name: str, match: Match | None
) -> None:
    (refusal,) = document(item).refusals
    assert (refusal.name, refusal.match) == (name, match)


def test_the_later_of_two_good_entries_with_one_name_is_refused() -> None:
    read = document(line("pin: {gogc: 100}"), line("pin: {gogc: 200}"))
    assert [entry.pin_gogc for entry in read.entries] == [100]
    assert [str(refusal) for refusal in read.refusals] == [
        "it: an earlier entry has this name: choose another"
    ]


@pytest.mark.parametrize("empty", ["", "# later\n", "overrides:\n", "overrides: []\n", "{}"])
def test_a_text_that_says_nothing_is_good(empty: str) -> None:
    assert read_document(empty) == Document()


@pytest.mark.parametrize(("word", "paused"), [("true", True), ("false", False)])
def test_pausing_needs_no_entries(word: str, *, paused: bool) -> None:
    assert read_document(f"paused: {word}") == Document(paused=paused)


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ("overrides: [", "line 1: not valid YAML: "),
        ("\x00", "not valid YAML: "),
        ("[" * 9000, "not valid YAML: nested too deeply"),
        ("paused: true\n---\npaused: false", "line 2: not valid YAML: but found another document"),
        ("paused: true\npaused: false", "key paused is there twice, again on line 2"),
        ("overrides: [&a {}, *a]", "line 1: not valid YAML: an alias (*name) is not supported"),
        ("freeze", "'freeze' stands where keys and values belong"),
        ("- name: it", "[{'name': 'it'}] stands where keys and values belong"),
        ("pause: true", "pause: unknown, did you mean paused?"),
        ("paused: soon", "paused: 'soon' is neither true nor false"),
        ("paused: [true]", "paused: ['true'] is neither true nor false"),
        ("paused: ", "paused: '' is neither true nor false"),
        ("overrides: {name: it}", "overrides: {'name': 'it'} is not a list"),
        ("overrides: it", "overrides: 'it' is not a list"),
    ],
)
def test_what_concerns_the_whole_text_is_trouble(whole: str, said: str) -> None:
    read = read_document(whole)
    assert read.trouble.startswith(said)
    assert read == Document(trouble=read.trouble)


def test_an_entry_keeps_its_identity_through_comments_layout_and_place() -> None:
    block = """
overrides:
  - reason: why it
    # in other words
    freeze: true
    name: "it"
    match:
      name: checkout
      namespace: shop
"""
    moved = read_document(block).entries[0]
    assert moved.identity == document(line(name="a"), line()).entries[1].identity


@pytest.mark.parametrize(
    "other",
    [
        line("pin: {gogc: 200}, expires: for 3h"),
        line("pin: {gogc: 201}, expires: for 2h"),
        line("pin: {gogc: 200}, expires: for 2h", name="that"),
        line("pin: {gogc: 200}, expires: for 2h", match="{namespace: shop, name: '*'}"),
    ],
)
def test_an_entry_that_says_something_else_is_another(other: str) -> None:
    (one,) = document(line("pin: {gogc: 200}, expires: for 2h")).entries
    (another,) = document(other).entries
    assert one.identity != another.identity


def test_the_line_of_a_bad_entry_is_that_of_the_whole_text() -> None:
    whole = text(line(), line("freeze: 3", name="that"))
    (refusal,) = read_document(f"# first\n{whole}").refusals
    assert refusal.message.startswith("line 5: ")
