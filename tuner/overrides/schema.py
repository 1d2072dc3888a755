"""What may stand in an entry: its keys, and the types and units of their values.

The text is read without YAML's guesses at types, so every value arrives here as text.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from tuner.cluster.quantity import memory_bytes
from tuner.model.duration import parse_duration
from tuner.model.policy import GOGC_GREATEST, ProfileName
from tuner.model.workload import Kind
from tuner.overrides.entry import Bounds, Entry, Match
from tuner.settings.duration import Duration
from tuner.settings.section import Count, Ratio, Section

_MEMORY_LEAST_BYTES = 1 << 20
"""GOMEMLIMIT is written in whole MiB."""
_LASTS_LONGEST_SECONDS = 10 * 365 * 86400
_NAME_CHARACTERS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_GLOB_CHARACTERS = re.compile(r"[-a-z0-9.*?\[\]!]{1,253}")
_FOR = re.compile(r"for\s+(.*)")
_RIGHT_EXPIRY = 'write a time such as 2026-12-01T00:00:00Z, or "for 2h"'


def is_name(text: str) -> bool:
    """Whether an entry can be called so."""
    return _NAME_CHARACTERS.fullmatch(text) is not None


def _name(text: object) -> object:
    if isinstance(text, str) and not is_name(text):
        raise ValueError(f"{text!r} is not a name: use up to 63 letters, digits, '-', '_' and '.'")
    return text


def _glob(text: object) -> object:
    if isinstance(text, str) and not _GLOB_CHARACTERS.fullmatch(text):
        raise ValueError(
            f"{text!r} fits no name in a cluster: use a-z, 0-9, '-', '.' and the wildcards *, ? "
            "and [a-c]"
        )
    return text


def _memory(value: object) -> int:
    """Bytes of an amount with a suffix of Go (MiB) or of Kubernetes (Mi)."""
    text = str(value).strip()
    quantity = text.removesuffix("B") if text.endswith("iB") else text
    try:
        amount = memory_bytes(quantity)
    except ValueError:
        raise ValueError(f"{text!r} is not an amount of memory: write one such as 700MiB") from None
    if amount < _MEMORY_LEAST_BYTES:
        raise ValueError(f"{text!r} is less than 1MiB: write an amount such as 700MiB")
    return amount


def _ends(text: str) -> float:
    """Seconds since the epoch of a time with its zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: {_RIGHT_EXPIRY}") from None
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: {_RIGHT_EXPIRY}")
    try:
        return time.astimezone(UTC).timestamp()
    except OverflowError:
        raise ValueError(f"{text!r} is not a time that UTC has: {_RIGHT_EXPIRY}") from None


def _lasts(text: str) -> float:
    """Seconds of a duration, not so long that it can only be a slip."""
    seconds = parse_duration(text)
    if not 0 < seconds <= _LASTS_LONGEST_SECONDS:
        raise ValueError(f"for {text} is not between nothing and ten years: {_RIGHT_EXPIRY}")
    return seconds


