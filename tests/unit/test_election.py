from dataclasses import replace

import pytest

from tuner.election import (
    Candidacy,
    Claim,
    Durations,
    Lease,
    Look,
    Wait,
    claimed,
    failed,
    looked,
    next_action,
    outdated,
)

DURATIONS = Durations(lease=15.0, renew_deadline=10.0, retry=2.0)
NOBODY = Candidacy("me", DURATIONS)
OTHERS = Lease("uid", "1", "other", 15.0)
FREE = Lease("uid", "2", "", 1.0, released=True)
MINE = Lease("uid", "3", "me", 15.0)


def seen(lease: Lease | None, at: float, before: Candidacy = NOBODY) -> Candidacy:
    return looked(before, lease, asked_at=at, now=at, jitter=0.0)


def waits_until(candidacy: Candidacy, now: float) -> float:
    action = next_action(candidacy, now)
    assert isinstance(action, Wait)
    return action.until


def leader(at: float = 100.0) -> Candidacy:
    """Since it took over a Lease that was given up."""
    return claimed(seen(FREE, at - 1), MINE, asked_at=at, now=at + 0.5)


def test_first_of_all_the_lease_is_looked_at() -> None:
    assert next_action(NOBODY, 0.0) == Look()


def test_whoever_sees_another_leader_looks_again_every_now_and_then() -> None:
    standby = seen(OTHERS, 100.0)
    assert next_action(standby, 100.5) == Wait(102.0)
    assert next_action(standby, 102.0) == Look()


def test_jitter_makes_looks_come_earlier_never_later() -> None:
    standby = looked(NOBODY, OTHERS, asked_at=100.0, now=100.1, jitter=1.0)
    assert waits_until(standby, 100.5) == pytest.approx(101.6)


def test_a_killed_leader_is_replaced_within_17_seconds_of_its_last_renewal() -> None:
    # Renewed just after the look before: the latest that it can be noticed.
    standby, renewed_at = seen(OTHERS, 100.0), 100.01
    renewal = replace(OTHERS, version="9")
    standby = seen(renewal, 102.0, standby)
    now = 102.0
    while not isinstance(action := next_action(standby, now), Claim):
        if isinstance(action, Wait):
            now = action.until
        else:
            standby = seen(renewal, now, standby)
    assert action.over == renewal
    assert now == 102.0 + 15.0
    assert now - renewed_at < 17.0


def test_a_lease_is_waited_for_as_long_as_its_holder_asks() -> None:
    standby = seen(replace(OTHERS, duration_seconds=60.0), 100.0)
    assert next_action(replace(standby, due=200.0), 150.0) == Wait(160.0)


def test_a_lease_that_was_given_up_is_claimed_at_once_and_then_written_under() -> None:
    standby = seen(FREE, 100.0)
    assert next_action(standby, 100.0) == Claim(FREE)
    assert claimed(standby, MINE, asked_at=100.0, now=100.2).may_write(100.2)


def test_hesitation_lets_others_come_first() -> None:
    standby = seen(FREE, 100.0)
    assert next_action(standby, 101.0, hesitation=4.0) == Wait(102.0)
    assert next_action(standby, 102.0, hesitation=4.0) == Look()
    assert next_action(standby, 104.0, hesitation=4.0) == Claim(FREE)


def test_the_fence_counts_from_the_start_of_the_renewal() -> None:
    assert leader(100.0).may_write(109.9)
    assert not leader(100.0).may_write(110.0)


def test_the_lease_is_renewed_every_now_and_then() -> None:
    assert next_action(leader(100.0), 101.0) == Wait(102.0)
    assert next_action(leader(100.0), 102.0) == Claim(MINE)


def test_a_renewal_without_an_answer_is_tried_again_and_extends_nothing() -> None:
    after = failed(leader(100.0), asked_at=102.0)
    assert next_action(after, 103.0) == Wait(104.0)
    assert next_action(after, 104.0) == Claim(MINE)
    assert not after.may_write(110.0)


def test_a_renewal_whose_answer_was_lost_is_found_and_made_again() -> None:
    after = outdated(failed(leader(100.0), asked_at=102.0), now=104.1)
    assert next_action(after, 104.1) == Look()
    mine = replace(MINE, version="4")
    after = seen(mine, 104.2, after)
    assert next_action(after, 104.2) == Claim(mine)
    assert after.may_write(109.9)
    assert not after.may_write(110.0)


def test_whoever_finds_another_holder_stops_at_once() -> None:
    after = seen(replace(OTHERS, version="4"), 103.0, leader(100.0))
    assert not after.may_write(103.0)


def test_whoever_finds_the_lease_gone_stops_at_once_and_makes_a_new_one() -> None:
    after = seen(None, 103.0, leader(100.0))
    assert not after.may_write(103.0)
    assert next_action(after, 103.0) == Claim(None)


@pytest.mark.parametrize("lost", [True, False])
def test_whoever_makes_the_lease_writes_nothing_for_a_whole_lease_duration(lost: bool) -> None:
    candidate, made = seen(None, 100.0), replace(MINE, uid="new")
    if lost:  # the answer to it
        candidate = seen(made, 104.0, outdated(failed(candidate, asked_at=100.0), now=103.0))
    candidate = claimed(candidate, made, asked_at=104.0, now=104.0)
    for at in (110.0, 118.0):
        assert not candidate.may_write(at)
        candidate = claimed(candidate, made, asked_at=at, now=at)
    assert not candidate.may_write(118.9)
    assert candidate.may_write(119.0)


def test_a_renewal_that_made_the_lease_anew_is_no_renewal() -> None:
    after = claimed(leader(100.0), replace(MINE, uid="new"), asked_at=102.0, now=102.1)
    assert not after.may_write(102.1)
    assert not after.may_write(111.0)


def test_only_a_lease_that_may_be_written_under_is_given_up() -> None:
    # Whoever finds it given up writes at once; the leader of a deleted one may still write.
    made = claimed(seen(None, 100.0), MINE, asked_at=100.0, now=100.0)
    assert not made.may_release(114.9)
    assert made.may_release(115.0)
    assert leader(100.0).may_release(101.0)
    assert not seen(OTHERS, 100.0).may_release(100.0)


def test_a_conflict_that_nobody_can_explain_is_not_asked_about_without_end() -> None:
    standby = seen(FREE, 100.0)
    after = seen(FREE, 100.2, outdated(standby, now=100.1))
    assert waits_until(after, 100.2) == pytest.approx(102.2)
    assert next_action(after, 102.2) == Claim(FREE)


def test_another_leader_is_known_to_live_once_it_renews() -> None:
    standby = seen(OTHERS, 100.0)
    assert not standby.rival_alive
    assert seen(replace(OTHERS, version="8"), 102.0, standby).rival_alive
    assert not seen(FREE, 102.0, standby).rival_alive
