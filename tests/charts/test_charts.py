"""Every chart: valid Vega-Lite, units on every axis, bounded rows, a picture that is not empty."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import altair as alt
import polars as pl
import pytest

from segment5b_lib import charts
from segment5b_lib.charts import renderer, theme
from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.contract.words import Lane, Verdict
from segment5b_lib.errors import InputError


def gates() -> pl.DataFrame:
    rows = [
        {
            "gate": f"T{position}  a title",
            "run": run,
            "verdict": verdict.value,
            "value": "2.61 %",
            "threshold": "≤ 0.5 %",
            "distance": "2.11 pp outside B",
        }
        for run in ("published 0011aabb", "civil_time 2233ccdd")
        for position, verdict in enumerate(Verdict)
    ]
    return pl.DataFrame(rows)


def offsets() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "offset_seconds": [-3600, 0, 1800, None],
            "arrivals": [26_000, 970_000, 240, 3],
            "share": [0.026, 0.97, 0.0002, 0.000003],
        }
    )


def mismatches() -> pl.DataFrame:
    days = [str(date(2026, 1, 1) + timedelta(days=day)) for day in range(90)]
    return pl.DataFrame(
        [
            {
                "date": day,
                "tzid": f"Zone/{zone}",
                "arrivals": 10,
                "mismatches": 0,
                "rate": float(day > "2026-03-29"),
            }
            for zone in range(40)
            for day in days
        ]
    )


def since() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"day": day, "change": change, "arrivals": 100, "mismatches": 0, "rate": float(day >= 0)}
            for change in ("forward", "back")
            for day in range(-60, 30)
        ]
    )


def windows() -> pl.DataFrame:
    kinds = ["can fail", "cannot fail", "thin"]
    return pl.DataFrame(
        {
            "tzid": [f"Zone/{position}" for position in range(12)],
            "transition": ["2026-03-29T01:00:00Z"] * 12,
            "support": [4**position for position in range(12)],
            "mae_pp": [0.1 * position for position in range(12)],
            "kind": [kinds[position % 3] for position in range(12)],
            "b": [1.5] * 12,
            "bplus": [0.7] * 12,
        }
    )


def candidates() -> pl.DataFrame:
    rows = [
        ("baseline 0011aabb seed 42", "baseline", 0.82, 0.022),
        ("candidate 2233ccdd seed 42", "candidate", 0.609, 0.065),
        ("witness 4455eeff seed 7", "witness", 0.604, 0.066),
    ]
    return pl.DataFrame(
        [
            {"run": run, "role": role, "kind": kind, "t6": t6 + apart, "t7": t7}
            for run, role, t6, t7 in rows
            for kind, apart in (("predicted", 0.0), ("measured", 0.003))
        ]
    )


def seeds() -> pl.DataFrame:
    values = {
        "T1": ([0.0] * 4, 0.0),
        "T6": ([0.61, 0.605, 0.608, 0.609], 0.0035),
        "T7": ([0.064, 0.066, 0.065, 0.0655], 0.013),
    }
    return pl.DataFrame(
        [
            {"metric": metric, "seed": seed, "value": value, "cv": cv}
            for metric, (found, cv) in values.items()
            for seed, value in zip(("42", "7", "101", "202"), found, strict=True)
        ]
    )


def board() -> pl.DataFrame:
    stands = ["open", "reopen", "hold", "what-if"]
    return pl.DataFrame(
        [
            {
                "run_id": f"{run}0011aabb",
                "posture": "civil_time",
                "seed": 42,
                "phase": phase,
                "decision": "UNLOCK_P2",
                "stands": stands[(run + position) % 4],
                "held_by": "",
            }
            for run in range(3)
            for position, phase in enumerate(("POPT.0", "P0", "P1", "P2"))
        ]
    )


BANDS = {"b": {"T6": (0.0, 0.72), "T7": (0.03, 0.08)}, "bplus": {"T6": (0.0, 0.62), "T7": (0.05, 0.12)}}


def zones() -> pl.DataFrame:
    shares = [2.0 ** -(rank + 1) for rank in range(30)]
    return pl.DataFrame(
        {
            "tzid": [f"Zone/{rank}" for rank in range(30)],
            "rank": list(range(1, 31)),
            "arrivals": [int(1e9 * share) for share in shares],
            "share": shares,
        }
    ).with_columns(cumulative=pl.col("share").cum_sum())


def hours() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"kind": kind, "basis": basis, "hour": hour, "share": (1 + math.sin(hour / 4)) / 24}
            for kind in ("physical", "virtual")
            for basis in ("stored", "expected")
            for hour in range(24)
        ]
    )


def hour_pairs() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"expected_hour": hour, "stored_hour": (hour + shift) % 24, "arrivals": 5, "share": share}
            for hour in range(24)
            for shift, share in ((0, 0.97), (-1, 0.03))
        ]
    )


def weekends() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "scenario_id": ["baseline", "baseline"],
            "basis": ["expected", "observed"],
            "share": [0.275, 0.276],
            "low": [0.27, 0.276],
            "high": [0.28, 0.276],
        }
    )


def levels() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"level": level, "source": source, "arrivals": 1000, "keys_compared": 90, "keys_that_differ": 0}
            for level in ("before: series × bucket", "after: logical key")
            for source in ("S3 counts", "S4 arrivals")
        ]
    )


def lanes() -> pl.DataFrame:
    return pl.DataFrame(
        [{"state": f"S{n}", "lane": lane.value, "seconds": 0.1 * (n + 1)} for n in range(6) for lane in Lane]
    )


def budgets() -> pl.DataFrame:
    return pl.DataFrame({"state": ["S1", "S1"], "budget": ["target", "stretch"], "seconds": [0.9, 1.2]})


def sides() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"state": f"S{n}", "role": role, "run": f"{repetition:08x}", "seconds": (n + 1) * slower + repetition / 10}
            for n in range(6)
            for role, slower in (("baseline", 2), ("candidate", 1))
            for repetition in range(3)
        ]
    )


def side_lanes() -> pl.DataFrame:
    return pl.concat([lanes().with_columns(role=pl.lit(role)) for role in ("baseline", "candidate")])


def sizes() -> pl.DataFrame:
    groups = [90, 40, 12, 3, 1]
    side = pl.DataFrame({"members": [1, 2, 5, 40, 900], "groups": groups})
    side = side.with_columns(share=pl.col("groups").cum_sum() / sum(groups))
    return pl.concat([side.with_columns(role=pl.lit(role)) for role in ("baseline", "candidate")])


def pairs() -> pl.DataFrame:
    return pl.DataFrame(
        {"pair": [1, 2, 3], "quiet_s": [1.0] * 3, "reporting_s": [1.0] * 3, "overhead": [0.0, 0.02, -0.01]}
    )


def interval() -> pl.DataFrame:
    return pl.DataFrame({"mean": [0.003], "low": [-0.02], "high": [0.03], "limit": [0.02]})


def multiplicity() -> pl.DataFrame:
    keys = [11_883, 1_468, 358, 91, 23, 26]
    return pl.DataFrame(
        {"components": list(range(1, 7)), "series_keys": keys, "row_keys": [2_160 * n for n in keys]}
    ).with_columns(share=pl.col("series_keys") / sum(keys))


def lorenz() -> pl.DataFrame:
    places = [position / 200 for position in range(201)]
    return pl.DataFrame(
        [
            {"kind": kind, "places_share": x, "arrivals_share": x**power, "gini": (power - 1) / (power + 1)}
            for kind, power in (("sites", 2.2), ("edges", 4))
            for x in places
        ]
    )


def top_k() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"kind": kind, "k": k, "k_share": k / size, "share": math.log1p(k) / math.log1p(size)}
            for kind, size in (("sites", 500), ("edges", 100), ("merchants", 60), ("zones", 40))
            for k in range(1, size + 1)
        ]
    )


def intensities() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"merchant_id": str(n), "kind": "virtual" if n % 9 == 0 else "physical", "expected": 1.1**n, "arrivals": n}
            for n in range(100)
        ]
    )


def residual_bins() -> pl.DataFrame:
    bins = range(-160, 160)
    weight = [math.exp(-((position / 40) ** 2)) for position in bins]
    share = pl.col("weight") / sum(weight)
    return pl.DataFrame(
        {"low": [0.05 * b for b in bins], "high": [0.05 * (b + 1) for b in bins], "weight": weight}
    ).select("low", "high", rows=(pl.col("weight") * 1_000).cast(pl.Int64), share=share, cumulative=share.cum_sum())


def timeline() -> pl.DataFrame:
    times = ["2026-01-01T00:00:00Z", "2026-03-29T01:00:00Z", "2026-04-01T00:00:00Z"]
    offsets = {"true": [0.0, 1.0, 1.0], "cached": [0.0, 0.0, 0.0]}
    rows = [(clock, *row) for clock, own in offsets.items() for row in zip(times, own, strict=True)]
    return pl.DataFrame(rows, schema=["clock", "time", "offset_hours"], orient="row")


def moments() -> pl.DataFrame:
    rows = [
        ("change", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ("day", "2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z"),
    ]
    return pl.DataFrame(rows, schema=["what", "start", "end"], orient="row")


def cache_years() -> pl.DataFrame:
    years = list(range(2020, 2029))
    wrong = [26_000 if year < 2026 else 0 for year in years]
    columns = {"year": years, "mismatches": wrong, "t1": [n / 1e6 for n in wrong], "own": [y == 2025 for y in years]}
    return pl.DataFrame(columns).with_columns(b=pl.lit(0.005), bplus=pl.lit(0.001))


CHARTS: dict[str, Callable[[], charts.Chart]] = {
    "gate_matrix": lambda: charts.gate_matrix(gates()),
    "offset_distribution": lambda: charts.offset_distribution(offsets()),
    "mismatch_heatmap": lambda: charts.mismatch_heatmap(mismatches()),
    "days_since_transition": lambda: charts.days_since_transition(since()),
    "offset_timeline": lambda: charts.offset_timeline(timeline(), moments()),
    "t1_by_cache_year": lambda: charts.t1_by_cache_year(cache_years(), 2025),
    "dst_windows": lambda: charts.dst_windows(windows()),
    "seed_dots": lambda: charts.seed_dots(seeds(), b_max=0.25, bplus_max=0.15),
    "phase_board": lambda: charts.phase_board(board()),
    "t6_t7_plane": lambda: charts.t6_t7_plane(candidates(), BANDS),
    "largest_zones": lambda: charts.largest_zones(zones()),
    "top_k_curve": lambda: charts.top_k_curve(zones(), b_max=0.72, bplus_max=0.62),
    "hour_profile": lambda: charts.hour_profile(hours()),
    "hour_matrix": lambda: charts.hour_matrix(hour_pairs()),
    "weekend_share": lambda: charts.weekend_share(weekends()),
    "conservation": lambda: charts.conservation(levels()),
    "state_elapsed": lambda: charts.state_elapsed(lanes(), budgets()),
    "before_after": lambda: charts.before_after(sides()),
    "lanes_before_after": lambda: charts.lanes_before_after(side_lanes()),
    "group_sizes": lambda: charts.group_sizes(sizes()),
    "overhead_pairs": lambda: charts.overhead_pairs(pairs(), interval()),
    "component_multiplicity": lambda: charts.component_multiplicity(multiplicity()),
    "lorenz": lambda: charts.lorenz(lorenz()),
    "top_k_curves": lambda: charts.top_k_curves(top_k()),
    "merchant_intensity": lambda: charts.merchant_intensity(intensities()),
    "residuals": lambda: charts.residuals(residual_bins()),
}
every_chart = pytest.mark.parametrize("name", CHARTS)


def test_every_chart_function_is_tested() -> None:
    # offset_heatmap is mismatch_heatmap of a run object; tests/workbench holds the two side by side.
    assert set(CHARTS) == set(charts.__all__) - {"MAX_ROWS", "Chart", "enable", "offset_heatmap", "png", "spec"}


@every_chart
def test_a_chart_is_valid_and_bounded(name: str) -> None:
    spec = charts.spec(CHARTS[name]())  # to_dict validates against Altair's schema
    assert spec["$schema"] == renderer.VEGALITE_SCHEMA
    assert 0 < sum(len(rows) for rows in spec["datasets"].values()) <= charts.MAX_ROWS
    assert spec["title"]["text"]


@every_chart
def test_a_chart_draws_something(name: str) -> None:
    image = charts.png(CHARTS[name]())
    width, height = renderer.size(image)
    pixels = zlib.decompress(dict(renderer.chunks(image))[b"IDAT"])
    assert width > 300 and height > 100
    assert len(set(pixels)) > 8, "a blank picture has hardly any distinct bytes"


def views(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The views of a spec that have axes of their own: concatenated parts, or the spec itself."""
    parts = node.get("vconcat") or node.get("hconcat")
    return [view for part in parts for view in views(part)] if parts else [node]


