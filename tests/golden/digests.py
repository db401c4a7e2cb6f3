"""From an outputs folder to the lines that are pinned: name of an output and of a part of it, class, digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tests.golden.masks import Mask, in_order, masked
from tests.notebooks.prepare import OLDER_VERSION

EXACT, WORLD, FLOAT = "=", "-", "~"
"""Classes: the same on every CPU; the same where worlds have the same fingerprints; the same where the probe is."""
_PARTS: Final = {EXACT: "policies", WORLD: "integers", FLOAT: "floats"}
"""How the lines of a run that is pinned as a whole are called."""
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_CPU_DEPENDENT: Final = re.compile(r'\d\.\d|\de-\d|"bytes"')
"""A float, or the size of a file."""
_PARTITION: Final = re.compile(
    r"(?:seed|manifest_fingerprint|parameter_hash|run_id|scenario_id|utc_day|segment)=[^/]*/"
)
_HOLDS_CLOCK: Final = re.compile(r"reports/.*|runs/.*(?:run_receipt\.json|\.jsonl|\.log)|worlds/[^/]*/world\.json")
MAIN_RUNS: Final = ("published_42", "civil_time_42", "remediated_42", "published_42_rerun")
_TEXTS: Final = (".json", ".jsonl", ".md", ".csv", ".log", ".txt", ".yaml", ".flag", ".end")


class Pin(NamedTuple):
    """Class and digest of one part of an output."""

    kind: str
    digest: str


@dataclass
class Outputs:
    """The files of an outputs folder by the names under which they are pinned.

    A run is named by posture and seed, a world by what it was reopened with; partitions and ids are left out of names,
    and stand in the run's or world's own line, `#paths`.
    """

    folder: Path
    masks_used: dict[Mask, int] = field(default_factory=dict)

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """Name to its files; records of a run that went on after midnight are several."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.folder).parts):
                found[self._name(path)].append(path)
        parts = [name for name, paths in found.items() if len(paths) > 1 and not name.endswith(".jsonl")]
        assert not parts, f"several files have one name: {parts}"
        return dict(sorted(found.items()))

    @cached_property
    def roles(self) -> dict[str, str]:
        """Id of a run or world to its role."""
        receipts = [json.loads(path.read_text()) for path in self.folder.glob("runs/*/run_receipt.json")]
        found = {receipt["run_id"]: _role(receipt) for receipt in receipts}
        for path in self.folder.glob("worlds/*/world.json"):
            found[path.parent.name] = "reopened" if (path.parent / "config/ancestry.json").is_file() else "tiny"
        assert len(set(found.values())) == len(found), f"two runs or worlds have one role: {found}"
        return found

    def documents(self) -> Iterator[tuple[str, str]]:
        """Name and masked text of every output that is text."""
        for name, paths in self.files.items():
            if name.endswith(_TEXTS):
                yield name, self._text(name, paths)

    def pins(self) -> dict[str, Pin]:
        """Every line that is pinned."""
        found = {f"{name}#paths": pin for name, pin in self._paths()}
        for name, paths in self.files.items():
            if name.endswith(".parquet"):
                parts = _parquet(paths[0], EXACT if name.startswith("worlds/") else WORLD)
            elif name.endswith(_TEXTS):
                parts = self._parts(name, self._text(name, paths))
            else:
                parts = {"bytes": Pin(FLOAT, _sha256(paths[0].read_bytes()))}
            found |= {f"{name}#{part}": pin for part, pin in parts.items()}
        return dict(sorted(_summarised(found).items()))

    def _name(self, path: Path) -> str:
        name = path.relative_to(self.folder).as_posix()
        for one, role in self.roles.items():
            name = name.replace(f"_{one}", "").replace(one, role)
        return _PARTITION.sub("", name)

    def _paths(self) -> Iterator[tuple[str, Pin]]:
        """Where the files of each run and world lie below its root."""
        for one, role in self.roles.items():
            (root,) = (root for kind in ("runs", "worlds") if (root := self.folder / kind / one).is_dir())
            paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
            text = re.sub(r"utc_day=[\d-]+", "utc_day=", "\n".join(path for path in paths if "/." not in f"/{path}"))
            yield f"{root.parent.name}/{role}", Pin(WORLD, _sha256(text.encode()))

    @cached_property
    def _clocked(self) -> dict[str, str]:
        """Digest of every file that holds something masked to the file's name."""
        files = {name: path for name, paths in self.files.items() for path in paths if _HOLDS_CLOCK.fullmatch(name)}
        return {_sha256(path.read_bytes()): name for name, path in reversed(files.items())}

    @cached_property
    def _identities(self) -> set[str]:
        """Digests that are ids: they hold on every CPU."""
        return set(_DIGEST.findall("\n".join(path.as_posix() for paths in self.files.values() for path in paths)))

    def _text(self, name: str, paths: Sequence[Path]) -> str:
        text = "".join(path.read_text(encoding="utf-8") for path in paths).replace(str(self.folder), "OUTPUTS")
        text = _DIGEST.sub(lambda match: self._clocked.get(match[0], match[0]), text)
        return in_order(name, masked(name, text, self.masks_used))

    def _parts(self, name: str, text: str) -> dict[str, Pin]:
        """Parts of a text: of a JSON document its fields, or its columns where it is a list of objects."""
        found = {"text": text, **_fields(name, text)}
        kinds = {part: self._kind(name, f'"{part.removeprefix("[].")}" {value}') for part, value in found.items()}
        return {part: Pin(kinds[part], _sha256(value.encode())) for part, value in found.items()}

    def _kind(self, name: str, text: str) -> str:
        if "/policies/" in name:  # copies of what ships
            return EXACT
        digests = set(_DIGEST.findall(text)) - self._identities
        return FLOAT if digests or _CPU_DEPENDENT.search(text) else WORLD


