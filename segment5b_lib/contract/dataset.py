"""What a dataset is: id, owner, path, columns, key; and the column types that all datasets share.

Paths are POSIX and relative to a root: the world for upstream datasets, the run for 5B's own. `{seed}` is
the world's seed upstream and the run's seed in 5B; both roots use `{mf}` for the manifest fingerprint.
Hive folders (`seed=`, `manifest_fingerprint=`, `scenario_id=`) are readable as columns and are therefore
not stored in the files.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

TS: Final = pa.timestamp("us", tz="UTC")
"""An instant: microseconds since the epoch, UTC."""
WALL: Final = pa.timestamp("us")
"""What a clock on the wall showed: microseconds, no zone."""

UINT64, TEXT, FLOAT64, FLOAT32 = pa.uint64(), pa.string(), pa.float64(), pa.float32()
INT8, INT16, INT32, INT64, FLAG = pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()
CODED: Final = pa.dictionary(INT32, TEXT)
"""Text of few distinct values in a long table."""

SEED: Final = "seed={seed}/manifest_fingerprint={mf}"
MF: Final = "manifest_fingerprint={mf}"
SCENARIO: Final = "/scenario_id={scenario_id}"
PART_FILE: Final = "part-{part:06d}.parquet"


@dataclass(frozen=True)
class Dataset:
    """One dataset's contract.

    `folder` and `file` are templates; `schema` is None for files that are not Parquet. A dataset whose
    `file` holds ``{part`` may consist of several part files, in key order across them. `carries_mf` marks
    members that contain the fingerprint themselves and so cannot be part of what it is computed from.
    """

    dataset_id: str
    segment: str
    folder: str
    file: str
    key: tuple[str, ...] = ()
    schema: pa.Schema | None = None
    carries_mf: bool = False

    @property
    def layer(self) -> str:
        return layer_of(self.segment)

    @property
    def template(self) -> str:
        return f"{self.folder}/{self.file}"

    @property
    def per_scenario(self) -> bool:
        return "{scenario_id}" in self.folder

    @property
    def in_parts(self) -> bool:
        return "{part" in self.file


def layer_of(segment: str) -> str:
    """`layer1` for segments 1A to 3B, `layer2` for 5A and 5B."""
    return "layer2" if segment.startswith("5") else "layer1"


def declare(
    segment: str,
    dataset_id: str,
    key: tuple[str, ...] = (),
    schema: pa.Schema | None = None,
    *,
    name: str = "",
    file: str = PART_FILE,
    seeded: bool = True,
    per_scenario: bool = False,
    carries_mf: bool = False,
) -> Dataset:
    """A dataset in a folder of its segment, called by its id without the segment or by `name`."""
    partitions = (SEED if seeded else MF) + (SCENARIO if per_scenario else "")
    folder = f"data/{layer_of(segment)}/{segment}/{name or dataset_id.removesuffix(f'_{segment}')}/{partitions}"
    return Dataset(dataset_id, segment, folder, file, key, schema, carries_mf)


def fields(nullable: Collection[str] = (), /, **columns: pa.DataType) -> pa.Schema:
    """Schema of columns, never null but for those named."""
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])
