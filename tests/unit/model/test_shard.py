from hypothesis import given
from hypothesis import strategies as st

from tuner.model.shard import shard_of, share_of


@given(st.text(), st.integers(1, 50))
def test_every_namespace_has_a_shard(namespace: str, shards: int) -> None:
    assert 0 <= shard_of(namespace, shards) < shards


def test_replicas_of_any_version_agree_on_the_shard() -> None:
    names = ("shop", "search", "kube-system", "team-a")
    assert [shard_of(each, 5) for each in names] == [1, 1, 0, 1]


@given(st.integers(1, 1000), st.integers(1, 50))
def test_shares_add_up_to_the_limit(limit: int, shards: int) -> None:
    shares = [share_of(limit, shard, shards) for shard in range(shards)]
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1
