from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from tuner.model.policy import GuardRules
from tuner.settings import Settings, load
from tuner.settings.change_window import ChangeWindows
from tuner.settings.names import below, yaml_keys
from tuner.settings.section import Section

DEFAULT = Path(__file__).parents[3] / "config" / "default.yaml"


def keys(section: type[Section], path: str = "") -> Iterator[str]:
    """Every key of the settings as a path."""
    for key, name in yaml_keys(section).items():
        inner = below(section, name)
        if inner is None:
            yield f"{path}{key}"
        else:
            yield from keys(inner, f"{path}{key}.")


def written(content: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Every key of the file as a path."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from written(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_the_file_says_what_is_built_in() -> None:
    assert load(DEFAULT) == Settings()


def test_the_file_holds_every_setting_in_the_same_order() -> None:
    content = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    patterns = "prometheus.metrics.podPatterns"
    single = dict.fromkeys(
        patterns if key.startswith(f"{patterns}.") else key for key in written(content)
    )
    assert list(single) == list(keys(Settings))


NAMES_ITSELF = {"keyFile", "critical", "normal", "best-effort", "lowest", "highest", "address"}
"""Keys whose comment stands at their neighbour or their section."""


def test_every_other_setting_of_the_file_has_a_comment_above_its_first_mention() -> None:
    lines = DEFAULT.read_text(encoding="utf-8").splitlines()
    first = {line.split(":")[0].strip(): number for number, line in reversed([*enumerate(lines)])}
    names = {path.split(".")[-1] for path in keys(Settings)} | set(yaml_keys(Settings))
    bare = {name for name in names if not lines[first[name] - 1].strip().startswith("#")}
    assert bare <= NAMES_ITSELF


def test_defaults_are_those_of_the_control_law() -> None:
    policy = Settings().policy(dry_run=False)
    tiers = {
        name: (tier.gc_share_target, tier.memory_set_point, tier.gogc_lowest, tier.gogc_highest)
        for name, tier in policy.profiles.items()
    }
    assert tiers == {
        "critical": (0.03, 0.90, 100, 1600),
        "normal": (0.04, 0.90, 75, 1600),
        "best-effort": (0.08, 0.90, 50, 1600),
    }
    assert [tier.cooldown_seconds for tier in policy.profiles.values()] == [1800, 900, 600]
    cascade = {
        name: (tier.gc_share_least, tier.latency_quantile, tier.latency_target_seconds)
        for name, tier in policy.profiles.items()
    }
    assert cascade == {
        "critical": (0.01, "p99", 0.01),
        "normal": (0.02, "p95", 0.1),
        "best-effort": (0.04, "p95", None),
    }
    assert not any(tier.goes_off for tier in policy.profiles.values())
    assert policy.law.slowest_cycles_per_second == 1 / 60
    assert policy.timing.rate_window_seconds == 60
    assert policy.default_profile in policy.profiles
    assert not policy.dry_run


def test_the_guards_defaults_are_those_that_the_core_has_for_itself() -> None:
    closed = ChangeWindows(())
    guards = Settings().policy(dry_run=False).guards
    assert guards == replace(GuardRules(), closed=closed)