def encodings(view: dict[str, Any], channel: str) -> list[dict[str, Any]]:
    """What a view's layers, which share their axes, put on one channel."""
    layers = [view, *view.get("layer", [])]
    return [layer["encoding"][channel] for layer in layers if channel in layer.get("encoding", {})]


@every_chart
@pytest.mark.parametrize("channel", ["x", "y"])
def test_every_quantitative_axis_says_its_unit(name: str, channel: str) -> None:
    for view in views(charts.spec(CHARTS[name]())):
        found = encodings(view, channel)
        if any(encoding.get("type") == "quantitative" for encoding in found):
            titles = {encoding["title"] for encoding in found if encoding.get("title")}
            assert titles and all("(" in title for title in titles), found


def test_merchants_without_arrivals_are_not_on_a_logarithmic_scale() -> None:
    drawn = charts.spec(charts.merchant_intensity(intensities()))
    merchants = [row for rows in drawn["datasets"].values() for row in rows if "merchant_id" in row]
    assert len(merchants) == 99 and all(row["arrivals"] > 0 for row in merchants)


def test_residuals_far_out_are_named_and_not_drawn() -> None:
    frame = residual_bins()
    drawn = charts.spec(charts.residuals(frame))
    rows = [row for rows in drawn["datasets"].values() for row in rows]
    assert max(row["high"] for row in rows) <= 6 and min(row["low"] for row in rows) >= -6
    beyond = 1 - sum(row["share"] for row in rows)
    assert f"{beyond:.2%}" in drawn["title"]["subtitle"]


