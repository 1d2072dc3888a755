from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.testbed.node.volumes import VolumeFile, write_volume
from tuner.errors import ConfigError
from tuner.model.happening import ConfigRefused, ConfigReloaded, Happening
from tuner.model.workload import Mode
from tuner.settings import ConfigFile, Flags, Reload, Settings
from tuner.settings.names import yaml_path
from tuner.settings.reload import HOT, differences

URL = "prometheus: {url: http://prometheus:9090}\n"


@dataclass
class Mounted:
    """A ConfigMap as it is mounted into a pod, and what follows it."""

    directory: Path
    flags: Flags = field(default_factory=Flags)
    told: list[Happening] = field(default_factory=list)
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.write("")
        self.file = ConfigFile(self.directory / "config.yaml", self.flags)
        self.settings = self.file.load()
        self.reload = Reload(self.file, self.settings, [self])

    def write(self, text: str) -> None:
        """Swap the files as a kubelet does."""
        content = VolumeFile((URL + text).encode(), 0o644)
        write_volume(self.directory, {"config.yaml": content})

    def notify(self, happening: Happening) -> None:
        self.told.append(happening)

    def look(self) -> tuple[Settings | None, Sequence[Happening]]:
        """What a look brings into force, and what it tells."""
        self.told.clear()
        self.now += 15
        return self.reload.look(self.now), list(self.told)


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    return Mounted(tmp_path / "mounted")


def test_only_what_exists_may_change_while_it_runs() -> None:
    assert Settings.model_fields.keys() >= HOT


def test_an_unchanged_file_is_neither_told_of_nor_taken_over(mounted: Mounted) -> None:
    assert mounted.look() == (None, [])


def test_a_swapped_file_is_in_force_at_the_next_look_and_names_what_changed(
    mounted: Mounted,
) -> None:
    mounted.write("mode: 'off'\nprofiles: {critical: {gogcBounds: {highest: 400}}}\n")
    settings, told = mounted.look()
    assert settings is not None
    assert (settings.mode, settings.profiles.critical.gogc_bounds.highest) == (Mode.OFF, 400)
    changed = ("mode", "profiles.critical.gogcBounds.highest")
    assert told == [ConfigReloaded(mounted.now, changed)]
    assert mounted.look() == (None, [])


def test_a_file_without_mounts_is_followed_too(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(URL, encoding="utf-8")
    file = ConfigFile(path, Flags())
    reload = Reload(file, file.load(), [])
    path.write_text(f"{URL}defaultProfile: critical\n", encoding="utf-8")
    settings = reload.look(1_000.0)
    assert settings is not None
    assert settings.default_profile == "critical"


def test_other_words_for_the_same_settings_are_nothing_new(mounted: Mounted) -> None:
    mounted.write("# as before\nmode: recommend\n")
    assert mounted.look() == (None, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode: auto", "mode: auto cannot be the default"),
        ("mode: off\nmods: 1", "mods: unknown, did you mean mode?"),
        ("mode: [", "not valid YAML"),
        ("law: {stepRatio: 1}\nwarmUp: 5", "warmUp: 5 has no unit"),
    ],
)
def test_a_bad_file_leaves_everything_in_force_and_is_told_once(
    mounted: Mounted, text: str, said: str
) -> None:
    mounted.write(text)
    settings, told = mounted.look()
    (refused,) = told
    assert settings is None
    assert isinstance(refused, ConfigRefused)
    assert said in refused.detail
    assert "\n" not in refused.detail
    assert refused.restart == ()
    assert mounted.look() == (None, [])