def _expiry(value: object) -> tuple[float | None, float | None]:
    """When it ends and how long it lasts: one of them."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a time: {_RIGHT_EXPIRY}")  # noqa: TRY004 - pydantic's
    lasts = _FOR.fullmatch(value.strip())
    return (None, _lasts(lasts[1])) if lasts else (_ends(value.strip()), None)


Name = Annotated[str, BeforeValidator(_name)]
Glob = Annotated[str, BeforeValidator(_glob)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Gogc = Annotated[Count, Field(ge=1, le=GOGC_GREATEST)]
Memory = Annotated[int, BeforeValidator(_memory)]
Amount = TypeVar("Amount", bound=int)
Expiry = Annotated[tuple[float | None, float | None], BeforeValidator(_expiry)]


class Part(Section):
    """A part of the overrides: as a section of the settings, by the keys of its YAML."""

    model_config = ConfigDict(alias_generator=to_camel)


class Choice(Part):
    """A part of which at least one key is set."""

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.model_fields_set:
            keys = ", ".join(each.alias or "" for each in type(self).model_fields.values())
            raise ValueError(f"says nothing: set one of {keys}")
        return self


class MatchPart(Part):
    """Which workloads."""

    namespace: Glob
    name: Glob
    kind: Kind | None = None

    def match(self) -> Match:
        """The same as the core knows it."""
        return Match(self.namespace, self.name, self.kind)


class Pin(Choice):
    """Values to write whatever the loops ask for."""

    gogc: Gogc | None = None
    memory_limit: Memory | None = None
    barrier: Annotated[Count, Field(ge=1)] | None = None
    immediate: bool = False

    @model_validator(mode="after")
    def _pin_something(self) -> Self:
        if self.model_fields_set == {"immediate"}:
            raise ValueError("pins nothing: set gogc, memoryLimit or barrier")
        return self


class Range(Choice, Generic[Amount]):
    """A range, open on a side that is not set."""

    lowest: Amount | None = None
    highest: Amount | None = None

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.lowest is not None and self.highest is not None and self.lowest > self.highest:
            raise ValueError(f"lowest {self.lowest} is above highest {self.highest}")
        return self

    def bounds(self) -> Bounds:
        """The same as the core knows it."""
        return Bounds(self.lowest, self.highest)


class BoundsPart(Choice):
    """Ranges that win over the profile's."""

    gogc: Range[Gogc] | None = None
    memory_limit: Range[Memory] | None = None


class Targets(Choice):
    """Set points that win over the profile's."""

    gc_share: Annotated[Ratio, Field(lt=0.95)] | None = None
    latency: Duration | None = None


class EntryPart(Part):
    """One entry."""

    name: Name
    match: MatchPart
    freeze: bool = False
    pin: Pin | None = None
    bounds: BoundsPart | None = None
    targets: Targets | None = None
    profile: ProfileName | None = None
    reason: Words
    expires: Expiry | None = None

    @model_validator(mode="after")
    def _do_something(self) -> Self:
        if not (self.freeze or self.pin or self.bounds or self.targets or self.profile):
            raise ValueError(
                "does nothing: set freeze: true, pin, bounds, targets or profile, or take it out"
            )
        return self

    def entry(self, digest: str) -> Entry:
        """The same as the core knows it.

        Args:
            digest: Of all that the entry says.
        """
        ends_at, lasts_seconds = self.expires or (None, None)
        whole = Entry(
            name=self.name,
            match=self.match.match(),
            reason=self.reason,
            digest=digest,
            freeze=self.freeze,
            profile=None if self.profile is None else self.profile.value,
            ends_at=ends_at,
            lasts_seconds=lasts_seconds,
        )
        return self._with_targets(self._with_bounds(self._with_pin(whole)))

    def _with_pin(self, entry: Entry) -> Entry:
        if self.pin is None:
            return entry
        return replace(
            entry,
            pin_gogc=self.pin.gogc,
            pin_memory_limit_bytes=self.pin.memory_limit,
            pin_barrier=self.pin.barrier,
            immediate=self.pin.immediate,
        )

    def _with_bounds(self, entry: Entry) -> Entry:
        if self.bounds is None:
            return entry
        gogc, memory_limit = self.bounds.gogc, self.bounds.memory_limit
        return replace(
            entry,
            gogc_bounds=None if gogc is None else gogc.bounds(),
            memory_limit_bounds=None if memory_limit is None else memory_limit.bounds(),
        )

    def _with_targets(self, entry: Entry) -> Entry:
        if self.targets is None:
            return entry
        return replace(
            entry,
            gc_share_target=self.targets.gc_share,
            latency_target_seconds=self.targets.latency,
        )


def _none_left(value: object) -> object:
    """A key without a value is what is left when all entries are taken out."""
    return () if value == "" else value


class Top(Part):
    """The whole text, its entries still unread."""

    paused: bool = False
    overrides: Annotated[tuple[Any, ...], BeforeValidator(_none_left)] = ()
