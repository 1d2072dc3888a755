"""Many mirrors may read their first objects at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each in a process of its own: only the first meeting with a type is critical. That two threads
# take turns in the midst of it is rare unless they take turns all the time.
FIRST_MEETING = """
import sys
import threading

from tuner.cluster.client import Request, decoded, refusal
from tuner.cluster.records import record_of
from tuner.cluster import reflector, workload
from tuner.model.workload import Kind
from tuner.prometheus import session

sys.setswitchinterval(1e-6)
start = threading.Barrier(8)
asked = Request(verb="list", what="deployments", path="/apis/apps/v1/deployments")
metadata = b'{"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1"}'
template = b'{"spec": {"containers": [{"name": "app", "env": [{"name": "GOGC", "value": "1"}]}]}}'
deployment = b'{"metadata": %s, "spec": {"selector": {}, "template": %s}}' % (metadata, template)
series = b'{"metric": {"a": "b"}, "value": [1, "2"]}'
vector = b'{"status": "success", "data": {"resultType": "vector", "result": [%s]}}' % series


def read():
    start.wait()
    decoded(asked, b'{"metadata": {"resourceVersion": "1"}, "items": []}', reflector._PAGE)
    decoded(asked, b'{"type": "ADDED", "object": {}}', reflector._EVENT)
    refusal(asked, 500, b'{"message": "no"}')
    workload.read_workload(Kind.DEPLOYMENT, deployment)
    list(session._vector(vector).series())
    try:
        record_of({"mode": "auto"})
    except ValueError:
        pass


threads = [threading.Thread(target=read) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
"""


@pytest.mark.parametrize("attempt", range(5))
def test_threads_that_read_the_first_of_a_kind_together_live(attempt: int) -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", FIRST_MEETING], capture_output=True, text=True, check=False
    )
    assert (attempt, done.returncode, done.stderr) == (attempt, 0, "")
