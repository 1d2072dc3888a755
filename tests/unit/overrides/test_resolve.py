from dataclasses import replace

import pytest

from tests.examples import NOW
from tests.unit.overrides.texts import CHECKOUT, book, line
from tuner.model.override import NONE, Override, Resolved
from tuner.model.workload import Kind, WorkloadKey
from tuner.overrides.book import Book, Document
from tuner.overrides.resolve import resolve

MIB = 1 << 20
ELSEWHERE = WorkloadKey("web", Kind.DEPLOYMENT, "front")
IT = Override(entries=("it",), reason="why it")
FROZEN = replace(IT, frozen=True, frozen_by="it: why it")
BOTH = Override(entries=("it", "that"), reason="why it; why that")
FROZEN_BOTH = replace(BOTH, frozen=True, frozen_by="it, that: why it; why that")


def override(of: Book, key: WorkloadKey = CHECKOUT, now: float = NOW) -> Override:
    return resolve(of, key, now, {}).override


@pytest.mark.parametrize("of", [Book(), book(), book(top="paused: false")])
def test_nothing_laid_down_is_no_override(of: Book) -> None:
    assert resolve(of, CHECKOUT, NOW, {}) == Resolved(NONE, {})


@pytest.mark.parametrize(
    ("does", "meant"),
    [
        ("freeze: true", FROZEN),
        (
            "pin: {gogc: 200, memoryLimit: 700MiB, barrier: 300, immediate: true}",
            replace(
                IT,
                pin_gogc=200,
                pin_memory_limit_bytes=700 * MIB,
                pin_barrier=300,
                immediate=True,
            ),
        ),
        (
            "bounds: {gogc: {lowest: 80, highest: 400}, memoryLimit: {lowest: 1Mi, highest: 2Mi}}",
            replace(
                IT,
                gogc_lowest=80,
                gogc_highest=400,
                memory_limit_lowest_bytes=MIB,
                memory_limit_highest_bytes=2 * MIB,
            ),
        ),
        (
            "targets: {gcShare: 0.03, latency: 50ms}",
            replace(IT, gc_share_target=0.03, latency_target_seconds=0.05),
        ),
        ("profile: critical", replace(IT, profile="critical")),
        ("freeze: true, expires: 2100-01-01T00:00:00Z",
         replace(FROZEN, expires_at=4_102_444_800)),
        ("freeze: true, expires: for 2h", replace(FROZEN, expires_at=NOW + 7200)),
        ("profile: critical, expires: for 2h", replace(IT, profile="critical")),
    ],
)  # fmt: skip
def test_what_an_entry_says_applies_to_what_it_matches_and_to_nothing_else(
    does: str, meant: Override
) -> None:
    assert override(book(line(does))) == meant
    assert override(book(line(does)), ELSEWHERE) == NONE


@pytest.mark.parametrize(
    ("match", "covers"),
    [
        ("{namespace: shop, name: checkout}", True),
        ("{namespace: '*', name: '*'}", True),
        ("{namespace: 'sh?p', name: '[a-c]heckout', kind: Deployment}", True),
        ("{namespace: shop, name: check}", False),
        ("{namespace: 'shop-*', name: '*'}", False),
        ("{namespace: shop, name: '[!a-c]*'}", False),
    ],
)
def test_names_are_matched_by_globs(match: str, *, covers: bool) -> None:
    assert override(book(line(match=match))).frozen is covers


@pytest.mark.parametrize(
    ("first", "second", "meant"),
    [
        ("pin: {gogc: 200}", "pin: {gogc: 300}", replace(BOTH, pin_gogc=300)),
        (
            "pin: {gogc: 200}",
            "pin: {barrier: 30}",
            replace(BOTH, pin_gogc=200, pin_barrier=30),
        ),
        ("freeze: true", "freeze: false, profile: normal",
         replace(FROZEN_BOTH, frozen_by="it: why it", profile="normal")),
        ("freeze: true", "pin: {gogc: 300}",
         replace(FROZEN_BOTH, frozen_by="it: why it", pin_gogc=300)),
        ("pin: {gogc: 200}", "bounds: {gogc: {highest: 100}}", replace(BOTH, pin_gogc=200)),
        ("bounds: {memoryLimit: {highest: 1Mi}}", "pin: {memoryLimit: 2Mi}",
         replace(BOTH, pin_memory_limit_bytes=2 * MIB)),
        ("pin: {barrier: 5}", "bounds: {gogc: {highest: 100}}",
         replace(BOTH, pin_barrier=5, gogc_highest=100)),
        ("bounds: {gogc: {highest: 100}}", "bounds: {gogc: {lowest: 200}}",
         replace(BOTH, gogc_lowest=200)),
        ("bounds: {gogc: {highest: 100}}", "bounds: {memoryLimit: {lowest: 1Mi}}",
         replace(BOTH, gogc_highest=100, memory_limit_lowest_bytes=MIB)),
        ("targets: {gcShare: .02}", "targets: {gcShare: .05}",
         replace(BOTH, gc_share_target=0.05)),
        ("targets: {gcShare: .02}", "targets: {latency: 1s}",
         replace(BOTH, gc_share_target=0.02, latency_target_seconds=1)),
        ("profile: critical", "profile: normal", replace(BOTH, profile="normal")),
        ("pin: {gogc: 200, immediate: true}", "pin: {gogc: 300}", replace(BOTH, pin_gogc=300)),
        ("pin: {gogc: 200, immediate: true}", "pin: {barrier: 9}",
         replace(BOTH, pin_gogc=200, pin_barrier=9, immediate=True)),
        ("pin: {gogc: 200}", "pin: {gogc: 300, immediate: true}",
         replace(BOTH, pin_gogc=300, immediate=True)),
        ("freeze: true, expires: for 3h", "freeze: true, expires: for 2h",
         replace(FROZEN_BOTH, expires_at=NOW + 10_800)),
        ("freeze: true, expires: for 3h", "freeze: true", FROZEN_BOTH),
        ("freeze: true", "profile: normal, expires: for 10m",
         replace(FROZEN_BOTH, frozen_by="it: why it", profile="normal")),
    ],
)  # fmt: skip
def test_of_two_entries_the_later_wins_matter_by_matter(
    first: str, second: str, meant: Override
) -> None:
    assert override(book(line(first), line(second, name="that"))) == meant


