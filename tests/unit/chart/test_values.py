"""The chart's files keep up with the settings, and with each other."""

import contextlib
import re
from collections.abc import Iterator, Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.chart.schema import CHART, FILE, FROM_OTHER_VALUES, Part, Values, text
from tuner.cluster.wellformed import require_well_formed
from tuner.errors import RefusedError
from tuner.model.workload import BARRIER, GOGC, GOMEMLIMIT, TUNED
from tuner.settings.names import below, yaml_path
from tuner.settings.operator import Settings
from tuner.settings.reload import HOT
from tuner.version import VERSION

LINES = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
CONTENT = yaml.safe_load("\n".join(LINES))


def fields(part: type[Part], path: str = "") -> Iterator[str]:
    """Every value that the chart has, as a path."""
    for field in part.model_fields.values():
        kind = field.annotation
        name = f"{path}{field.alias}"
        if isinstance(kind, type) and issubclass(kind, Part):
            yield from fields(kind, f"{name}.")
        else:
            yield name


def written(content: Mapping[str, object], known: set[str], path: str = "") -> Iterator[str]:
    """Every value of values.yaml, as a path."""
    for key, value in content.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping) and name not in known:
            yield from written(value, known, f"{name}.")
        else:
            yield name


def test_the_schema_is_that_of_the_settings() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run: make schema"


def test_values_yaml_has_every_value_in_the_order_of_the_schema() -> None:
    known = list(fields(Values))
    assert list(written(CONTENT, set(known))) == known


def test_every_value_has_a_comment_above_it() -> None:
    leaves = [*fields(Values), *(f"config.{key}" for key in CONTENT["config"])]
    for path in leaves:
        if path == "config":
            continue  # its keys have one each
        assert _comment_of(path).startswith("# -- "), path


def _comment_of(path: str) -> str:
    """First line of the block of comments above a value."""
    at = 0
    for depth, key in enumerate(path.split(".")):
        at = next(n for n in range(at, len(LINES)) if LINES[n].startswith(f"{'  ' * depth}{key}:"))
    block = at
    while LINES[block - 1].strip().startswith("#"):
        block -= 1
    return LINES[block].strip() if block < at else ""


def test_what_the_chart_sets_itself_are_settings() -> None:
    sections = {
        section.__name__: section
        for name in Settings.model_fields
        if (section := below(Settings, name)) is not None
    }
    for name, keys in FROM_OTHER_VALUES.items():
        known = {field.serialization_alias for field in sections[name].model_fields.values()}
        assert set(keys) <= known


def test_pods_are_replaced_for_what_cannot_change_while_gc_tuner_runs_and_nothing_else() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text(encoding="utf-8")
    (hot,) = re.findall(r"\$hot := list (.*) -}}", helpers)
    assert set(re.findall(r'"(\w+)"', hot)) == {yaml_path((each,)) for each in HOT}


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == VERSION


def policed(name: str, value: str) -> bool:
    """Whether the admission policy lets a value pass."""
    template = (CHART / "templates" / "_cel.tpl").read_text(encoding="utf-8")
    place = r"\{\{ \. \}\}" if name == BARRIER else f"'{name}'"
    (pattern,) = re.findall(f"{place}: '([^']+)'", template)
    return re.search(pattern.removesuffix("$") + r"\Z", value) is not None  # `$` as RE2 has it


@given(name=st.sampled_from(TUNED), data=st.data())
def test_the_admission_policy_lets_pass_what_gc_tuner_writes(
    name: str, data: st.DataObject
) -> None:
    units = st.sampled_from(["", "B", "KiB", "MiB", "GiB", "TiB", "Mi", "%", ".0", "\n"])
    number = st.integers(0, 10**16).map(str)
    value = data.draw(st.just("off") | st.builds(str.__add__, number, units))
    with contextlib.suppress(RefusedError):
        require_well_formed("", name, value)
        assert policed(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in TUNED for value in ("", "0", "on", "-1", "$(X)", " 1", "1\n")),
        *((GOGC, value) for value in ("330.0", "100%", "1000000")),
        *((GOMEMLIMIT, value) for value in ("715Mi", "1G", "1.5GiB", "0MiB")),
        (BARRIER, "off"),
    ],
)
def test_the_admission_policy_refuses_what_go_would_not_take(name: str, value: str) -> None:
    assert not policed(name, value)
