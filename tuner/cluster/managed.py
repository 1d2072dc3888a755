"""Managed fields: who owns what in an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class ManagedFields(msgspec.Struct, frozen=True, rename="camel"):
    """What one field manager owns of an object."""

    manager: str = ""
    subresource: str = ""
    fields_v1: msgspec.Raw = msgspec.Raw(b"{}")


_FIELDS = msgspec.json.Decoder()


def owners(
    managed: Iterable[ManagedFields], name: str, holds: Callable[[Any], bool]
) -> tuple[str, ...]:
    """Field managers that own an entry, whole or in part; sorted.

    Args:
        managed: The object's managed fields.
        name: Of the entry.
        holds: Whether a manager's tree of fieldsV1 reaches the entry.
    """
    quoted = name.encode()
    return tuple(
        sorted(
            {
                each.manager
                for each in managed
                # Cheap to rule out: most managers have never heard of the name.
                if not each.subresource
                and quoted in bytes(each.fields_v1)
                and holds(_FIELDS.decode(each.fields_v1))
            }
        )
    )
