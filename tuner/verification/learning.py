"""What a finished trial teaches about its workload."""

import math

from tuner.model.record import Learned
from tuner.model.trial import Level


def learn(known: Learned, before: Level, after: Level) -> Learned:
    """Marking cost per live byte and cycle, from two settings at equal load.

    CPU per request outside GC is the same on both sides, so what the change took away was marking:
    ``c = (kappa_1 - kappa_2) / (m_1/R_1 - m_2/R_2)`` with ``m`` the bytes marked per second. Trials
    are pooled: each weighs as much as it took away, so a late and small step cannot overrule a
    large one.

    Returns:
        What is known now; unchanged where requests are not counted, less was not marked, or the
        figures contradict the law.
    """
    old, new = before.cpu_seconds_per_request, after.cpu_seconds_per_request
    if old is None or new is None or not before.requests_per_second:
        return known
    if not after.requests_per_second:
        return known
    marked_less = (
        before.marked_bytes_per_second / before.requests_per_second
        - after.marked_bytes_per_second / after.requests_per_second
    )
    spent_less = old.median - new.median
    if not (0 < marked_less < math.inf and 0 < spent_less < math.inf):
        return known
    if known.cost_seconds_per_byte is not None:
        spent_less += known.cost_seconds_per_byte * known.bytes_per_request
        marked_less += known.bytes_per_request
    return Learned(cost_seconds_per_byte=spent_less / marked_less, bytes_per_request=marked_less)
