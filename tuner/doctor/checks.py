"""What is found, judged: facts in, findings out."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tuner.cluster.collection import APPLY_DEFINITION
from tuner.cluster.permissions import Permission
from tuner.doctor.finding import Finding, Status
from tuner.guards.mode import concerns, mode_of
from tuner.model.decision import Hold
from tuner.model.policy import Policy
from tuner.model.reading import FleetReadings, Quantity
from tuner.model.reason import Reason
from tuner.model.workload import Mode, Workload, WorkloadKey
from tuner.overrides.book import Book
from tuner.signals import choose_container, derive

CLOCK_SECONDS = 60.0
"""How far Prometheus' clock may be from ours: figures are asked for as of our time."""
NAMED = 10
"""So many workloads are named in one line."""
YOUNG = frozenset({Reason.WARMING_UP})
"""Reasons for having no figures that pass by themselves."""


def clock(check: str, ahead_seconds: float | None) -> Finding:
    """Whether a clock agrees with ours.

    Args:
        check: Name of the check.
        ahead_seconds: How far it is ahead of ours; None: it told no time.
    """
    if ahead_seconds is None:
        return Finding(check, Status.WARNING, "it told no time", "ask a Prometheus that has time()")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    found = f"{abs(ahead_seconds):.0f} s {side} ours"
    if abs(ahead_seconds) <= CLOCK_SECONDS:
        return Finding(check, Status.OK, found)
    return Finding(
        check,
        Status.FAILED,
        found,
        f"set both clocks by NTP: over {CLOCK_SECONDS:g} s apart, its samples look old or missing",
    )


def records(unkept: Sequence[str]) -> Finding:
    """Whether the resource definition keeps all of a record.

    Args:
        unkept: What it does not know, as dotted paths.
    """
    check = "records"
    if not unkept:
        return Finding(check, Status.OK, "the resource GCTuning keeps all that a record holds")
    return Finding(
        check,
        Status.FAILED,
        f"the resource GCTuning does not know {_some(unkept)}",
        f"it is of another version: {APPLY_DEFINITION}",
    )


def permission(
    wanted: Permission, places: Sequence[str | None], denied: Collection[tuple[str, str | None]]
) -> Finding:
    """Whether something is permitted.

    Args:
        wanted: What.
        places: The namespaces that it was asked for in; None: all of them.
        denied: Verbs and namespaces that were refused.
    """
    check = f"may {wanted}"
    if not denied:
        return Finding(check, Status.OK, f"{_place(places)}, for {wanted.purpose}")
    verbs = [each for each in wanted.verbs if any(each == verb for verb, _ in denied)]
    where = [each for each in places if any(each == place for _, place in denied)]
    found = f"may not {', '.join(verbs)} {_place(where)}, for {wanted.purpose}"
    if wanted.optional:
        return Finding(
            check, Status.WARNING, found, "gc-tuner goes on as if there were none: grant it"
        )
    role = "the ClusterRole" if where == [None] else "a Role"
    dry = "; a dry run can do without" if wanted.writes else ""
    return Finding(check, Status.FAILED, found, f"grant it in {role} of gc-tuner's account{dry}")


def overrides(where: str, book: Book) -> Finding:
    """Whether the overrides can be read.

    Args:
        where: Name of their ConfigMap, for people.
        book: What they say.
    """
    check = "overrides"
    if book.trouble:
        right = "until it can be read, every workload is held: see docs/operations/overrides.md"
        words = book.trouble if where in book.trouble else f"{where}: {book.trouble}"
        return Finding(check, Status.FAILED, words, right)
    if book.refusals:
        many = len(book.refusals)
        number = "1 entry is" if many == 1 else f"{many} entries are"
        words = "; ".join(map(str, book.refusals[:NAMED]))
        return Finding(
            check,
            Status.FAILED,
            f"{where}: {number} refused: {words}",
            "correct them: what they may be about is held",
        )
    if book.paused:
        return Finding(
            check,
            Status.WARNING,
            f"{where} says paused: true, so nothing is written anywhere",
            "set it to false to let gc-tuner go on",
        )
    entries = len(book.entries)
    return Finding(check, Status.OK, f"{where}: {f'{entries} in force' if entries else 'none'}")