def test_a_pause_is_for_every_workload_and_hides_nothing_else() -> None:
    paused = book(line("pin: {gogc: 200}"), top="paused: true")
    assert override(paused) == replace(IT, pin_gogc=200, paused=True)
    assert override(paused, ELSEWHERE) == Override(paused=True)


@pytest.mark.parametrize(
    ("now", "frozen"), [(59.0, True), (59.999, True), (60.0, False), (61.0, False)]
)
def test_an_entry_ends_at_its_time_to_the_second(now: float, *, frozen: bool) -> None:
    of = book(line("freeze: true, expires: 1970-01-01T00:01:00Z"))
    assert override(of, now=now).frozen is frozen
    assert override(of, now=now).expires_at == (60 if frozen else None)


def test_an_entry_that_has_ended_leaves_the_matter_to_the_others() -> None:
    of = book(
        line("profile: normal"),
        line("profile: critical, expires: 1970-01-01T00:01:00Z", name="that"),
    )
    assert override(of, now=59).profile == "critical"
    assert override(of, now=60) == replace(IT, profile="normal")


FOR_AN_HOUR = book(line("freeze: true, expires: for 1h"))


def test_for_a_while_counts_from_first_sight_and_does_not_start_again_after_its_end() -> None:
    first_seen = resolve(FOR_AN_HOUR, CHECKOUT, NOW, {}).first_seen
    assert list(first_seen.values()) == [NOW]
    for late, frozen in [(0, True), (3599, True), (3600, False), (9999, False)]:
        later = resolve(FOR_AN_HOUR, CHECKOUT, NOW + late, first_seen)
        assert later.override.frozen is frozen
        assert later.first_seen == first_seen


def test_first_sight_is_remembered_for_touched_workloads_and_entries_that_need_it_only() -> None:
    assert not resolve(FOR_AN_HOUR, ELSEWHERE, NOW, {}).first_seen
    assert not resolve(book(line()), CHECKOUT, NOW, {}).first_seen


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(book(line("profile: normal, expires: for 1h")), id="changed"),
        pytest.param(book(), id="taken out"),
        pytest.param(Book(), id="the whole text gone"),
    ],
)
def test_a_changed_or_added_again_entry_counts_anew(between: Book) -> None:
    first_seen = resolve(FOR_AN_HOUR, CHECKOUT, NOW, {}).first_seen
    first_seen = resolve(between, CHECKOUT, NOW + 60, first_seen).first_seen
    again = resolve(FOR_AN_HOUR, CHECKOUT, NOW + 120, first_seen)
    assert again.override.expires_at == NOW + 120 + 3600


@pytest.mark.parametrize(
    "unreadable",
    [
        pytest.param(Book().after(Document(trouble="not valid YAML")), id="text"),
        pytest.param(book(line("freeze: 3, expires: for 1h")), id="entry"),
    ],
)
def test_first_sight_outlives_a_restart_in_the_middle_of_a_mistake(unreadable: Book) -> None:
    first_seen = resolve(FOR_AN_HOUR, CHECKOUT, NOW, {}).first_seen
    first_seen = resolve(unreadable, CHECKOUT, NOW + 60, first_seen).first_seen
    again = resolve(FOR_AN_HOUR, CHECKOUT, NOW + 120, first_seen)
    assert again.override.expires_at == NOW + 3600


BAD = line("freeze: 3", name="bad")


def test_a_bad_entry_never_seen_good_holds_what_it_matches_and_nothing_else() -> None:
    of = book(BAD)
    assert override(of).invalid == "bad: line 3: freeze: '3' is neither true nor false"
    assert override(of, ELSEWHERE) == NONE


def test_a_bad_entry_whose_match_cannot_be_read_holds_every_workload() -> None:
    of = book(line(name="bad", match="{name: checkout}"))
    assert override(of, ELSEWHERE).invalid == "bad: line 3: match.namespace: is missing"


def test_several_bad_entries_are_counted() -> None:
    of = book(BAD, line("pin: 3", name="worse"))
    assert override(of).invalid.endswith("neither true nor false; and 1 more")


def test_a_text_that_was_never_usable_holds_every_workload() -> None:
    of = Book().after(Document(trouble="line 1: not valid YAML"))
    assert override(of, ELSEWHERE) == Override(invalid="line 1: not valid YAML")


def test_a_last_good_version_applies_and_holds_nothing() -> None:
    of = book(line("freeze: 3"), last=book(line("pin: {gogc: 200}")))
    assert override(of) == replace(IT, pin_gogc=200)
    assert override(of.after(Document(trouble="not valid YAML"))) == replace(IT, pin_gogc=200)