def test_budget_lines_are_drawn_only_where_there_are_budgets() -> None:
    with_lines, without = (charts.spec(charts.state_elapsed(lanes(), frame)) for frame in (budgets(), None))
    assert len(with_lines["layer"]) == len(without["layer"]) + 1
    assert len(charts.spec(charts.state_elapsed(lanes(), budgets().clear()))["layer"]) == len(without["layer"])


def test_every_run_is_drawn_on_both_sides() -> None:
    drawn = charts.spec(charts.before_after(sides()))
    assert len(drawn["vconcat"]) == 6 and sum(len(rows) for rows in drawn["datasets"].values()) == sides().height


def test_lanes_are_drawn_state_by_state_with_both_sides_of_each() -> None:
    drawn = charts.spec(charts.lanes_before_after(side_lanes().filter(pl.col("state").is_in(["S2", "S3"]))))
    assert [row["encoding"]["x"]["title"][:2] for row in drawn["vconcat"]] == ["S2", "S3"]
    assert all(row["encoding"]["y"]["scale"]["domain"] == ["baseline", "candidate"] for row in drawn["vconcat"])


def test_nothing_timed_and_no_interval_are_drawn_as_that() -> None:
    assert len(charts.spec(charts.before_after(sides().clear()))["vconcat"]) == 1
    assert len(charts.spec(charts.lanes_before_after(side_lanes().clear()))["vconcat"]) == 1
    drawn = charts.spec(charts.overhead_pairs(pairs().clear(), interval().clear()))
    assert "no interval" in drawn["title"]["subtitle"]


