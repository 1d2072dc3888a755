"""Doctor: whether gc-tuner has what it needs, checked without writing anything.

``checks`` judges what was found, without I/O; ``examination`` asks, one step after another.
"""

from tuner.doctor.examination import Examination, Step, Subject, View
from tuner.doctor.finding import Finding, Status, Verdict, verdict

__all__ = ["Examination", "Finding", "Status", "Step", "Subject", "Verdict", "View", "verdict"]
