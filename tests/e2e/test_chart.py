"""The chart, as Helm renders it and as it lives on the real API server."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.helm import CHART, RELEASE, REQUIRED, HelmError
from tuner.cluster.permissions import PERMISSIONS, Scope
from tuner.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.helm import Helm

RBAC = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
POLICIES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
ALWAYS = {
    *("ServiceAccount", "ConfigMap", "Deployment", "Service", "Pod"),
    *RBAC,
    *POLICIES,
}
OVERRIDES = ("configmap", "gc-tuner-overrides", "--namespace")

EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "podDisruptionBudget": {"enabled": True},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "30s"},
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True, "alertLabels": {"team": "platform"}},
    "grafanaDashboard": {"enabled": True},
}


def kinds(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    return {each["kind"] for each in objects}


def only(objects: Iterable[Mapping[str, Any]], kind: str, name: str | None = None) -> Any:  # noqa: ANN401 - JSON of any shape
    """The one object of a kind, and of a name where there are several."""
    (found,) = (
        each
        for each in objects
        if each["kind"] == kind and name in {None, each["metadata"]["name"]}
    )
    return found


def rules(objects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rules of all roles, by namespace (empty: the cluster) and name."""
    return {
        (each["metadata"].get("namespace", ""), each["metadata"]["name"]): each["rules"]
        for each in objects
        if each["kind"] in {"Role", "ClusterRole"}
    }


