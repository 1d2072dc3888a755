from dataclasses import fields
from pathlib import Path

import pytest

from tuner.errors import ConfigError
from tuner.model.workload import Mode
from tuner.prometheus.metric_names import MetricNames
from tuner.settings import Flags, Settings, load
from tuner.settings.metrics import MetricsSettings


@pytest.fixture
def write(tmp_path: Path) -> "Write":
    return Write(tmp_path / "config.yaml")


class Write:
    """Writes a config file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> Path:
        self.path.write_text(text, encoding="utf-8")
        return self.path


def problems(path: Path | None, flags: Flags | None = None) -> list[str]:
    """The lines of what is wrong, without the path of the file."""
    with pytest.raises(ConfigError) as caught:
        load(path, flags)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def test_every_name_that_the_queries_use_can_be_set() -> None:
    settings = {field.name for field in fields(MetricNames)}
    assert set(MetricsSettings.model_fields) == settings - {"selector"}
    assert Settings().names() == MetricNames()


def test_two_labels_may_change_places(write: Write) -> None:
    metrics = "{namespaceLabel: pod, podLabel: namespace}"
    assert load(write(f"prometheus: {{metrics: {metrics}}}")).names().pod_label == "namespace"


def test_the_selector_reaches_every_query(write: Write) -> None:
    settings = load(write("prometheus: {selector: 'cluster=\"eu\"'}"))
    assert all('cluster="eu"' in query.text for query in settings.queries())


def test_without_any_layer_the_defaults_are_in_force() -> None:
    assert load() == Settings()


def test_a_stronger_layer_wins_key_by_key(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        "prometheus: {url: http://file, timeout: 1s, selector: 'a=\"b\"'}\ninterval: 20s\n"
    )
    monkeypatch.setenv("GC_TUNER_PROMETHEUS__URL", "http://env")
    monkeypatch.setenv("GC_TUNER_PROMETHEUS__TIMEOUT", "2s")
    settings = load(path, Flags({"prometheus": {"url": "http://flag"}}))
    assert settings.prometheus.url == "http://flag"
    assert settings.prometheus.timeout == 2
    assert settings.prometheus.selector == 'a="b"'
    assert settings.interval == 20
    assert settings.rate_window == Settings().rate_window


def test_a_part_of_a_profile_leaves_the_rest_of_that_tier_alone(write: Write) -> None:
    settings = load(write("profiles: {critical: {gogcBounds: {highest: 400}}}"))
    critical, default = settings.profiles.critical, Settings().profiles.critical
    assert critical.gogc_bounds.highest == 400
    assert critical.gogc_bounds.lowest == default.gogc_bounds.lowest
    assert critical.gc_share_target == default.gc_share_target
    assert settings.profiles.best_effort == Settings().profiles.best_effort


def test_the_environment_reaches_nested_names_lists_and_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GC_TUNER_PROFILES__BEST_EFFORT__COOLDOWN", "5m")
    monkeypatch.setenv("GC_TUNER_KUBERNETES__NAMESPACES", "shop, web")
    monkeypatch.setenv("GC_TUNER_PROMETHEUS__HEADERS", '{"X-Scope-OrgID": "a"}')
    settings = load()
    assert settings.profiles.best_effort.cooldown == 300
    assert settings.kubernetes.namespaces == ("shop", "web")
    assert settings.prometheus.headers == {"X-Scope-OrgID": "a"}


OFFICE_HOURS = '{"days": ["mon"], "from": "09:00", "to": "17:00", "timeZone": "UTC"}'


def test_change_windows_are_read_from_the_file(write: Write) -> None:
    settings = load(write(f"guards: {{changeWindows: [{OFFICE_HOURS}]}}"))
    closed = settings.policy(dry_run=False).guards.closed
    # The epoch began on a Thursday at midnight: four days later it was Monday.
    monday = 4 * 86_400.0
    assert [closed(monday + hour * 3600) == "" for hour in (8, 9, 16, 17)] == [
        False,
        True,
        True,
        False,
    ]


def test_change_windows_and_alerts_are_read_from_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GC_TUNER_GUARDS__CHANGE_WINDOWS", f"[{OFFICE_HOURS}]")
    monkeypatch.setenv("GC_TUNER_GUARDS__ALERTS", "NodeDown, ErrorBudgetBurn")
    settings = load(write("guards: {changeWindows: [], alerts: [Other]}"))
    assert len(settings.guards.change_windows) == 1
    assert settings.policy(dry_run=False).guards.alerts == ("NodeDown", "ErrorBudgetBurn")


def test_the_alerts_that_are_named_are_asked_for(write: Write) -> None:
    texts = [query.text for query in load(write("guards: {alerts: [ErrorBudgetBurn]}")).queries()]
    assert any("ErrorBudgetBurn" in text for text in texts)


def test_a_latency_objective_can_be_set_taken_away_and_added(write: Write) -> None:
    tiers = "{critical: {latencyTarget: none}, best-effort: {latencyTarget: 50ms}}"
    profiles = load(write(f"profiles: {tiers}")).policy(dry_run=False).profiles
    targets = {name: profile.latency_target_seconds for name, profile in profiles.items()}
    assert targets == {"critical": None, "normal": 0.1, "best-effort": 0.05}


def test_a_section_left_empty_keeps_its_defaults(write: Write) -> None:
    assert load(write("prometheus:\nlaw: {alpha: }\n")) == Settings()


def test_an_empty_file_keeps_the_defaults(write: Write) -> None:
    assert load(write("# nothing yet\n")) == Settings()


def test_bare_off_means_off_although_yaml_reads_false(write: Write) -> None:
    assert load(write("mode: off")).mode is Mode.OFF


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prometheus: {timeout: 30}", "prometheus.timeout: 30 has no unit: write a duration such"),
        ("interval: 0s", "interval: 0s is too small: it must be above 0"),
        ("profiles: {normal: {gcShareTarget: 4%}}",
         "profiles.normal.gcShareTarget: '4%' is a percentage: write the ratio, 0.04"),
        ("profiles: {normal: {gcShareTarget: 4}}",
         "profiles.normal.gcShareTarget: 4 is too large: it must be below 0.95"),
        ("profiles: {normal: {gcShareTarget: 0.95}}",
         "profiles.normal.gcShareTarget: 0.95 is too large: it must be below 0.95"),
        ("profiles: {best-effort: {memoryBudget: node}}",
         "profiles.best-effort.memoryBudget: 'node' is not one of 'request' or 'limit'"),
        ("profiles: {normal: {gogcBounds: {lowest: 200, highest: 100}}}",
         "profiles.normal.gogcBounds: lowest 200 is above highest 100"),
        ("profiles: {normal: {gogcBounds: {highest: 12.5}}}",
         "profiles.normal.gogcBounds.highest: 12.5 is not a whole number"),
        ("profiles: {normal: {gcShareLeast: 0.05}}",
         "profiles.normal: gcShareLeast 0.05 is above gcShareTarget 0.04"),
        ("profiles: {normal: {latencyTarget: 100}}",
         "profiles.normal.latencyTarget: 100 has no unit: write a duration such as"),
        ("profiles: {normal: {latencyTarget: never}}",
         "profiles.normal.latencyTarget: 'never' is not a duration"),
        ("profiles: {normal: {latencyQuantile: p50}}",
         "profiles.normal.latencyQuantile: 'p50' is not one of 'p95' or 'p99'"),
        ("profiles: {normal: {memorySetPoint: 0.93}}",
         "profiles.normal.memorySetPoint 0.93 is not below guards.danger 0.92"),
        ("guards: {rolloutsInNamespace: 6}",
         "guards: rolloutsInNamespace 6 is above rolloutsInCluster 5"),
        ("leaderElection: {renewDeadline: 20s}",
         "leaderElection: renewDeadline 20s is not below leaseDuration 15s: two replicas could"),
        ("leaderElection: {retryPeriod: 10s}",
         "leaderElection: retryPeriod 10s is not below renewDeadline 10s: two replicas could"),
        ("leaderElection: {leaseDuration: 900ms, renewDeadline: 600ms, retryPeriod: 100ms}",
         "leaderElection: leaseDuration 900ms is below 1s: a Lease counts whole seconds"),
        ("leaderElection: {name: My_Lease}",
         "leaderElection.name: 'My_Lease' is not a name in Kubernetes: use lower-case letters"),
        ("leaderElection: {shards: 0}",
         "leaderElection.shards: 0 is too small: the least is 1"),
        ("leaderElection: {shards: 6}",
         "leaderElection.shards 6 is above guards.rolloutsInCluster 5: each shard needs at least"),
        ("guards: {rolloutsInNamespace: 0}",
         "guards.rolloutsInNamespace: 0 is too small: the least is 1"),
        ("guards: {quarantine: {first: 48h}}",
         "guards.quarantine: first 48h is above longest 24h"),
        ("guards: {leak: {windows: 15}}",
         "guards.leak.windows 15 is not below trial.patience 15: no more rate windows"),
        ("guards: {changeWindows: always}", "guards.changeWindows: not a list: write JSON such as"),
        ('guards: {changeWindows: [{days: [mon], from: 17:00, to: "18:00", timeZone: UTC}]}',
         "guards.changeWindows.0.from: 1020 is what YAML makes of a bare 17:00: put it in quotes"),
        ('guards: {changeWindows: [{days: [mon], from: "17:00", to: "18:00"}]}',
         "guards.changeWindows.0.timeZone: field required"),
        ('guards: {changeWindows: [{days: [1], from: "17:00", to: "18:00", timeZone: UTC}]}',
         "guards.changeWindows.0.days.0: 1 is not one of 'mon', 'tue', 'wed'"),
        ("guards: {changeWindows: [{zone: UTC}]}",
         "guards.changeWindows.0: zone is unknown: there are days, from, to, timeZone"),
        ("guards: {alerts: ['']}", "guards.alerts: an empty name: write that of an alerting rule"),
        ("guards: {alert: []}", "guards.alert: unknown, did you mean guards.alerts?"),
        ("overrides: {name: Mine}", "overrides.name: 'Mine' is not a name in Kubernetes"),
        ("law: {stepRatio: 1}", "law.stepRatio: 1 is too small: it must be above 1"),
        ("law: {alpha: .nan}", "law.alpha: nan is too large"),
        ("law: 7", "law: 7 stands where keys and values belong"),
        ("trial: {windows: yes}", "trial.windows: true is not a number"),
        ("trial: {windows: 9, patience: 5}", "trial: patience 5 is shorter than windows 9"),
        ("samplesPerWindow: 1", "samplesPerWindow: 1 is too small: the least is 2"),
        ("kubernetes: {namespaces: 3}", "kubernetes.namespaces: 3 is not a list: write [3]"),
        ("prometheus: {certFile: a}", "prometheus: certFile and keyFile belong together"),
        ("prometheus: {url: prometheus:9090}",
         "prometheus.url: 'prometheus:9090' is not a URL: write one such as http://"),
        ("prometheus: {url: 'http://prometheus:nine'}", "prometheus.url: 'http://prometheus:nine'"),
        ("prometheus: {url: 'http://'}", "prometheus.url: 'http://' is not a URL"),
        ("prometheus: {url: 'http://a/?q=1'}", "prometheus.url: 'http://a/?q=1' has a query"),
        ("prometheus: {selector: 'cluster='}",
         "prometheus.selector: 'cluster=' is no list of label matchers"),
        ("prometheus: {selector: 'a=\"1\"} or vector(1) or up{'}", "prometheus.selector: "),
        ("prometheus: {metrics: {heapGoal: go heap}}",
         "prometheus.metrics.heapGoal: 'go heap' is no metric name"),
        ("prometheus: {metrics: {podLabel: namespace}}",
         "prometheus.metrics: namespaceLabel, podLabel and containerLabel must differ"),
        ("prometheus: {metrics: {podPatterns: {Deployment: '('}}}",
         "prometheus.metrics.podPatterns: Deployment: not a regular expression"),
        ("prometheus: {metrics: {podPatterns: {Deployment: 'a'}}}",
         "prometheus.metrics.podPatterns: Deployment: no group"),
        ("prometheus: {metrics: {podPatterns: {CronJob: '(.*)-x'}}}",
         "prometheus.metrics.podPatterns.CronJob"),
        (f"prometheus: {{selector: 'a=\"{'x' * 999}\"'}}",
         "prometheus.selector and prometheus.metrics make the query for sums one that Prometheus"),
        ("mode: auto", "mode: auto cannot be the default for all workloads: use recommend or off"),
        ("rateWindow: 5s", "rateWindow 5s is shorter than interval 15s"),
        ("defaultProfile: urgent",
         "defaultProfile: 'urgent' is not one of 'critical', 'normal' or 'best-effort'"),
        ("promethus: {}", "promethus: unknown, did you mean prometheus?"),
        ("prometheus: {bearer_token: a}",
         "prometheus.bearer_token: unknown, did you mean prometheus.bearerTokenFile?"),
        ("prometheus: {ca_file: a}",
         "prometheus.ca_file: unknown, did you mean prometheus.caFile?"),
        ("http: {tls: a}", "http.tls: unknown, there are address, port"),
        ("3: a", "3: unknown, there are prometheus"),
    ],
)  # fmt: skip
def test_a_bad_value_gives_one_line_with_place_and_remedy(
    write: Write, text: str, said: str
) -> None:
    lines = problems(write(text))
    assert len(lines) == 1
    assert lines[0].startswith(said)


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:s3cret@prometheus:9090",
        "https://s3cret@prometheus",
        "http://ann:s3cret@prometheus:nine",
        "http://ann:s3c/ret@prometheus:9090",
        "ann:s3cret@prometheus:9090",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(write: Write, url: str) -> None:
    (line,) = problems(write(f"prometheus: {{url: '{url}'}}"))
    assert line.startswith("prometheus.url: has an @, as after a user and password: ")
    assert "bearerTokenFile" in line
    assert "s3c" not in line


def test_every_problem_is_told_at_once(write: Write) -> None:
    lines = problems(write("intervall: 5s\nwarmUp: 5\nlaw: {worth: 2}\n"))
    assert [line.split(":")[0] for line in lines] == ["intervall", "warmUp", "law.worth"]


def test_a_problem_in_the_file_names_the_file(write: Write) -> None:
    with pytest.raises(ConfigError, match=rf"^{write.path}: warmUp: "):
        load(write("warmUp: 5"))


def test_a_problem_in_the_environment_names_the_variable(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GC_TUNER_WARM_UP", "5")
    assert problems(write("warmUp: 5s"))[0].startswith("GC_TUNER_WARM_UP: 5 has no unit")


def test_a_problem_on_the_command_line_names_the_flag() -> None:
    flags = Flags({"log": {"format": "xml"}}, {("log", "format"): "--log-format"})
    assert problems(None, flags)[0].startswith("--log-format: 'xml' is not one of")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GC_TUNER_PROMETEUS__URL", "a", "did you mean GC_TUNER_PROMETHEUS?"),
        ("GC_TUNER_HTTP__PRT", "1", "did you mean port?"),
        ("GC_TUNER_PROMETHEUS", "{", "not JSON: set single values instead"),
        ("GC_TUNER_PROMETHEUS__HEADERS", "a=b", "not a mapping: write JSON"),
    ],
)
def test_a_bad_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    (line,) = problems(None)
    assert line.startswith(f"{name}: ")
    assert said in line


@pytest.mark.parametrize(
    "name",
    [
        "GC_TUNER_SERVICE_HOST",
        "GC_TUNER_SERVICE_PORT",
        "GC_TUNER_SERVICE_PORT_METRICS",
        "GC_TUNER_PORT",
        "GC_TUNER_PORT_8080_TCP",
        "GC_TUNER_PORT_8080_TCP_ADDR",
        "GC_TUNER_METRICS_PORT_8080_TCP_PROTO",
    ],
)
def test_what_kubernetes_injects_for_a_service_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:8080")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c", ":1: not valid YAML: mapping values are not allowed here"),
        ("{[a]: b}", ":1: not valid YAML: a key is not plain text"),
        ("interval: 2026-13-45", ":1: not valid YAML: '2026-13-45' is no timestamp"),
        ("interval: !!timestamp foo", ":1: not valid YAML: 'foo' is no timestamp"),
        ("interval: !!bool x", ":1: not valid YAML: 'x' is no bool"),
        ("interval: !!int ''", ":1: not valid YAML: '' is no int"),
        ("[" * 2000, ": not valid YAML: nested too deeply"),
        ("interval: 5s\ninterval: 9s", ":2: not valid YAML: key interval is there twice"),
        ("- a", ": holds no mapping"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_is_refused(write: Write, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(text))
    assert str(caught.value).startswith(f"{write.path}{said}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such file: name an existing one"):
        load(tmp_path / "absent.yaml")


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"mode: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(path)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("prometheus", "bearerTokenFile"),
        ("prometheus", "caFile"),
        ("kubernetes", "kubeconfig"),
    ],
)
def test_a_file_that_is_named_and_missing_is_refused(write: Write, section: str, key: str) -> None:
    (line,) = problems(write(f"{section}: {{{key}: /absent/file}}"))
    assert line == f"{section}.{key}: /absent/file cannot be read: no such file or directory"