def metrics(
    workloads: Iterable[Workload], figures: FleetReadings, policy: Policy, at: float
) -> Iterator[Finding]:
    """Whether the figures that are needed are there, and what is missing for which workloads.

    Args:
        workloads: Those that gc-tuner is concerned with, and may be.
        figures: What Prometheus has.
        policy: The operator's policy.
        at: When the figures were read.
    """
    check, good = "metrics", 0
    missing: defaultdict[Reason | str, list[tuple[WorkloadKey, Hold]]] = defaultdict(list)
    for each in workloads:
        hold = _trouble(each, figures.get(each.key, {}), policy, at)
        if hold is None:
            good += 1
        elif hold.reason not in YOUNG:
            # Of missing ones it matters which; of old ones, not by how many seconds.
            kind = hold.detail if hold.reason is Reason.NO_DATA else hold.reason
            missing[kind].append((each.key, hold))
    if not figures:
        yield Finding(
            check,
            Status.FAILED if missing else Status.WARNING,
            "Prometheus has no Go metrics of any workload",
            "let it scrape the services, with the labels namespace, pod and container; where "
            "they have other names, set prometheus.metrics",
        )
        return
    yield Finding(check, Status.OK, f"what is needed is there for {_workloads(good)}")
    for found in missing.values():
        hold = found[0][1]
        names = _some([f"{key.namespace}/{key.name}" for key, _ in found])
        yield Finding(
            check,
            Status.WARNING,
            f"{hold.detail}: {names}",
            f"they are held: docs/operations/reasons.md, {hold.reason}",
        )


def _trouble(
    workload: Workload,
    containers: Mapping[str, Mapping[Quantity, float]],
    policy: Policy,
    at: float,
) -> Hold | None:
    """Why a workload's figures cannot be used; None where they can."""
    chosen = choose_container(workload, containers)
    if isinstance(chosen, Hold):
        return chosen
    found = derive(at, *chosen, timing=policy.timing, law=policy.law)
    return found if isinstance(found, Hold) else None


def concerned(
    fleet: Mapping[WorkloadKey, Workload],
    recorded: Collection[WorkloadKey],
    figures: FleetReadings,
    policy: Policy,
) -> list[Workload]:
    """The workloads that gc-tuner decides on and that run, sorted by name."""
    return [
        fleet[key]
        for key in sorted(fleet)
        if concerns(fleet[key], policy, recorded=key in recorded, known=key in figures)
        and mode_of(fleet[key], policy) is not Mode.OFF
        and fleet[key].replicas > 0
    ]


def modes(
    fleet: Mapping[WorkloadKey, Workload],
    recorded: Collection[WorkloadKey],
    figures: FleetReadings,
    policy: Policy,
) -> Finding:
    """How many Go workloads there are, by mode."""
    check = "workloads"
    seen = [
        each
        for key, each in fleet.items()
        if key in figures or concerns(each, policy, recorded=key in recorded, known=False)
    ]
    if not seen:
        return Finding(
            check,
            Status.WARNING,
            "no Go workloads: none is scraped by Prometheus, labelled or on record",
            "label one: kubectl label deployment NAME gc-tuner.io/mode=recommend",
        )
    found = [mode_of(each, policy) for each in seen]
    counts = Counter(each for each in found if isinstance(each, Mode))
    words = ", ".join(f"{counts[mode]} {mode}" for mode in Mode if counts[mode])
    bad = [
        f"{each.key.namespace}/{each.key.name}"
        for each, mode in zip(seen, found, strict=True)
        if isinstance(mode, Hold)
    ]
    if not bad:
        return Finding(check, Status.OK, f"{_workloads(len(seen))}: {words}")
    words = ", ".join(filter(None, [words, f"{len(bad)} with a label that is no mode"]))
    return Finding(
        check,
        Status.WARNING,
        f"{_workloads(len(seen))}: {words}: {_some(sorted(bad))}",
        f"label gc-tuner.io/mode: use one of {', '.join(Mode)}",
    )


def _workloads(number: int) -> str:
    return "1 workload" if number == 1 else f"{number} workloads"


def _some(names: Sequence[str]) -> str:
    """At most so many names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _place(places: Sequence[str | None]) -> str:
    if None in places:
        return "in all namespaces"
    return f"in {_some([each for each in places if each is not None])}"
