"""The configuration file while gc-tuner runs: read again when it changed, taken over whole or not.

A mounted ConfigMap changes by a swap of symbolic links, which tells nobody: the file's bytes are
compared before every tick. What the tick goes by may become another; what was opened at the start
(connections, mirrors, the HTTP port, the grid of ticks and rate windows) may not.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tuner.errors import ConfigError
from tuner.model.happening import ConfigRefused, ConfigReloaded
from tuner.ports import Observer
from tuner.settings.complaint import Flags
from tuner.settings.layers import load
from tuner.settings.names import Location, yaml_path
from tuner.settings.operator import Settings
from tuner.settings.section import Section

HOT = frozenset(
    {
        *("mode", "stale_after", "samples_per_window", "revert_pause", "plan_lifetime"),
        *("profiles", "default_profile", "trial", "law", "guards"),
    }
)
"""Fields of the settings that may change while gc-tuner runs: what decisions go by. A new setting
needs a restart until it is named here."""


class ConfigFile:
    """The YAML file of the settings, and the layers over it that cannot change."""

    def __init__(self, path: Path | None, flags: Flags) -> None:
        """Nothing is read before `load`.

        Args:
            path: The YAML file; None: there is none, and it never changes.
            flags: Settings from the command line.
        """
        self._path = path
        self._flags = flags
        self._text: bytes | None = None

    def load(self) -> Settings:
        """The settings that the file makes, under environment and flags.

        Raises:
            ConfigError: They cannot be used; one line per problem.
        """
        self._text = self._read()  # before it is parsed: a change in between is seen next time
        return load(self._path, self._flags)

    def changed(self) -> bool:
        """Whether the file says, or is, something else than when it was last loaded."""
        return self._read() != self._text

    def _read(self) -> bytes | None:
        try:
            return None if self._path is None else self._path.read_bytes()
        except OSError:
            return None  # `load` says what is wrong with it


class Reload:
    """Keeps the settings in force up to the file, and tells of what became of each change."""

    def __init__(self, file: ConfigFile, settings: Settings, observers: Sequence[Observer]) -> None:
        """Nothing is read before `look`.

        Args:
            file: The file that the settings were loaded from.
            settings: Those in force.
            observers: Whom to tell.
        """
        self._file = file
        self._settings = settings
        self._observers = observers
        self._refused = False
        self._unusable = ""
        """What is wrong with the file, as told."""

    def look(self, now: float) -> Settings | None:
        """The settings that come into force now; None where they stay as they are.

        What cannot be used, or would change something that needs a restart, changes nothing at all.

        Args:
            now: Seconds since the Unix epoch.
        """
        if not self._file.changed() and not self._unusable:
            return None
        try:
            found = self._file.load()
        except ConfigError as error:
            words = "; ".join(str(error).splitlines())
            # Looked at again on each tick: what is wrong may be a file that it names.
            if words != self._unusable:
                self._refuse(ConfigRefused(now, words))
            self._unusable = words
            return None
        self._unusable = ""
        changed = tuple(differences(self._settings, found))
        restart = tuple(yaml_path(each) for each in changed if each[0] not in HOT)
        if restart:
            detail = f"{', '.join(restart)} cannot change while gc-tuner runs: restart it"
            self._refuse(ConfigRefused(now, detail, restart))
            return None
        if changed or self._refused:
            self._tell(ConfigReloaded(now, tuple(map(yaml_path, changed))))
        self._refused = False
        self._settings = found
        return found if changed else None

    def _refuse(self, refused: ConfigRefused) -> None:
        self._refused = True
        self._tell(refused)

    def _tell(self, happening: ConfigReloaded | ConfigRefused) -> None:
        for observer in self._observers:
            observer.notify(happening)


def differences(before: Section, after: Section, path: Location = ()) -> Iterator[Location]:
    """Places of the values that differ, in the order of the settings.

    Args:
        before: A section.
        after: The same section with other values.
        path: Its place in the settings.
    """
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, Section) and isinstance(new, Section):
            yield from differences(old, new, (*path, name))
        elif old != new:
            yield (*path, name)
