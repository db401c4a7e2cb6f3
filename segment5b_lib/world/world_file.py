"""World files: found by scale name or path, `extends` resolved, single keys changed, then checked strictly.

A file may say `extends: <name>` to start from a file in the same folder; its own keys replace the other's, mapping by
mapping. What the builder sees is the resolved document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from segment5b_lib.errors import PolicyError, UsageError
from segment5b_lib.store.documents import read_yaml, validated
from segment5b_lib.store.roots import parameters_folder
from segment5b_lib.world.spec import WorldSpec

COMMON: Final = "common"
"""The file that the scales extend; not a world by itself."""


def world_names() -> list[str]:
    folder = parameters_folder() / "worlds"
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem != COMMON)


def require_scale(name: str, what: str, where: str) -> None:
    if name not in (known := world_names()):
        raise UsageError("5B.WORLD.UNKNOWN_SCALE", what, where=where, expected=", ".join(known), found=name)


def load_spec(name_or_path: str | Path, changes: Mapping[str, Any] | None = None) -> WorldSpec:
    """Read a world file by scale name (`tiny`) or by path, with some keys set.

    `changes` maps dotted keys (``"merchants.count"``) to values; the key must exist. Errors are
    PolicyError (bad content, with file and key) or UsageError (no such world file).
    """
    path = Path(name_or_path)
    if path.suffix != ".yaml":
        folder = parameters_folder() / "worlds"
        require_scale(str(name_or_path), f"there is no world file {str(name_or_path)!r}", str(folder))
        path = folder / f"{name_or_path}.yaml"
    return validated(WorldSpec, set_keys(_resolved(path), changes or {}), str(path))


def set_keys(document: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a resolved document with dotted keys set; a key that does not exist is a PolicyError."""
    for key, value in changes.items():
        document = _with(document, key.split("."), value, key)
    return document


def _with(node: Any, parts: list[str], value: Any, key: str) -> Any:
    """Entries of a list are addressed by their `rule_id`."""
    if not parts:
        return value
    known = {str(entry.get("rule_id")): i for i, entry in enumerate(node)} if isinstance(node, list) else node
    if not isinstance(known, dict) or parts[0] not in known:
        raise PolicyError(
            "5B.WORLD.UNKNOWN_KEY",
            "a change names a key that a world file does not have",
            where=f"key {key}",
            expected=", ".join(known) if isinstance(known, dict) else "no further key",
            found=parts[0],
        )
    if isinstance(node, list):
        at = known[parts[0]]
        return [*node[:at], _with(node[at], parts[1:], value, key), *node[at + 1 :]]
    return {**node, parts[0]: _with(node[parts[0]], parts[1:], value, key)}


def _resolved(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path in below:
        raise PolicyError(
            "5B.WORLD.EXTENDS_ITSELF",
            "world files extend one another in a circle",
            where=f"{path}, key extends",
            expected="a file that does not lead back here",
            found=" extends ".join(file.stem for file in (*below, path)),
        )
    document = _plain(read_yaml(path))
    if not isinstance(document, dict):
        raise PolicyError("5B.POLICY.INVALID", "a world file is not a mapping", where=str(path))
    base = document.pop("extends", None)
    if base is None:
        return document
    return _merged(_resolved(path.with_name(f"{Path(str(base)).name}.yaml"), (*below, path)), document)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _plain(node: Any) -> Any:
    """YAML reads an unquoted 2026-01-01 as a date; JSON has none."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node.isoformat() if isinstance(node, date) else node
