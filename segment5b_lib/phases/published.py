"""The published run's figures as data: value, how far ours may be from it, and how it is counted.

Values and tolerances are those of the design's table "What the published world must look like". What measures a
figure is in `figure_measures`, how it is judged in `p0_figures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PUBLISHED_SCALE: Final = "authority"
PUBLISHED_SEED: Final = 42
PUBLISHED_SCENARIOS: Final = ("baseline_v1",)
OTHER_SEEDS_FACTOR: Final = 2.0
"""A run seed that is not the published one moves figures by chance: it may be this many tolerances off."""

ToleranceKind = Literal["exact", "relative", "absolute", "hours", "order", "among"]
"""How ours is held against the published value: equal; relative or absolute difference; difference on the clock's
circle of 24 hours; the same names in the same order; no other names than these."""


@dataclass(frozen=True)
class Tolerance:
    """How far a figure may be from the published one. `amount` is a fraction for `relative`, else in its unit."""

    kind: ToleranceKind
    amount: float = 0.0


@dataclass(frozen=True)
class PublishedFigure:
    """One published figure.

    Attributes
    ----------
    figure_id, title, unit : what it is; a `share` is a fraction
    published : a number, or names
    tolerance : how far ours may be from it
    population_unit : what is counted, or measured over
    measured : how, in words
    depends_on_size : whether it depends on how large the world is, so that only one of the published scale compares
    """

    figure_id: str
    title: str
    unit: str
    published: float | tuple[str, ...]
    tolerance: Tolerance
    population_unit: str
    measured: str
    depends_on_size: bool = False


def _size(figure_id: str, title: str, unit: str, published: int, tolerance: Tolerance, how: str) -> PublishedFigure:
    """How many there are."""
    return PublishedFigure(figure_id, title, unit, published, tolerance, unit, how, depends_on_size=True)


def _share(
    figure_id: str,
    title: str,
    published: float,
    within: float,
    how: str,
    *,
    of: str = "arrivals",
    depends_on_size: bool = False,
) -> PublishedFigure:
    """A fraction, with an absolute tolerance."""
    tolerance = Tolerance("absolute", within)
    return PublishedFigure(figure_id, title, "share", published, tolerance, of, how, depends_on_size)


def _number(
    figure_id: str, title: str, published: float, tolerance: Tolerance, population_unit: str, how: str
) -> PublishedFigure:
    """A number without a unit."""
    return PublishedFigure(figure_id, title, "1", published, tolerance, population_unit, how)


def _of_merchants(figure_id: str, title: str, published: int) -> PublishedFigure:
    tolerance = Tolerance("relative", 0.15)
    how = "arrivals per merchant, linear interpolation"
    return PublishedFigure(figure_id, title, "arrivals", published, tolerance, "merchants", how, depends_on_size=True)


def _hour_profile(
    kind: str, peak: int, shares: tuple[float, float, float], hours: float, within: float
) -> tuple[PublishedFigure, ...]:
    """Four figures of a local hour profile: its peak, and the shares of three parts of the day."""
    unit, how = f"{kind} arrivals", "hour of ts_local_primary as stored; both ends of a range included"
    peak_line = PublishedFigure(
        f"{kind}_peak_hour", f"{kind} peak hour", "hour of day", peak, Tolerance("hours", hours), unit, how
    )
    parts = (
        _share(f"{kind}_hours_{name}", f"{kind} share of hours {name}", value, within, how, of=unit)
        for name, value in zip(("09-17", "18-23", "00-05"), shares, strict=True)
    )
    return peak_line, *parts


_EXACT = Tolerance("exact")
_FOOTERS = "row counts in the footers of the part files"
_IN_USE = "distinct values over all arrivals"
_COMPONENTS: Final = {1: 11_883, 2: 1_468, 3: 358, 4: 91, 5: 23, 6: 26}
_CLOCK = "stored minus expected wall clock, the latter by zoneinfo on the pinned database"
_BINDINGS = "physical arrivals in the zone of the row that made them, virtual ones where their edge stands"
_FACTOR = "lambda_random_component of every S2 row"
_NEAR = Tolerance("absolute", 0.02)
_GINI = Tolerance("absolute", 0.05)
_MOROCCO: Final = ("Africa/Casablanca", "Africa/El_Aaiun")

FIGURES: Final[tuple[PublishedFigure, ...]] = (
    _size("s2_rows", "S2 rows", "rows", 35_700_480, _EXACT, _FOOTERS),
    _size("s3_rows", "S3 rows", "rows", 35_700_480, _EXACT, _FOOTERS),
    _size("series", "series", "series", 16_528, _EXACT, "rows of s1_grouping_5B"),
    _size("row_keys", "logical keys", "keys", 29_913_840, Tolerance("relative", 0.02), "S2 rows without their country"),
    _size(
        "series_keys",
        "logical keys, in series",
        "series",
        13_849,
        Tolerance("relative", 0.02),
        "S1's series without their country",
    ),
    *(
        _size(
            f"components_{n}",
            f"logical keys with {n} component{'s' * (n > 1)}",
            "series",
            keys,
            Tolerance("relative", 0.15),
            "S1's series by how many share a key",
        )
        for n, keys in _COMPONENTS.items()
    ),
    _size("merchants", "merchants in use", "merchants", 886, _EXACT, _IN_USE),
    _size("sites", "sites in use", "sites", 23_989, _EXACT, _IN_USE),
    _size("edges", "edges in use", "edges", 5_000, _EXACT, _IN_USE),
    _size("zones", "zones in use", "zones", 139, _EXACT, f"{_IN_USE} of tzid_primary"),
    _size(
        "arrivals", "arrivals", "arrivals", 124_724_153, Tolerance("relative", 0.01), "rows counted by the full scan"
    ),
    _share("t1", "T1 wrong local time", 0.0264, 0.003, _CLOCK),
    _share("t2", "T2 off by exactly an hour", 0.0264, 0.003, _CLOCK),
    _share("one_hour_ahead", "of these +3600 s, published: a handful", 0.0, 0.003, _CLOCK),
    PublishedFigure("zones_ahead", "zones with +3600 s", "names", _MOROCCO, Tolerance("among"), "zones", _CLOCK),
    _share("t6", "T6 ten largest zones", 0.7519, 0.015, "arrivals by tzid_primary", depends_on_size=True),
    _share("t6_row_zone", "ten largest zones as row_zone would bind", 0.7519, 0.015, _BINDINGS, depends_on_size=True),
    _share(
        "top_10_percent_of_zones",
        "top 10 % of zones",
        0.8130,
        0.015,
        "arrivals by tzid_primary, their number rounded up",
        depends_on_size=True,
    ),
    _share("t7", "T7 virtual share", 0.022466, 0.003, "is_virtual"),
    _share("hybrid_share", "arrivals of hybrid merchants", 0.0, 0.003, "merchants by their virtual_mode"),
    _number(
        "t9",
        "T9 dispersion",
        1.40,
        Tolerance("absolute", 0.05),
        "rows",
        "sd of (N − μ)/√μ where μ > eps; the other published figure, 1.73, is an artefact of its sample",
    ),
    _share("zero_rate", "S3 rows without an arrival", 0.8897, 0.02, "count_N = 0 over every S3 row", of="rows"),
    _number("factor_mean", "latent factor, mean", 0.997, _NEAR, "rows", _FACTOR),
    _number("factor_p50", "latent factor, p50", 0.962, _NEAR, "rows", _FACTOR),
    _number("factor_p90", "latent factor, p90", 1.357, _NEAR, "rows", _FACTOR),
    _number("factor_p99", "latent factor, p99", 1.807, _NEAR, "rows", _FACTOR),
    _number(
        "factor_lag_1", "latent factor, lag-1 autocorrelation", 0.96, _NEAR, "pairs of neighbouring buckets", _FACTOR
    ),
    _of_merchants("merchant_median", "merchant arrivals, median", 58_385),
    _of_merchants("merchant_p90", "merchant arrivals, p90", 215_799),
    _of_merchants("merchant_p99", "merchant arrivals, p99", 1_543_702),
    _of_merchants("merchant_max", "merchant arrivals, max", 16_954_915),
    _share(
        "merchant_top_1",
        "top 1 % of merchants",
        0.2880,
        0.02,
        "the largest 1 %, their number rounded up",
        depends_on_size=True,
    ),
    _share(
        "merchant_top_5",
        "top 5 % of merchants",
        0.4946,
        0.02,
        "the largest 5 %, their number rounded up",
        depends_on_size=True,
    ),
    _number("site_gini", "site Gini", 0.384, _GINI, "sites", "arrivals per site in use"),
    _number("edge_gini", "edge Gini", 0.605, _GINI, "edges", "arrivals per edge in use"),
    *_hour_profile("physical", 12, (0.5805, 0.2480, 0.0907), hours=1, within=0.03),
    *_hour_profile("virtual", 21, (0.3234, 0.3048, 0.2675), hours=2, within=0.05),
    _share("weekend_expected", "weekend share, expected", 0.28617, 0.01, "λ_realised on local weekends, by the oracle"),
    _share("weekend_observed", "weekend share, observed", 0.28653, 0.01, "arrivals on local weekends, as stored"),
    PublishedFigure(
        "largest_zones",
        "largest zones",
        "names",
        ("Europe/London", "Europe/Berlin", "Europe/Paris"),
        Tolerance("order"),
        "arrivals",
        "arrivals by tzid_primary",
    ),
)
"""In the order of the design's table."""
