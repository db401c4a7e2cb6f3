"""Postures: the nine policy files, and named sets of changes to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from segment5b_lib.contract.policies import POLICIES, Policies, value_at
from segment5b_lib.errors import PolicyError, UsageError
from segment5b_lib.store.documents import read_yaml, validated
from segment5b_lib.store.roots import parameters_folder


class _Posture(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    changes: dict[str, Any]


def posture_names() -> list[str]:
    return sorted(path.stem for path in (parameters_folder() / "postures").glob("*.yaml"))


def load_posture(name: str) -> Policies:
    if name not in posture_names():
        raise UsageError(
            "5B.POLICY.UNKNOWN_POSTURE",
            f"there is no posture {name!r}",
            expected=", ".join(posture_names()),
            found=name,
        )
    changes = load_changes(parameters_folder() / "postures" / f"{name}.yaml")
    return with_changes(load_policies(parameters_folder() / "policies"), changes)


def load_changes(path: Path) -> dict[str, Any]:
    """The changes in a file that has a posture's form, e.g. a candidate that calibration has solved."""
    return validated(_Posture, read_yaml(path), str(path)).changes


def load_policies(folder: Path) -> Policies:
    """The nine policy files of a folder, checked strictly."""
    policies = {}
    for name, file_id in POLICIES.items():
        path = folder / f"{file_id}.yaml"
        model = Policies.model_fields[name].annotation
        assert isinstance(model, type)
        policies[name] = validated(model, read_yaml(path), str(path))
    return Policies(**policies)


def with_changes(policies: Policies, changes: Mapping[str, Any]) -> Policies:
    """Policies with some keys set, e.g. ``{"routing.zone_binding": "row_zone"}``.

    A key is the policy's short name or file id, then the path within it. Inner names may be left out as
    long as exactly one key of that policy ends so.
    """
    if not changes:
        return policies
    documents = policies.model_dump(mode="json")
    for key, value in changes.items():
        _set(documents, key, value)
    return validated(Policies, documents, f"policies with {dict(changes)}")


def write_policies(policies: Policies, folder: Path) -> None:
    """Write the nine files in the form in which they are read back."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file_id in POLICIES.items():
        text = yaml.safe_dump(policies.document(name), sort_keys=False, allow_unicode=True)
        (folder / f"{file_id}.yaml").write_text(text, encoding="utf-8")


def _policy_name(word: str, key: str) -> str:
    by_id = {file_id: name for name, file_id in POLICIES.items()}
    name = by_id.get(word, word)
    if name not in POLICIES:
        raise _unknown_key(key, f"a policy name first: {', '.join(POLICIES)}")
    return name


def _set(documents: dict[str, Any], key: str, value: Any) -> None:
    word, *path = key.split(".")
    node = documents[_policy_name(word, key)]
    leaves = list(_paths(node))
    matches = [leaf for leaf in leaves if list(leaf) == path] or [
        leaf for leaf in leaves if path and list(leaf[-len(path) :]) == path
    ]
    if len(matches) != 1:
        known = ", ".join(sorted(".".join(leaf) for leaf in matches or leaves))
        raise _unknown_key(key, f"exactly one of: {known}")
    *inner, leaf = matches[0]
    value_at(node, ".".join(inner))[leaf] = value


def _paths(node: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Path of every key of a policy, inner nodes included: a whole node may be set at once."""
    paths: list[tuple[str, ...]] = []
    for name, value in node.items():
        paths.append((*prefix, name))
        if isinstance(value, Mapping):
            paths.extend(_paths(value, (*prefix, name)))
    return paths


def _unknown_key(key: str, expected: str) -> PolicyError:
    return PolicyError("5B.POLICY.UNKNOWN_KEY", f"cannot set {key!r}", where=key, expected=expected, found=key)
