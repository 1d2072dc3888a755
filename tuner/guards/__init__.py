"""Guards: each looks at a proposal and lets it pass, brings it closer to today, or refuses it.

A guard is a pure function in a file of its own. The chain asks them in the order in which
``chain.py`` lists them, and the first refusal is the decision.
"""

from tuner.guards.chain import decide, limit_left
from tuner.guards.freshness import objection_to
from tuner.guards.mode import mode_of

__all__ = ["decide", "limit_left", "mode_of", "objection_to"]