def test_sides_may_be_called_as_the_runs_are() -> None:
    named = sides().with_columns(role=pl.col("role").replace({"baseline": "published 0011aabb", "candidate": "other"}))
    drawn = charts.spec(charts.before_after(named))
    (colour,) = {json.dumps(part["layer"][0]["encoding"]["color"]["scale"]["domain"]) for part in drawn["vconcat"]}
    assert json.loads(colour) == ["published 0011aabb", "other"]


def test_a_cell_of_the_heatmap_can_be_chosen_where_somebody_listens() -> None:
    alone, listened = (charts.spec(charts.mismatch_heatmap(mismatches(), selection=name)) for name in ("", "cell"))
    assert "params" not in alone
    (chosen,) = listened["params"]
    assert (chosen["name"], chosen["select"]["fields"]) == ("cell", ["tzid", "date"])


def test_a_live_chart_takes_its_colours_from_the_page_and_says_what_it_is_about() -> None:
    drawn = renderer.adaptive(renderer.titled(CHARTS["hour_profile"](), "Europe/London")).to_dict()
    assert drawn["title"]["text"] == "Hour profile: Europe/London" and drawn["title"]["subtitle"]
    assert drawn["config"]["background"] == "transparent"
    assert drawn["config"]["axis"]["labelColor"].startswith("var(--jp-")
    assert charts.spec(CHARTS["hour_profile"]())["title"]["text"] == "Hour profile"


