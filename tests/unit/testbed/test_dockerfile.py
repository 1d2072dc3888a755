from __future__ import annotations

import re

import pytest

from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.dockerfile import Config, DockerfileError, Stage, Step, read_dockerfile
from tuner.settings import Settings
from tuner.settings.names import variable

TWO_STAGES = """
ARG BASE=python:slim
# What builds.
FROM ${BASE} AS build
RUN one \\
 && two
# Not a step.
FROM $BASE
COPY --from=build /opt/it /opt/it
"""


def final() -> tuple[Stage, Config]:
    """The last stage of gc-tuner's own Dockerfile, and what it says of containers."""
    *_, last = read_dockerfile((REPOSITORY / "Dockerfile").read_text())
    config = Config({"PATH": "/usr/bin"})
    for step in last.steps:
        config.take(step)
    return last, config


def test_a_dockerfile_is_stages_of_steps_with_their_flags() -> None:
    build, last = read_dockerfile(TWO_STAGES)
    assert build == Stage("python:slim", "build", (Step("RUN", {}, "one   && two"),))
    (copy,) = last.steps
    assert (copy.flags, copy.pair()) == ({"from": "build"}, ("/opt/it", "/opt/it"))


@pytest.mark.parametrize(
    "text",
    [
        "FROM it\nADD a b",
        "FROM it\nSHELL ['sh']",
        "FROM it\nARG LATE=1",
        "FROM it\nRUN --mount=type=cache true",
        "FROM it\nCOPY --chown=1 a b",
        "FROM --platform=linux it",
        "FROM $UNSET",
        "ARG NOTHING\nFROM it",
        "RUN true",
    ],
)
def test_what_is_not_known_is_refused_and_not_passed_over(text: str) -> None:
    with pytest.raises(DockerfileError):
        read_dockerfile(text)


@pytest.mark.parametrize(
    "step",
    [
        Step("CMD", {}, "python -m tuner"),
        Step("ENTRYPOINT", {}, '"python"'),
        Step("HEALTHCHECK", {}, "NONE"),
        Step("ENV", {}, "NAME value"),
        Step("ENV", {}, "NAME=$UNSET"),
    ],
)
def test_what_would_mean_something_else_to_an_engine_is_refused(step: Step) -> None:
    with pytest.raises(DockerfileError):
        Config({}).take(step)


def test_a_variable_may_refer_to_what_the_base_image_sets() -> None:
    config = Config({"PATH": "/bin"})
    config.take(Step("ENV", {}, "PATH=/opt/bin:$PATH HOME=/home"))
    assert config.environment == {"PATH": "/opt/bin:/bin", "HOME": "/home"}


def test_the_image_is_of_a_user_by_number_and_not_of_root() -> None:
    _, config = final()
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config.user), "runAsNonRoot wants to see a number"


def test_the_health_check_and_the_port_are_those_of_the_default_configuration() -> None:
    last, config = final()
    port = str(Settings().http.port)
    (exposed,) = (step.text for step in last.steps if step.name == "EXPOSE")
    assert exposed == port
    assert f"('{variable(('http', 'port'))}', '{port}')" in config.healthcheck[-1]


def test_packages_come_by_hash_from_the_lock_alone() -> None:
    build, _ = read_dockerfile((REPOSITORY / "Dockerfile").read_text())
    installs = re.findall(r"pip install ([^&]*)", " && ".join(s.text for s in build.steps))
    assert [each.split() for each in installs] == [
        ["--require-hashes", "--no-compile", "--requirement", "requirements.txt"]
    ]


def test_the_default_arguments_name_the_configuration_that_is_in_the_image() -> None:
    build, _ = read_dockerfile((REPOSITORY / "Dockerfile").read_text())
    copied = dict(step.pair() for step in build.steps if step.name == "COPY")
    _, config = final()
    assert config.arguments == ("run", "--config", copied["config/default.yaml"])
    assert config.entrypoint == ("python", "-m", "tuner")
