"""A release brings back what stood there first, whatever gc-tuner did since."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import NOW, container, policy, record, trial, workload
from tuner.model.override import NONE
from tuner.model.record import Record, applied
from tuner.model.trial import Change, Phase, Setting
from tuner.model.workload import GOGC, GOMEMLIMIT, EnvEntry, LiveChannel, Workload
from tuner.release.plan import Plan, Terms, plan
from tuner.verification import patched

VALUES: Mapping[str, st.SearchStrategy[str | None]] = {
    GOGC: st.none() | st.sampled_from(["50", "100", "200", "off"]),
    GOMEMLIMIT: st.none() | st.sampled_from(["1GiB", "700MiB", "900MiB"]),
}
Env = dict[str, str | None]
ENVS = st.fixed_dictionaries(dict(VALUES))
CHANGES = st.lists(st.fixed_dictionaries({}, optional=dict(VALUES)), max_size=8)
TERMS = Terms(policy(), stopped=True)


def cart(env: Env, *, ours: Collection[str], live: bool) -> Workload:
    entries = {
        name: EnvEntry(text, owners=("gc-tuner",) if name in ours else ())
        for name, text in env.items()
        if text is not None
    }
    channel = LiveChannel("cart-gc", "7") if live else None
    return workload(containers=(container(env=entries),), live=channel)


def written(env: Env, wishes: Sequence[Env], last_known: bool) -> tuple[Env, Record]:
    """Settings and record after changes by the loop.

    Args:
        env: As it was found.
        wishes: What each change sets.
        last_known: Whether gc-tuner lived to put on record that the last was written.
    """
    env, of = dict(env), record()
    for number, wish in enumerate(wishes):
        moves = tuple(Setting(name, env[name], text) for name, text in wish.items())
        if not moves:
            continue
        planned = trial(change=Change("app", moves), phase=Phase.PLANNED)
        of = msgspec.structs.replace(of, trial=planned)
        env |= wish
        if last_known or number < len(wishes) - 1:
            of = patched(of, planned, NOW)
    return env, of


def touched_by(wishes: Sequence[Env]) -> Collection[str]:
    """What has been written in gc-tuner's name, also where it is again what it was."""
    return {name for wish in wishes for name in wish}


def after(env: Env, change: Change | None) -> Env:
    moves = () if change is None else change.settings
    assert all(env[move.name] == move.before for move in moves)
    return env | {move.name: move.after for move in moves}


@given(ENVS, CHANGES, st.booleans(), st.booleans())
def test_whatever_was_changed_the_first_entries_come_back(
    first: Env, wishes: list[Env], last_known: bool, live: bool
) -> None:
    env, of = written(first, wishes, last_known)
    touched = touched_by(wishes)
    found = plan(cart(env, ours=touched, live=live), of, NONE, TERMS, NOW)
    assert isinstance(found, Plan)
    assert after(env, found.change) == first
    assert found.left == ()
    if found.record is not None:
        assert (found.record.applied, found.record.trial) == (None, None)
        again = cart(first, ours=touched, live=live)
        assert plan(again, found.record, NONE, TERMS, NOW) == Plan(again, None, (), None)


@given(ENVS, CHANGES, ENVS)
def test_what_others_have_set_since_is_never_written(
    first: Env, wishes: list[Env], theirs: Env
) -> None:
    env, of = written(first, wishes, last_known=True)
    taken = cart(theirs, ours=(), live=False)
    entries = {
        name: replace(entry, owners=("helm",)) for name, entry in taken.containers[0].env.items()
    }
    subject = replace(taken, containers=(container(env=entries),))
    found = plan(subject, of, NONE, TERMS, NOW)
    assert isinstance(found, Plan)
    for move in () if found.change is None else found.change.settings:
        assert theirs[move.name] is None  # nobody's, and as gc-tuner left it
        assert env[move.name] is None
        assert move.after == first[move.name]


@given(ENVS, CHANGES)
def test_a_release_on_record_as_a_change_leaves_nothing_applied(
    first: Env, wishes: list[Env]
) -> None:
    env, of = written(first, wishes, last_known=True)
    found = plan(cart(env, ours=touched_by(wishes), live=False), of, NONE, TERMS, NOW)
    assert isinstance(found, Plan)
    if found.change is not None:
        assert applied(of.applied, found.change, NOW) is None