def _role(receipt: Mapping[str, Any]) -> str:
    """What a run is called: posture and seed, and how it differs from the first run of these."""
    older = "older_" if receipt["library_version"] == OLDER_VERSION else ""
    child = "_rerun" if receipt["parent_run"] else ""
    nonce = f"_{receipt['nonce']}" if receipt["nonce"] else ""
    return f"{older}{receipt['posture']}_{receipt['seed']}{child}{nonce}"


def _fields(name: str, text: str) -> dict[str, str]:
    """The fields of a JSON document, or the columns of a list of objects; nothing of other texts."""
    if not name.endswith((".json", ".jsonl")):
        return {}
    document = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    if isinstance(document, list):
        names = sorted({key for row in document for key in row})
        document = {f"[].{key}": [row.get(key) for row in document] for key in names}
    return {key: json.dumps(value, sort_keys=True, ensure_ascii=False) for key, value in document.items()}


def _parquet(path: Path, without_floats: str) -> dict[str, Pin]:
    """The columns of a file, and its bytes, which may hold a fingerprint; the class of what has no floats is given."""
    with pq.ParquetFile(path) as file:
        table = file.read().combine_chunks()
    kinds = {name: _column_kind(table.schema.field(name).type, without_floats) for name in table.column_names}
    pins = {name: Pin(kind, _sha256(_column_bytes(table.column(name)))) for name, kind in kinds.items()}
    return {**pins, "bytes": Pin(max(WORLD, *kinds.values()), _sha256(path.read_bytes()))}


def _column_kind(kind: pa.DataType, without_floats: str) -> str:
    return FLOAT if "double" in str(kind) or "float" in str(kind) else without_floats


def _column_bytes(column: pa.ChunkedArray) -> bytes:
    """A column's type and values: not what lies under a null, nor in which order a dictionary is."""
    values = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    sink = pa.BufferOutputStream()
    for part in (values.is_null(), values.drop_null()):
        array = part.combine_chunks()
        with pa.ipc.new_stream(sink, pa.schema([("", array.type)])) as stream:
            stream.write_batch(pa.record_batch([array], names=[""]))
    return str(column.type).encode() + bytes(sink.getvalue())


def _summarised(pins: Mapping[str, Pin]) -> dict[str, Pin]:
    """Runs other than the four main ones get one line for each class, over all that they hold."""
    found: dict[str, Pin] = {}
    several: dict[str, list[str]] = defaultdict(list)
    for name, pin in pins.items():
        kind, _, rest = name.partition("/")
        run = rest.split("/")[0].split("#")[0]
        if kind != "runs" or run in MAIN_RUNS or "/" not in rest:
            found[name] = pin
        else:
            several[f"runs/{run}#{_PARTS[pin.kind]}"].append(f"{name} {pin.digest}")
    kinds = {part: kind for kind, part in _PARTS.items()}
    lines = {name: "\n".join(sorted(parts)).encode() for name, parts in several.items()}
    return {**found, **{name: Pin(kinds[name.split("#")[1]], _sha256(text)) for name, text in lines.items()}}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
