"""Questions in SQL: UTC whatever the machine says, read-only, bounded, no file and no network beyond the folders."""

import duckdb
import polars as pl
import pytest

from segment5b_lib.errors import InputError, UsageError
from segment5b_lib.store.query import connect, q


@pytest.fixture
def connection(tmp_path):
    pl.DataFrame({"n": range(100)}).write_parquet(tmp_path / "numbers.parquet")
    opened = connect([tmp_path])
    opened.read_parquet(str(tmp_path / "numbers.parquet")).create_view("numbers")
    return opened


def test_a_query_gives_a_frame_and_takes_values_as_parameters(connection):
    found = q(connection, "select n from numbers where n >= ? and n < ?", [3, 6])
    assert found.to_dict(as_series=False) == {"n": [3, 4, 5]}
    assert q(connection, "show tables")["name"].to_list() == ["numbers"]
    assert q(connection, "select n from numbers where n < 0").schema == {"n": pl.Int64}


def test_the_zone_is_utc_in_every_query_whatever_the_machine_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with duckdb.connect() as control:
        assert control.sql("select current_setting('TimeZone')").fetchall() == [("Asia/Tokyo",)]
    connection = connect([tmp_path])
    for _ in range(2):
        assert q(connection, "select current_setting('TimeZone') as zone").item() == "UTC"
    digits = q(connection, "select timestamptz '2026-03-29 01:00:00+00' :: timestamp :: varchar as digits").item()
    assert digits == "2026-03-29 01:00:00"


def test_an_unfinished_result_does_not_lock_the_next_query(connection):
    with pytest.raises(UsageError, match="TOO_MANY_ROWS"):
        q(connection, "select * from numbers, range(100000)", max_rows=1000)
    assert q(connection, "select count(*) as n from numbers").item() == 100


def test_a_result_may_be_as_long_as_its_bound(connection):
    assert q(connection, "select * from numbers", max_rows=100).height == 100
    with pytest.raises(UsageError) as refusal:
        q(connection, "select * from numbers", max_rows=99)
    assert "99" in refusal.value.expected and "LIMIT" in refusal.value.next_step


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("create table t as select 1", "NOT_A_QUERY"),
        ("copy numbers to 'x.csv'", "NOT_A_QUERY"),
        ("select 1; select 2", "NOT_A_QUERY"),
        ("set threads = 1", "NOT_A_QUERY"),
        ("install httpfs", "NOT_A_QUERY"),
        ("", "NOT_A_QUERY"),
        ("selec 1", "REFUSED"),
        ("select nothing from numbers", "REFUSED"),
        ("select * from read_csv('/etc/hosts')", "REFUSED"),
        ("select * from 'https://example.org/a.parquet'", "REFUSED"),
    ],
)
def test_what_is_no_question_is_refused(connection, query, code):
    with pytest.raises(UsageError, match=code):
        q(connection, query)


def test_a_file_that_vanishes_is_bad_input(connection, tmp_path):
    (tmp_path / "numbers.parquet").unlink()
    with pytest.raises(InputError, match="UNREADABLE"):
        q(connection, "select * from numbers")
