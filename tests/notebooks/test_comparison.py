"""A chart in canonical form: what is equal stays equal, and every other change is seen and named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notebooks.comparison import DIGEST, canonical, chart_name, differences


def chart(rows: Any = ({"zone": "UTC", "share": 0.25}, {"zone": "CET", "share": 0.0}), name: str = "data-1f") -> Any:
    return {
        "config": {"font": "sans"},
        "datasets": {name: list(rows)},
        "vconcat": [
            {"data": {"name": name}, "mark": {"type": "bar"}, "encoding": {"x": {"axis": {"values": [0, 12]}}}},
            {"data": {"values": [{"limit": 0.5}]}, "layer": [{"mark": "rule"}]},
        ],
        "title": {"text": "Share by zone"},
    }


def places(one: Any, other: Any) -> list[str]:
    return [place for place, _, _ in differences(canonical(one), canonical(other))]


def test_rows_and_theme_are_digests_and_the_rest_is_as_it_is() -> None:
    spec = canonical(chart())
    upper, lower = spec["vconcat"]
    assert DIGEST.fullmatch(spec["datasets"]["data-00"])[1] == "2"  # type: ignore[index]
    assert DIGEST.fullmatch(lower["data"]["values"])[1] == "1"  # type: ignore[index]
    assert DIGEST.fullmatch(spec["config"])
    assert (upper, lower["layer"], spec["title"]) == (
        {**chart()["vconcat"][0], "data": {"name": "data-00"}},
        chart()["vconcat"][1]["layer"],
        chart()["title"],
    )
    assert canonical(spec) == spec


@pytest.mark.parametrize(
    "rows",
    [
        [{"share": 0.25, "zone": "UTC"}, {"share": -0.0, "zone": "CET"}],
        [{"zone": "UTC", "share": 0.25 + 1e-12}, {"zone": "CET", "share": 0}],
    ],
    ids=["order of the fields, sign of zero", "order of a sum, whole number"],
)
def test_what_may_differ_is_the_same(rows: Any) -> None:
    assert canonical(chart()) == canonical(chart(rows, name="data-2e"))


@pytest.mark.parametrize(
    "rows",
    [
        [{"zone": "UTC", "share": 0.25 + 1e-8}, {"zone": "CET", "share": 0.0}],
        [{"zone": "CET", "share": 0.0}, {"zone": "UTC", "share": 0.25}],
        [{"zone": "UTC", "share": 0.25}, {"zone": "CET", "share": None}],
        [{"zone": "UTC", "share": 0.25}],
    ],
    ids=["a bar", "order of the rows", "a missing value", "a missing row"],
)
def test_any_other_row_differs_in_its_data_set(rows: Any) -> None:
    assert places(chart(), chart(rows)) == ["/datasets/data-00"]


def test_every_other_change_is_named_by_its_place() -> None:
    other = chart()
    other["config"]["font"] = "serif"
    other["title"]["text"] = "Share"
    other["vconcat"][0]["encoding"]["x"]["axis"]["values"] = [0, 6]
    other["vconcat"][1]["data"]["values"][0]["limit"] = 0.6
    other["vconcat"][1]["height"] = 20
    assert places(chart(), other) == [
        "/config",
        "/title/text",
        "/vconcat/0/encoding/x/axis/values/1",
        "/vconcat/1/data/values",
        "/vconcat/1/height",
    ]


def test_a_chart_is_named_by_its_title_and_marks() -> None:
    assert chart_name(chart()) == "the chart 'Share by zone' (bar, rule)"
    assert chart_name({"mark": "line", "title": "Hours"}) == "the chart 'Hours' (line)"
    assert chart_name({"spec": {"mark": "area"}}) == "the chart 'without a title' (area)"
