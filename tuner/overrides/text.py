"""The YAML of the overrides, without YAML's guesses: mappings, lists and text.

YAML takes a bare ``2026-12-01`` for a date, ``off`` for false and ``1:30`` for ninety; here each is
the text that stands there, and whoever knows the key says what it means. Aliases are refused: they
let a few lines stand for gigabytes.
"""

import yaml

from tuner.overrides.complaint import one_line


class UnreadableError(ValueError):
    """The text is not YAML that can be used; the message has the line and what is wrong."""


class BadKeyError(ValueError):
    """A key is no text, or there twice, so that nobody can know which of the values is meant."""


class _Loader(yaml.BaseLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # the library's
            raise yaml.composer.ComposerError(
                None, None, "an alias (*name) is not supported: write out what it stands for", mark
            )
        return super().compose_node(parent, index)


def compose(text: str) -> yaml.Node | None:
    """The nodes of the text; None where there is nothing but comments.

    Raises:
        UnreadableError: It is not valid YAML.
    """
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnreadableError(one_line(f"{line}not valid YAML: {error.problem}")) from error
    except yaml.YAMLError as error:
        raise UnreadableError(one_line(f"not valid YAML: {error}")) from error
    except RecursionError:
        raise UnreadableError("not valid YAML: nested too deeply") from None


def content(node: yaml.Node) -> object:
    """What a node holds, as mappings, lists and text.

    Raises:
        BadKeyError: A key of a mapping in it is there twice, or is no text.
    """
    match node:
        case yaml.MappingNode():
            return {key: content(value) for key, value in fields(node).items()}
        case yaml.SequenceNode():
            return [content(item) for item in node.value]
        case _:
            return node.value


def fields(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    """The nodes of a mapping by their keys.

    Raises:
        BadKeyError: A key is there twice, or is no text.
    """
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadKeyError(f"a list or mapping stands where a key belongs, on line {line}")
        if key.value in found:
            raise BadKeyError(f"key {key.value} is there twice, again on line {line}")
        found[key.value] = value
    return found
