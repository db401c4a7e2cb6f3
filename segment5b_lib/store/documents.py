"""YAML and JSON files that people write: safe-loaded, bounded in size, validated strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from segment5b_lib.errors import InputError, MissingInputError, PolicyError

MAX_BYTES: Final = 4 * 1024 * 1024
"""No hand-written document is larger; one that is, is not parsed."""

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeys(yaml.CSafeLoader):
    """YAML's safe loader, in C, except that a key given twice is an error instead of a silent overwrite."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"key {key!r} is given twice")
    return yaml.CSafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_text(path: Path, *, bounded: bool = True) -> str:
    """Text of a small document, or a typed error; one that only we write may be of any size."""
    if not path.is_file():
        raise MissingInputError("5B.STORE.FILE_MISSING", "a document is missing", where=str(path))
    size = path.stat().st_size
    if bounded and size > MAX_BYTES:
        raise InputError(
            "5B.STORE.DOCUMENT_TOO_LARGE",
            "a document is larger than any that we write",
            where=str(path),
            expected=f"at most {MAX_BYTES} bytes",
            found=f"{size} bytes",
        )
    return path.read_text(encoding="utf-8")


def read_yaml(path: Path) -> Any:
    try:
        return yaml.load(read_text(path), Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise PolicyError("5B.POLICY.NOT_YAML", "a file is not YAML", where=str(path), found=error) from error


def read_json(path: Path, *, bounded: bool = True) -> Any:
    """Load one JSON document; `bounded` as for `read_text`."""
    try:
        return json.loads(read_text(path, bounded=bounded))
    except ValueError as error:
        raise InputError(
            "5B.STORE.NOT_JSON",
            "a file is not JSON",
            where=str(path),
            found=error,
            next_step="restore the file or rebuild the root it belongs to",
        ) from error


def read_mapping(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(
            "5B.STORE.NOT_AN_OBJECT",
            "a document is no JSON object",
            where=str(path),
            expected="keys and values",
            found=type(document).__name__,
            next_step="restore the file or rebuild the root it belongs to",
        )
    return document


def validated(model: type[Model], document: object, where: str) -> Model:
    """Check a document against a strict model; the error names file, key, expected and found."""
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(whole document)"
        raise PolicyError(
            "5B.POLICY.INVALID",
            f"{first['msg']} ({error.error_count()} problem(s) in all)",
            where=f"{where}, key {key}",
            expected=_expectation(first["type"]),
            found=repr(first.get("input"))[:200],
            next_step=f"correct the file; its keys are described in {model.__module__}",
        ) from error


def _expectation(kind: str) -> str:
    names = {"extra_forbidden": "only known keys", "missing": "the key to be present"}
    return names.get(kind, kind.replace("_", " "))