def test_a_file_that_is_good_but_names_another_that_is_not_is_tried_until_it_is(
    mounted: Mounted, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    bound: dict[tuple[str | int, ...], str] = {
        ("prometheus", "bearer_token_file"): "--bearer-token-file"
    }
    mounted.file = ConfigFile(
        mounted.directory / "config.yaml",
        Flags({"prometheus": {"bearer_token_file": token}}, bound),
    )
    token.write_text("secret", encoding="utf-8")
    mounted.reload = Reload(mounted.file, mounted.file.load(), [mounted])
    token.unlink()
    mounted.write("mode: 'off'\n")
    settings, told = mounted.look()
    assert settings is None
    assert isinstance(told[0], ConfigRefused)
    assert mounted.look() == (None, []), "told once"
    token.write_text("secret", encoding="utf-8")
    settings, told = mounted.look()
    assert settings is not None
    assert told == [ConfigReloaded(mounted.now, ("mode",))]


def test_what_was_refused_and_is_put_right_is_told_though_nothing_changes(
    mounted: Mounted,
) -> None:
    mounted.write("mode: auto")
    mounted.look()
    mounted.write("")
    assert mounted.look() == (None, [ConfigReloaded(mounted.now, ())])
    assert mounted.look() == (None, [])


def test_a_file_that_is_gone_for_a_moment_is_a_refusal(mounted: Mounted) -> None:
    current = mounted.directory / "..data"
    away = current.rename(mounted.directory / "..away")
    _, told = mounted.look()
    (refused,) = told
    assert isinstance(refused, ConfigRefused)
    assert "no such file" in refused.detail
    away.rename(current)
    assert mounted.look() == (None, [ConfigReloaded(mounted.now, ())])


@pytest.mark.parametrize(
    ("text", "restart"),
    [
        ("interval: 30s", ("interval",)),
        ("rateWindow: 2m", ("rateWindow",)),
        ("warmUp: 2m", ("warmUp",)),
        ("http: {port: 9000}", ("http.port",)),
        ("log: {level: debug}", ("log.level",)),
        ("kubernetes: {namespaces: [shop]}", ("kubernetes.namespaces",)),
        ("overrides: {name: others}", ("overrides.name",)),
        ("prometheus: {url: http://thanos}", ("prometheus.url",)),
        (
            "prometheus: {url: http://thanos, timeout: 1s}",
            ("prometheus.url", "prometheus.timeout"),
        ),
    ],
)
def test_what_needs_a_restart_is_named_and_nothing_of_the_change_is_taken_over(
    mounted: Mounted, text: str, restart: tuple[str, ...]
) -> None:
    given = mounted.directory.parent / "both.yaml"
    given.write_text(f"{text if 'url' in text else URL + text}\nmode: 'off'\n", encoding="utf-8")
    write_volume(mounted.directory, {"config.yaml": VolumeFile(given.read_bytes(), 0o644)})
    settings, told = mounted.look()
    assert settings is None
    (refused,) = told
    assert isinstance(refused, ConfigRefused)
    assert refused.restart == restart
    assert refused.detail == f"{', '.join(restart)} cannot change while gc-tuner runs: restart it"

    mounted.write("mode: 'off'")
    settings, told = mounted.look()
    assert told == [ConfigReloaded(mounted.now, ("mode",))]
    assert settings is not None


def test_environment_and_flags_stay_stronger_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GC_TUNER_LAW__WORTH", "0.05")
    flags = Flags({"prometheus": {"url": "http://flag"}})
    mounted = Mounted(tmp_path / "mounted", flags)
    mounted.write("law: {worth: 0.1, alpha: 1.06}")
    settings, told = mounted.look()
    assert settings is not None
    assert (settings.law.worth, settings.law.alpha) == (0.05, 1.06)
    assert settings.prometheus.url == "http://flag"
    assert told == [ConfigReloaded(mounted.now, ("law.alpha",))]


def test_a_change_while_the_file_is_first_read_is_not_missed(mounted: Mounted) -> None:
    class Overtaken(ConfigFile):
        def load(self) -> Settings:
            settings = super().load()
            mounted.write("mode: 'off'")
            return settings

    file = Overtaken(mounted.directory / "config.yaml", Flags())
    settings = Reload(file, file.load(), []).look(1_000.0)
    assert settings is not None
    assert settings.mode is Mode.OFF


def test_without_a_file_nothing_ever_changes() -> None:
    file = ConfigFile(None, Flags({"prometheus": {"url": "http://flag"}}))
    assert Reload(file, file.load(), []).look(1_000.0) is None


def test_a_bad_file_at_the_start_is_an_error(mounted: Mounted) -> None:
    mounted.write("mode: auto")
    with pytest.raises(ConfigError):
        mounted.file.load()


def test_every_value_that_differs_is_named_and_no_other() -> None:
    before = Settings()
    guards = before.guards.model_copy(
        update={
            "alerts": ("TooSlow",),
            "leak": before.guards.leak.model_copy(update={"windows": 5}),
        }
    )
    after = before.model_copy(update={"guards": guards, "samples_per_window": 3})
    found = [yaml_path(each) for each in differences(before, after)]
    assert found == ["samplesPerWindow", "guards.alerts", "guards.leak.windows"]
    assert list(differences(before, Settings())) == []