def test_too_many_rows_are_refused() -> None:
    layers = [alt.Chart(pl.DataFrame({"x": range(2_000 + n)})).mark_point().encode(x="x:Q") for n in range(3)]
    with pytest.raises(InputError) as caught:
        charts.spec(alt.layer(*layers))
    assert caught.value.code == "5B.CHART.TOO_MANY_ROWS"
    assert "6003" in caught.value.found


def test_the_renderer_gives_a_spec_and_a_picture_that_papermill_can_store() -> None:
    bundle, metadata = renderer.render(CHARTS["hour_profile"]().to_dict())
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "image/png"}
    assert isinstance(bundle["image/png"], str)
    assert metadata["image/png"]["width"] > 300


def test_enable_makes_altair_use_it() -> None:
    charts.enable()
    assert alt.renderers.active == renderer.RENDERER
    bundle = CHARTS["hour_profile"]()._repr_mimebundle_()
    assert renderer.VEGALITE_MIME in bundle[0]


def test_a_chart_is_the_same_whatever_was_drawn_before() -> None:
    first = charts.spec(CHARTS["gate_matrix"]())
    CHARTS["hour_matrix"]()
    assert charts.spec(CHARTS["gate_matrix"]()) == first


def test_compact_keeps_every_pixel_and_saves_bytes() -> None:
    import vl_convert

    original = vl_convert.vegalite_to_png(charts.spec(CHARTS["hour_profile"]()), vl_version="5.8")
    smaller = renderer.compact(original)
    data = [b"".join(d for kind, d in renderer.chunks(image) if kind == b"IDAT") for image in (original, smaller)]
    assert zlib.decompress(data[0]) == zlib.decompress(data[1])
    assert len(smaller) < len(original)


def test_every_word_has_a_colour() -> None:
    assert set(VERDICT_COLOURS) == set(Verdict)
    assert set(theme.LANE_COLOURS) == {lane.value for lane in Lane}


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_is_legible_on_both_papers(mode: theme.Mode) -> None:
    config = theme.config(mode)
    paper = luminance(config["background"])
    for colour in (config["axis"]["labelColor"], config["text"]["color"], config["title"]["subtitleColor"]):
        ink = luminance(colour)
        contrast = (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05)
        assert contrast >= 4.5, (colour, contrast)
