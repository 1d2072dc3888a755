"""Reads a Dockerfile: the part of its language that gc-tuner's own is written in, and no more.

What is not known is an error, so that nothing of a Dockerfile is passed over.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_KNOWN = frozenset(
    {"CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "USER", "WORKDIR"}
)
_FLAGS: Mapping[str, frozenset[str]] = {
    "COPY": frozenset({"from"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period"}),
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_AS_NAME = 2


class DockerfileError(ValueError):
    """A Dockerfile, or something in it, that is not understood."""


@dataclass(frozen=True)
class Step:
    """One instruction.

    Attributes:
        name: in capitals.
        flags: `--name=value` in front of the rest.
        text: the rest, on one line.
    """

    name: str
    flags: Mapping[str, str]
    text: str

    def __str__(self) -> str:
        flags = "".join(f"--{name}={value} " for name, value in self.flags.items())
        return f"{self.name} {flags}{self.text}"

    def pair(self) -> tuple[str, str]:
        """Return what is copied, and where to.

        Raises:
            DockerfileError: there are more or fewer than two.
        """
        words = shlex.split(self.text)
        if len(words) != 2:
            raise DockerfileError(f"{self}: want one source and one target")
        return words[0], words[1]

    def command(self) -> tuple[str, ...]:
        """Return the words of a command.

        Raises:
            DockerfileError: it is not in the exec form: with a shell, signals would not arrive.
        """
        try:
            words = json.loads(self.text)
        except ValueError:
            words = None
        if not isinstance(words, list):
            raise DockerfileError(f'{self}: want a list such as ["python", "-m", "tuner"]')
        return tuple(map(str, words))

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return what an ENV instruction sets.

        Args:
            environment: what its values may refer to.

        Raises:
            DockerfileError: it is not `NAME=value ...`, or refers to something else.
        """
        pairs = [word.partition("=") for word in shlex.split(self.text)]
        if not all(equals for _, equals, _ in pairs):
            raise DockerfileError(f"{self}: want NAME=value")
        return {name: substitute(value, environment) for name, _, value in pairs}


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next.

    Attributes:
        base: image that it starts from.
        name: what later stages call it; empty for none.
        steps: its instructions.
    """

    base: str
    name: str
    steps: tuple[Step, ...]


@dataclass
class Config:
    """What an image says of its containers.

    Attributes:
        environment: variables, those of the base image among them.
        working_directory: where the command starts.
        user: `uid:gid`; empty for root.
        entrypoint: the command.
        arguments: what follows it, where a container says nothing else.
        healthcheck: command that ends with 0 in a healthy container.
    """

    environment: dict[str, str]
    working_directory: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = field(default=())

    def take(self, step: Step) -> bool:
        """Take in what a step says of containers; return False for one that says nothing of them.

        Raises:
            DockerfileError: it cannot be understood.
        """
        match step.name:
            case "ENV":
                self.environment |= step.variables(self.environment)
            case "WORKDIR":
                self.working_directory = step.text
            case "USER":
                self.user = step.text
            case "ENTRYPOINT":
                self.entrypoint = step.command()
            case "CMD":
                self.arguments = step.command()
            case "HEALTHCHECK":
                self.healthcheck = _after_cmd(step).command()
            case "EXPOSE":
                pass
            case _:
                return False
        return True


def _after_cmd(step: Step) -> Step:
    keyword, _, rest = step.text.partition(" ")
    if keyword != "CMD":
        raise DockerfileError(f"{step}: want CMD")
    return Step(step.name, step.flags, rest.strip())


def read_dockerfile(text: str) -> tuple[Stage, ...]:
    """Return the stages of a Dockerfile.

    Raises:
        DockerfileError: something in it is not known.
    """
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for step in _steps(text):
        if step.name == "ARG" and not stages:
            name, equals, value = step.text.partition("=")
            if not equals:
                raise DockerfileError(f"{step}: want a default, as NAME=value")
            arguments[name] = value
        elif step.name == "FROM":
            stages.append(_stage(step, arguments))
        elif step.name not in _KNOWN or not stages:
            raise DockerfileError(f"{step}: an instruction that is not known here")
        elif step.flags.keys() - _FLAGS.get(step.name, frozenset()):
            raise DockerfileError(f"{step}: a flag that is not known")
        else:
            last = stages.pop()
            stages.append(Stage(last.base, last.name, (*last.steps, step)))
    return tuple(stages)


def _stage(step: Step, arguments: Mapping[str, str]) -> Stage:
    base, *rest = substitute(step.text, arguments).split()
    if step.flags or (rest and (len(rest) != _AS_NAME or rest[0].upper() != "AS")):
        raise DockerfileError(f"{step}: want FROM image, or FROM image AS name")
    return Stage(base, rest[-1] if rest else "", ())


def _steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    for line in joined.splitlines():
        words = line.strip()
        if words:
            name, _, rest = words.partition(" ")
            yield _step(name.upper(), rest.split(" "))


def _step(name: str, words: Sequence[str]) -> Step:
    flags: dict[str, str] = {}
    rest = list(words)
    while rest and (not rest[0] or rest[0].startswith("--")):
        flag, _, value = rest.pop(0).removeprefix("--").partition("=")
        if flag:
            flags[flag] = value
    return Step(name, flags, " ".join(rest).strip())


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Return the text with its variables, $NAME or ${NAME}, as they are set.

    Raises:
        DockerfileError: one is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in variables:
            raise DockerfileError(f"{text}: {name} is not set")
        return variables[name]

    return _VARIABLE.sub(value, text)
