"""Shards: parts of the fleet, by namespace, each led by one replica."""

import zlib


def shard_of(namespace: str, shards: int) -> int:
    """Number of the shard that a namespace belongs to, from 0: the same in every replica.

    Args:
        namespace: Its name.
        shards: How many there are.
    """
    return zlib.crc32(namespace.encode()) % shards


def share_of(limit: int, shard: int, shards: int) -> int:
    """What a shard may have of a limit for the whole fleet; over all shards, exactly the limit.

    Args:
        limit: Of the fleet.
        shard: Number of the shard, from 0.
        shards: How many there are.
    """
    each, left = divmod(limit, shards)
    return each + (1 if shard < left else 0)
