from tuner.cluster.permissions import PERMISSIONS, Scope, election_permissions

ALL = (*PERMISSIONS, *election_permissions(["gc-tuner"]))


def test_nothing_is_asked_for_twice() -> None:
    wanted = [(each.group, each.resource, verb, each.scope) for each in ALL for verb in each.verbs]
    assert len(wanted) == len(set(wanted))


def test_a_dry_run_does_without_every_verb_that_writes_and_only_those() -> None:
    for each in ALL:
        assert each.writes is not (set(each.verbs) <= {"get", "list", "watch"}), each


def test_a_resource_is_called_as_kubectl_takes_it() -> None:
    names = {each.plural for each in ALL}
    assert {
        "pods",
        "leases.coordination.k8s.io",
        "deployments.apps",
        "gctunings.gc-tuner.io/status",
    } <= names


def test_what_is_written_is_tied_to_the_namespaces_that_are_looked_at_or_our_own() -> None:
    assert {each.scope for each in ALL} == set(Scope)
