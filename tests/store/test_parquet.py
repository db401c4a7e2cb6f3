"""Parquet in and out: schemas are checked, damage is a typed error, row ranges cross files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.store.parquet import read_table, write_table
from segment5b_lib.store.scan import RowRanges

PROFILE = dataset("merchant_zone_profile_5A")


def profile(first, last):
    count = last - first
    return pa.table(
        {
            "merchant_id": pa.array(np.arange(first, last), pa.uint64()),
            "legal_country_iso": ["GB"] * count,
            "tzid": ["Europe/London"] * count,
            "demand_class": ["office_hours"] * count,
            "channel_group": ["mixed"] * count,
            "weekly_volume_expected": np.ones(count),
        }
    )


@pytest.fixture
def folder(tmp_path):
    for part, (first, last) in enumerate([(0, 5), (5, 12), (12, 13)]):
        write_table(tmp_path / PROFILE.file.format(part=part), profile(first, last), PROFILE)
    return tmp_path


def test_parts_are_read_back_in_order_with_the_contracted_schema(folder):
    table = read_table(folder, PROFILE)
    assert table.schema.equals(PROFILE.schema)
    assert table["merchant_id"].to_pylist() == list(range(13))


@pytest.mark.parametrize(("start", "stop"), [(0, 13), (0, 1), (4, 6), (5, 12), (3, 13), (12, 13)])
def test_row_ranges_cross_file_boundaries(folder, start, stop):
    ranges = RowRanges(sorted(folder.glob("*.parquet")), PROFILE)
    assert ranges.rows == 13
    found = ranges.read(["merchant_id", "tzid"], start, stop)
    assert found["merchant_id"].to_pylist() == list(range(start, stop))


def test_equal_tables_give_equal_bytes(folder, tmp_path):
    path = tmp_path / "again.parquet"
    write_table(path, profile(0, 5), PROFILE)
    assert path.read_bytes() == (folder / "part-000000.parquet").read_bytes()


def test_a_missing_folder_and_an_empty_one_are_named(tmp_path):
    with pytest.raises(MissingInputError, match="merchant_zone_profile_5A"):
        read_table(tmp_path / "nowhere", PROFILE)
    with pytest.raises(MissingInputError, match="without Parquet files"):
        read_table(tmp_path, PROFILE)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file_is_named(folder, keep):
    path = folder / "part-000001.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="part-000001") as caught:
        read_table(folder, PROFILE)
    assert caught.value.code == "5B.STORE.NOT_PARQUET"


def test_a_foreign_schema_names_the_column(folder):
    pq.write_table(profile(0, 2).drop_columns(["demand_class"]), folder / "part-000001.parquet")
    with pytest.raises(InputError, match="column demand_class"):
        read_table(folder, PROFILE)


def test_another_type_names_both_types(folder):
    table = profile(0, 2)
    index = table.schema.get_field_index("merchant_id")
    pq.write_table(table.set_column(index, "merchant_id", table["merchant_id"].cast(pa.int32())), folder / "x.parquet")
    with pytest.raises(InputError, match="uint64") as caught:
        read_table(folder, PROFILE)
    assert caught.value.found == "int32"