def granted(rules: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """Rules as API group, resource and verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


NEEDED = {
    (each.group, each.resource, verb)
    for each in PERMISSIONS
    if each.scope is Scope.WATCHED
    for verb in each.verbs
}


def test_it_passes_lint(helm: Helm) -> None:
    helm.run("lint", "--strict", str(CHART))
    helm.run("lint", "--strict", str(CHART), values={**REQUIRED, **EVERYTHING})


def test_what_there_is_by_default_and_no_more(helm: Helm) -> None:
    assert kinds(helm.render()) == ALWAYS


def test_everything_can_be_had(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    assert kinds(objects) == ALWAYS | {
        *("PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "PodMonitor"),
        "PrometheusRule",
    }
    metadata = only(objects, "ConfigMap", "gc-tuner-dashboard")["metadata"]
    assert metadata["labels"]["grafana_dashboard"] == "1"
    monitor = only(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "honorLabels": True, "interval": "30s"}
    policy = only(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def test_everything_can_be_left_out(helm: Helm) -> None:
    nothing = {
        name: {"enabled": False} for name in ("service", "admissionPolicy", "grafanaDashboard")
    }
    made = {"rbac": {"create": False}, "overrides": {"create": False}}
    account = {"serviceAccount": {"create": False, "name": "theirs"}}
    objects = helm.render({**nothing, **made, **account})
    assert kinds(objects) == {"ConfigMap", "Deployment", "Pod"}
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "theirs"


def test_every_object_is_in_the_namespace_of_the_release_and_carries_its_labels(
    helm: Helm,
) -> None:
    objects = helm.render({**EVERYTHING, "commonLabels": {"team": "platform"}}, namespace="tuning")
    for each in objects:
        metadata = each["metadata"]
        cluster_wide = each["kind"] in {"ClusterRole", "ClusterRoleBinding", *POLICIES}
        assert metadata.get("namespace") == (None if cluster_wide else "tuning"), each["kind"]
        assert metadata["labels"]["team"] == "platform"
        assert metadata["labels"]["app.kubernetes.io/instance"] == RELEASE


def test_the_service_takes_the_pods_and_not_the_test(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    selector = only(objects, "Service")["spec"]["selector"].items()
    template = only(objects, "Deployment")["spec"]["template"]
    assert selector <= template["metadata"]["labels"].items()
    assert not selector <= only(objects, "Pod")["metadata"]["labels"].items()


def image(objects: list[dict[str, Any]]) -> str:
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_a_digest_wins_over_a_tag_and_a_tag_over_the_version(helm: Helm) -> None:
    repository = "registry.example.com/gc-tuner"
    digest = f"sha256:{'0' * 64}"
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert image(helm.render()) == f"{repository}:{version}"
    assert image(helm.render({"image": {"repository": repository, "tag": "x"}})) == (
        f"{repository}:x"
    )
    both = {"image": {"repository": repository, "tag": "x", "digest": digest}}
    assert image(helm.render(both)) == f"{repository}@{digest}"


def test_the_pod_takes_what_is_given(helm: Helm) -> None:
    given: dict[str, Any] = {
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 60,
    }
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    objects = helm.render(
        {
            **given,
            "topologySpreadConstraints": [spread],
            "extraArgs": ["--log-format=json"],
            "extraEnv": [{"name": "GC_TUNER_LOG__LEVEL", "value": "debug"}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            "resources": {"limits": {"cpu": "2"}},
            "podAnnotations": {"colour": "red"},
            "podLabels": {"shape": "round"},
        }
    )
    deployment = only(objects, "Deployment")["spec"]
    template = deployment["template"]
    spec = template["spec"]
    assert spec.items() >= given.items()
    (constraint,) = spec["topologySpreadConstraints"]
    assert constraint == {**spread, "labelSelector": deployment["selector"]}
    assert template["metadata"]["annotations"]["colour"] == "red"
    assert template["metadata"]["labels"]["shape"] == "round"
    (container,) = spec["containers"]
    assert container["args"][-1] == "--log-format=json"
    assert container["env"][-1] == {"name": "GC_TUNER_LOG__LEVEL", "value": "debug"}
    assert container["volumeMounts"][-1] == {"name": "more", "mountPath": "/more"}
    assert spec["volumes"][-1] == {"name": "more", "emptyDir": {}}
    # --set and files are merged over the defaults; what is removed has to be named.
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "768Mi"}


def settings_file(objects: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(only(objects, "ConfigMap", RELEASE)["data"]["config.yaml"])
    return path


def test_the_operator_takes_its_file(helm: Helm, tmp_path: Path) -> None:
    settings = load(settings_file(helm.render(), tmp_path))
    assert settings.model_copy(update={"prometheus": Settings().prometheus}) == Settings()
    assert settings.prometheus.url == REQUIRED["prometheus"]["url"]
    assert settings.mode == "recommend"


def test_every_setting_can_be_given(helm: Helm, tmp_path: Path) -> None:
    defaults = yaml.safe_load((CHART.parents[1] / "config" / "default.yaml").read_text())
    config = {
        **defaults,
        "prometheus": {name: defaults["prometheus"][name] for name in ("selector", "metrics")},
        "kubernetes": {
            name: defaults["kubernetes"][name] for name in ("timeout", "qps", "burst", "staleAfter")
        },
    }
    settings = load(settings_file(helm.render({"config": config}), tmp_path))
    assert settings.model_copy(update={"prometheus": Settings().prometheus}) == Settings()
    assert settings.prometheus.metrics == Settings().prometheus.metrics


def test_a_changed_setting_restarts_the_pods_and_another_label_does_not(helm: Helm) -> None:
    def template(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON of any shape
        return only(helm.render(values), "Deployment")["spec"]["template"]

    assert template({"config": {"interval": "30s"}}) != template({})
    assert template({"service": {"port": 80}}) == template({})


def test_credentials_come_from_the_secrets_that_are_named(helm: Helm) -> None:
    given = {
        **REQUIRED["prometheus"],
        "headers": {"X-Scope-OrgID": "team-a"},
        "timeout": "20s",
        "bearerToken": {"secretName": "reader", "key": "jwt"},
        "ca": {"configMapName": "authorities"},
        "clientCertificate": {"secretName": "client"},
    }
    objects = helm.render({"prometheus": given})
    config = yaml.safe_load(only(objects, "ConfigMap", RELEASE)["data"]["config.yaml"])
    folder = "/var/run/secrets/gc-tuner/prometheus"
    assert config["prometheus"] == {
        "url": given["url"],
        "headers": {"X-Scope-OrgID": "team-a"},
        "timeout": "20s",
        "bearerTokenFile": f"{folder}/token",
        "caFile": f"{folder}/ca.crt",
        "certFile": f"{folder}/tls.crt",
        "keyFile": f"{folder}/tls.key",
    }
    for spec in (
        only(objects, "Deployment")["spec"]["template"]["spec"],
        only(objects, "Pod")["spec"],
    ):
        (container,) = spec["containers"]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert mounts["prometheus-credentials"] == folder
        (volume,) = (each for each in spec["volumes"] if each["name"] == "prometheus-credentials")
        items = {
            next(iter(source.values()))["name"]: next(iter(source.values()))["items"]
            for source in volume["projected"]["sources"]
        }
        assert items == {
            "reader": [{"key": "jwt", "path": "token"}],
            "authorities": [{"key": "ca.crt", "path": "ca.crt"}],
            "client": [
                {"key": "tls.crt", "path": "tls.crt"},
                {"key": "tls.key", "path": "tls.key"},
            ],
        }


def test_without_credentials_no_volume_is_made(helm: Helm) -> None:
    spec = only(helm.render(), "Deployment")["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["volumes"]] == ["config"]


def test_cluster_wide_rights_are_those_of_the_list(helm: Helm) -> None:
    found = rules(helm.render())
    assert set(found) == {("", RELEASE), (RELEASE, f"{RELEASE}-leader-election")}
    assert granted(found["", RELEASE]) == NEEDED


def test_rights_in_namespaces_are_those_of_the_list_and_none_hold_for_the_cluster(
    helm: Helm,
) -> None:
    objects = helm.render({"watchNamespaces": ["shop", "search"]})
    assert not kinds(objects) & {"ClusterRole", "ClusterRoleBinding", *POLICIES}
    found = rules(objects)
    for namespace in ("shop", "search"):
        assert granted(found.pop((namespace, RELEASE))) == NEEDED
    assert found.pop((RELEASE, f"{RELEASE}-overrides")) == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["gc-tuner-overrides"],
            "verbs": ["list", "watch"],
        }
    ]
    assert granted(found.pop((RELEASE, f"{RELEASE}-events"))) == {
        ("events.k8s.io", "events", "create"),
        ("events.k8s.io", "events", "patch"),
    }
    assert set(found) == {(RELEASE, f"{RELEASE}-leader-election")}
    config = yaml.safe_load(only(objects, "ConfigMap", RELEASE)["data"]["config.yaml"])
    assert config["kubernetes"] == {"namespaces": ["shop", "search"]}


def test_every_binding_is_of_its_role_to_the_account_of_the_release(helm: Helm) -> None:
    objects = helm.render({"watchNamespaces": ["shop"]}, namespace="tuning") + helm.render(
        namespace="tuning"
    )
    names = set(rules(objects))
    for each in objects:
        if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            metadata = each["metadata"]
            key = (metadata.get("namespace", ""), each["roleRef"]["name"])
            assert key in names
            assert each["roleRef"]["kind"] == each["kind"].removesuffix("Binding")
            account = {"kind": "ServiceAccount", "name": RELEASE, "namespace": "tuning"}
            assert each["subjects"] == [account]


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["shop"]}, EVERYTHING])
def test_nothing_grants_secrets_or_whatever_there_may_be(
    helm: Helm, values: Mapping[str, Any]
) -> None:
    for rule in (rule for found in rules(helm.render(values)).values() for rule in found):
        assert not {"secrets", "*", "pods/exec"} & set(rule["resources"])
        assert not {"*", "escalate", "bind", "impersonate"} & set(rule["verbs"])
        assert "*" not in rule["apiGroups"]


def lease_rules(helm: Helm, election: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    # The settings need not know the section for the chart to be right about it.
    values = {"config": {"leaderElection": election}}
    found = rules(helm.render(values))
    return {key: value for key, value in found.items() if key[1].endswith("-leader-election")}


@pytest.mark.parametrize(
    ("election", "namespace", "names"),
    [
        ({}, RELEASE, ["gc-tuner"]),
        ({"name": "tuner", "namespace": "leases"}, "leases", ["tuner"]),
        ({"shards": 3}, RELEASE, ["gc-tuner-0-of-3", "gc-tuner-1-of-3", "gc-tuner-2-of-3"]),
    ],
)
def test_leases_are_granted_by_name(
    helm: Helm, election: Mapping[str, Any], namespace: str, names: list[str]
) -> None:
    leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert lease_rules(helm, election) == {
        (namespace, f"{RELEASE}-leader-election"): [
            {**leases, "verbs": ["create"]},
            {**leases, "verbs": ["get", "update"], "resourceNames": names},
        ]
    }


def test_each_release_has_a_lease_of_its_own(helm: Helm) -> None:
    objects = helm.render({"fullnameOverride": "second"})
    granted_names = [
        name
        for found in rules(objects).values()
        for rule in found
        if rule["resources"] == ["leases"]
        for name in rule.get("resourceNames", [])
    ]
    config = yaml.safe_load(only(objects, "ConfigMap", "second")["data"]["config.yaml"])
    assert granted_names == ["second"] == [config["leaderElection"]["name"]]


def checksum(helm: Helm, config: Mapping[str, Any]) -> str:
    pod = only(helm.render({"config": config}), "Deployment")["spec"]["template"]
    found: str = pod["metadata"]["annotations"]["checksum/config"]
    return found


def test_pods_are_replaced_only_for_settings_that_are_read_at_the_start(helm: Helm) -> None:
    before = checksum(helm, {})
    assert checksum(helm, {"guards": {"rolloutsInCluster": 2}}) == before
    assert checksum(helm, {"interval": "30s"}) != before


@pytest.mark.parametrize(
    "name", ["GC_TUNER_LEADER_ELECTION__SHARDS", "GC_TUNER_HTTP__PORT", "GC_TUNER_OVERRIDES__NAME"]
)
def test_variables_that_other_objects_could_not_follow_are_refused(helm: Helm, name: str) -> None:
    with pytest.raises(HelmError, match=f"extraEnv: {name}: roles, probes and policies"):
        helm.render({"extraEnv": [{"name": name, "value": "3"}]})


def test_without_election_there_is_one_pod_at_a_time_and_no_lease(helm: Helm) -> None:
    alone = {"config": {"leaderElection": {"enabled": False}}}
    assert lease_rules(helm, {"enabled": False}) == {}
    objects = helm.render(alone)
    assert only(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(HelmError, match="replicas: more than 1 without leader election"):
        helm.render({**alone, "replicas": 2})


@pytest.mark.parametrize(
    ("values", "version", "policed"),
    [
        ({}, "1.33.0", True),
        ({}, "1.32.9", False),
        ({"admissionPolicy": {"enabled": False}}, "1.36.0", False),
        ({"watchNamespaces": ["shop"]}, "1.36.0", False),
        ({"watchNamespaces": ["shop"], "admissionPolicy": {"enabled": True}}, "1.36.0", True),
    ],
)
def test_the_policy_is_there_where_the_api_server_has_it(
    helm: Helm, values: Mapping[str, Any], version: str, policed: bool
) -> None:
    objects = helm.render(values, "--kube-version", version)
    assert bool(kinds(objects) & POLICIES) is policed


def test_the_alerts_lead_to_their_pages(helm: Helm) -> None:
    pages = {path.stem for path in (CHART.parents[1] / "docs/operations/alerts").iterdir()}
    values = {
        "prometheusRule": {
            "enabled": True,
            "runbookBaseUrl": "https://docs.example.com/alerts/",
            "alertLabels": {"team": "platform", "severity": "page"},
        }
    }
    (group,) = only(helm.render(values), "PrometheusRule")["spec"]["groups"]
    assert {each["alert"] for each in group["rules"]} == pages
    for each in group["rules"]:
        url = f"https://docs.example.com/alerts/{each['alert']}.md"
        assert each["annotations"]["runbook_url"] == url
        assert each["labels"] == {"team": "platform", "severity": "page"}


def test_the_dashboard_is_the_file(helm: Helm) -> None:
    found = only(helm.render(EVERYTHING), "ConfigMap", "gc-tuner-dashboard")["data"]
    text = (CHART / "files" / "dashboard.json").read_text()
    assert json.loads(found["gc-tuner.json"]) == json.loads(text)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"repliicas": 2}, "additional properties 'repliicas' not allowed"),
    ({"replicas": "two"}, "at '/replicas': got string, want integer"),
    ({"image": {"tagg": "x"}}, "at '/image': additional properties 'tagg' not allowed"),
    ({"image": {"digest": "sha256:12"}}, "at '/image/digest'"),
    ({"admissionPolicy": {"enabled": "yes"}}, "at '/admissionPolicy/enabled'"),
    ({"watchNamespaces": "shop"}, "at '/watchNamespaces': got string, want array"),
    ({"prometheus": {"url": "prometheus:9090"}}, "at '/prometheus/url'"),
    ({"watchNamespaces": ["shop", "shop"]}, "at '/watchNamespaces': items at 0 and 1 are equal"),
    ({"config": None}, "at '': missing property 'config'"),
    ({"prometheus": {**REQUIRED["prometheus"], "ca": None}}, "missing property 'ca'"),
    ({"config": {"intervall": "15s"}}, "at '/config': additional properties 'intervall'"),
    ({"config": {"interval": 15}}, "at '/config/interval': got number, want string"),
    ({"config": {"mode": "auto"}}, "at '/config/mode'"),
    ({"config": {"guards": {"leak": {"growth": "3%"}}}}, "at '/config/guards/leak/growth'"),
    ({"config": {"guards": {"leak": {"grow": 0.1}}}}, "at '/config/guards/leak'"),
    ({"config": {"profiles": {"gold": {}}}}, "at '/config/profiles'"),
    ({"config": {"http": {"port": 0}}}, "at '/config/http/port'"),
    ({"config": {"kubernetes": {"namespaces": ["a"]}}}, "at '/config/kubernetes'"),
    ({"config": {"prometheus": {"url": "http://a"}}}, "at '/config/prometheus'"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_is_unknown_or_of_a_wrong_type_is_refused_by_name(
    helm: Helm, values: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(HelmError) as error:
        helm.render(values)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": {"repository": ""}}, "image.repository: not set: give registry"),
        ({"prometheus": {"url": ""}}, "prometheus.url: not set: give one such as http://"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name the account"),
        (
            {
                "prometheus": {
                    **REQUIRED["prometheus"],
                    "ca": {"secretName": "a", "configMapName": "b"},
                }
            },
            "prometheus.ca: secretName and configMapName are both set",
        ),
        (
            {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}},
            "serviceMonitor.enabled: there is no Service to scrape",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_what_would_be_right(
    helm: Helm, values: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(HelmError) as error:
        helm.render(values)
    assert words in str(error.value)


def test_its_pods_satisfy_the_restricted_standard(helm: Helm, cluster: Cluster) -> None:
    name = "restricted"
    cluster.create_namespace(name, {"pod-security.kubernetes.io/enforce": "restricted"})
    objects = helm.render(namespace=name)
    template = only(objects, "Deployment")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(template)}
    pod["metadata"]["name"] = "as-of-the-deployment"
    cluster.apply([only(objects, "ServiceAccount")])
    for each in (pod, only(objects, "Pod")):
        (container,) = each["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        text = json.dumps(each)
        cluster.kubectl("create", "--dry-run=server", "-n", name, "-f", "-", input=text)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_overrides_outlive_upgrade_rollback_and_uninstall(
    helm: Helm, cluster: Cluster, namespace: str
) -> None:
    """What people laid down is theirs from its first day on."""
    helm = replace(helm, kubeconfig=cluster.kubeconfig)

    def text() -> str:
        data = cluster.get(*OVERRIDES, namespace)["data"]
        return str(data["overrides.yaml"])

    helm.install(namespace)
    assert yaml.safe_load(text()) == {"paused": False}
    patch = json.dumps({"data": {"overrides.yaml": "paused: true"}})
    cluster.kubectl("patch", *OVERRIDES, namespace, "--patch", patch)
    helm.install(namespace, {"config": {"interval": "30s"}, "overrides": {"initial": "{}"}})
    assert text() == "paused: true"
    helm.run("rollback", RELEASE, "1", "--namespace", namespace)
    assert text() == "paused: true"
    helm.run("uninstall", RELEASE, "--namespace", namespace, "--wait")
    assert text() == "paused: true"
    helm.install(namespace)
    assert text() == "paused: true"
    cluster.kubectl("delete", *OVERRIDES, namespace)
    helm.install(namespace)
    assert yaml.safe_load(text()) == {"paused": False}
    helm.run("uninstall", RELEASE, "--namespace", namespace, "--wait")


@pytest.mark.parametrize("scoped", [False, True], ids=["cluster", "namespace"])
def test_gc_tuner_sees_all_that_it_needs_with_the_rights_of_the_chart(
    helm: Helm, cluster: Cluster, namespace: str, tmp_path: Path, scoped: bool
) -> None:
    helm = replace(helm, kubeconfig=cluster.kubeconfig)
    values = {"watchNamespaces": [namespace]} if scoped else {}
    helm.install(namespace, values)
    account = cluster.service_account_kubeconfig(namespace, RELEASE)
    path = settings_file(helm.render(values, namespace=namespace), tmp_path)
    result = subprocess.run(  # noqa: S603 - our own program
        # The cluster is other tests' too: nothing is written there.
        [sys.executable, "-m", "tuner", "run", "--once", "--dry-run", "--config", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60.0,
        cwd=REPOSITORY,
        env={
            "GC_TUNER_KUBERNETES__KUBECONFIG": str(account),
            "GC_TUNER_PROMETHEUS__URL": cluster.prometheus_url,
            "POD_NAMESPACE": namespace,
        },
    )
    assert result.returncode == 0, result.stderr
    asked = cluster.audit_events(f"system:serviceaccount:{namespace}:{RELEASE}")
    assert {each.resource for each in asked} >= {
        *("deployments", "statefulsets", "pods", "configmaps", "gctunings"),
        "horizontalpodautoscalers",
    }
    # Vertical autoscalers are no part of this cluster.
    assert {each.resource for each in asked if each.code >= HTTPStatus.BAD_REQUEST} <= {
        "verticalpodautoscalers"
    }
    assert HTTPStatus.FORBIDDEN not in {each.code for each in asked}
    helm.run("uninstall", RELEASE, "--namespace", namespace, "--wait")


def test_notes_say_what_to_do_next(helm: Helm, cluster: Cluster, namespace: str) -> None:
    helm = replace(helm, kubeconfig=cluster.kubeconfig)
    values = {**REQUIRED, "watchNamespaces": [namespace]}
    command = ("install", RELEASE, str(CHART), "--namespace", namespace, "--dry-run=server")
    notes = " ".join(helm.run(*command, values=values).partition("NOTES:")[2].split())
    assert f"looks at the Go services of the namespaces {namespace}" in notes
    assert "It changes nothing yet" in notes
    assert "No admission policy was installed: with watchNamespaces" in notes
    assert f"kubectl edit configmap gc-tuner-overrides --namespace {namespace}" in notes
    notes = " ".join(helm.run(*command, values=dict(REQUIRED)).partition("NOTES:")[2].split())
    assert "by ValidatingAdmissionPolicies (gc-tuner-workloads and others)" in notes
