"""The world file: every parameter of the builder, named for what it means, checked strictly.

An unknown or missing key is an error. How a file is found and read is in `world_file`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from segment5b_lib.contract.policies import ChannelGroup, DemandClass
from segment5b_lib.contract.strict import NonNegative, Positive, Share, Strict
from segment5b_lib.contract.words import VirtualMode

Count = Annotated[int, Field(gt=0)]
Hour = Annotated[float, Field(ge=0, le=36)]
Iso2 = Annotated[str, Field(pattern="^[A-Z]{2}$")]
ScenarioId = Literal["baseline_v1", "stress_peak_v1"]
QUARTER_SECONDS = 900
"""Opening hours and local clocks are resolved to quarters of an hour, the finest offset step in use."""


class HorizonSpec(Strict):
    """Scenario horizon [start, end) in whole UTC days, cut into buckets of `bucket_seconds`."""

    start: date
    end: date
    bucket_seconds: Count

    @model_validator(mode="after")
    def _aligned(self) -> HorizonSpec:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        if self.bucket_seconds % QUARTER_SECONDS or 86_400 % self.bucket_seconds:
            raise ValueError(f"bucket_seconds must divide a day and be a multiple of {QUARTER_SECONDS}")
        return self

    @property
    def start_utc(self) -> datetime:
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    @property
    def end_utc(self) -> datetime:
        """Exclusive end."""
        return self.start_utc + timedelta(days=self.days)

    @property
    def start_second(self) -> int:
        """First instant in epoch seconds."""
        return int(self.start_utc.timestamp())

    @property
    def end_second(self) -> int:
        """Exclusive end in epoch seconds."""
        return self.start_second + self.days * 86_400

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def buckets(self) -> int:
        return self.days * 86_400 // self.bucket_seconds

    @property
    def utc_days(self) -> list[str]:
        """The UTC days as YYYY-MM-DD."""
        return [(self.start + timedelta(days=day)).isoformat() for day in range(self.days)]


class HandMadePlace(Strict):
    """A place where nobody lives in the city list, but whose clock must be in the world."""

    name: str
    country: Iso2
    tzid: str
    lat_deg: float
    lon_deg: float
    population: Count


class Geography(Strict):
    """Where demand is: countries, zones within them, and how far a border reaches."""

    zones_in_use: Count
    required_zones: tuple[str, ...]
    country_demand: dict[Iso2, Positive]
    other_countries_demand: NonNegative
    other_countries_population_exponent: Positive
    zone_population_exponent: Positive
    border_km: Positive
    border_people: Count
    border_pull: NonNegative
    city_population_exponent: Positive
    hand_made: tuple[HandMadePlace, ...]


class SizeLaw(Strict):
    """Merchant sizes: a log-normal body whose upper tail, from quantile `tail_from` on, is a bounded Pareto.

    The tail ends at `tail_reach` times the size where it begins; a market leader may stand above it: the
    largest merchant is `leader` times what the law gives it.
    """

    body_sigma: Positive
    tail_from: Share
    tail_index: Annotated[float, Field(gt=0.5)]
    tail_reach: Annotated[float, Field(gt=1)]
    leader: Annotated[float, Field(ge=1)]


class OnlineMerchants(Strict):
    """Merchants that only exist online: how many, and the share of all arrivals they carry."""

    count: Annotated[int, Field(ge=0)]
    volume_share: Share
    size_sigma: NonNegative


class Category(Strict):
    """A merchant category (ISO 18245 code): how it trades, and its share of its kind's demand."""

    mcc: Annotated[str, Field(pattern="^[0-9]{4}$")]
    demand_class: DemandClass
    channel_group: ChannelGroup
    demand: Positive


class MerchantsSpec(Strict):
    """Who trades: how many merchants, how large, and in which categories."""

    count: Count
    arrivals_per_row: Positive
    size: SizeLaw
    largest_classes: tuple[DemandClass, ...]
    low_volume_share: Share
    low_volume_channel: ChannelGroup
    online: OnlineMerchants
    categories: Annotated[tuple[Category, ...], Field(min_length=1)]
    online_categories: Annotated[tuple[Category, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _somebody_is_large(self) -> MerchantsSpec:
        if not self.online.count < self.count:
            raise ValueError("some merchants must not be online merchants")
        if not any(category.demand_class in self.largest_classes for category in self.categories):
            raise ValueError("no category is of one of the largest_classes")
        return self


class Footprint(Strict):
    """How many (country, zone) cells and sites merchants have, and how near to home they stay.

    `sites` are those that sell; the registered places of online merchants, one per cell, come on top.
    """

    series: Count
    sites: Count
    sites_size_exponent: NonNegative
    sites_sigma: NonNegative
    series_sites_exponent: NonNegative
    most_series: Count
    sites_demand_exponent: NonNegative
    home_pull: Positive
    continent_pull: Positive


class SiteWeightsSpec(Strict):
    """How a merchant's physical trade is spread over its sites (2B)."""

    cell_demand_exponent: NonNegative
    home_pull: Positive
    cell_sigma: NonNegative
    site_sigma: NonNegative
    day_sigma: NonNegative


class DemandSpec(Strict):
    """How a merchant's demand is spread over its series (5A)."""

    even_share: Share
    series_sigma: NonNegative
    dormant_share: Annotated[float, Field(ge=0, lt=1)]
    dormant_selectivity: NonNegative
    dormant_size_selectivity: NonNegative


class Bump(Strict):
    """A rush in the day: bell curve around a local hour, added to a base of 1."""

    hour: Hour
    width: Positive
    height: NonNegative


class Rhythm(Strict):
    """A demand class's week on the local clock.

    Open from `open` to `close` (hours; past 24 means after midnight; 0 to 24 is always), on the days whose
    factor is not zero, Monday first; `holiday` multiplies public holidays. Each merchant shifts its opening,
    closing and rush hours by up to `jitter_hours`.
    """

    open: Hour
    close: Hour
    jitter_hours: NonNegative
    days: Annotated[tuple[NonNegative, ...], Field(min_length=7, max_length=7)]
    bumps: tuple[Bump, ...]
    base: NonNegative
    holiday: NonNegative

    @model_validator(mode="after")
    def _opens(self) -> Rhythm:
        if not self.open < self.close <= self.open + 24:
            raise ValueError("open must be before close, and a day has 24 hours")
        if not any(self.days):
            raise ValueError("at least one day must be open")
        if self.base == 0 and not self.bumps:
            raise ValueError("needs a base, a bump, or both")
        return self


class EdgesSpec(Strict):
    """Where online trade is served: edges per merchant that has any, and where they stand."""

    per_merchant: Count
    home_continent_pull: Positive
    city_population_exponent: Positive
    weight_population_exponent: NonNegative
    weight_sigma: NonNegative


class StressScenario(Strict):
    """`stress_peak_v1`: factors on public holidays and on pay days (local dates)."""

    holiday_surge: Positive
    pay_days: tuple[Annotated[int, Field(ge=1, le=31)], ...]
    pay_day_surge: Positive


class Timetable(Strict):
    """2A: the last year whose transitions the cache holds."""

    last_transition_year: Annotated[int, Field(ge=1900, le=2100)]


class GroupMix(Strict):
    """2B: how strongly group weights are kept from collapsing into one zone."""

    soft_cap: Share
    strength: Share
    entropy_floor: NonNegative


class ChannelRule(Strict):
    """3B: how merchants of some categories and channels are served. The first rule that fits decides."""

    rule_id: str
    mccs: tuple[str, ...] | Literal["any"]
    channel_groups: tuple[ChannelGroup, ...] | Literal["any"]
    mode: VirtualMode


class ChannelRules(Strict):
    """3B: the rules, in order; the last must fit every merchant."""

    rules: Annotated[tuple[ChannelRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _total(self) -> ChannelRules:
        if (self.rules[-1].mccs, self.rules[-1].channel_groups) != ("any", "any"):
            raise ValueError("the last rule must have mccs any and channel_groups any")
        return self


class UpstreamSpec(Strict):
    """Knobs of the segments that may be reopened."""

    s2A: Timetable = Field(alias="2A")  # noqa: N815 - segment names begin with a digit
    s2B: GroupMix = Field(alias="2B")  # noqa: N815 - as above
    s3B: ChannelRules = Field(alias="3B")  # noqa: N815 - as above


class WorldSpec(Strict):
    """A whole world file, resolved."""

    scale: Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")]
    world_seed: Annotated[int, Field(ge=0, lt=2**63)]
    horizon: HorizonSpec
    scenarios: Annotated[tuple[ScenarioId, ...], Field(min_length=1)]
    geography: Geography
    merchants: MerchantsSpec
    footprint: Footprint
    site_weights: SiteWeightsSpec
    demand: DemandSpec
    rhythms: dict[DemandClass, Rhythm]
    edges: EdgesSpec
    stress: StressScenario
    upstream: UpstreamSpec

    @model_validator(mode="after")
    def _consistent(self) -> WorldSpec:
        if list(self.scenarios) != sorted(set(self.scenarios)):
            raise ValueError("scenarios must be sorted and different")
        if not self.merchants.count <= self.footprint.series <= self.footprint.sites:
            raise ValueError("needs merchants <= series <= sites: each has at least one of the next")
        if len(self.geography.required_zones) > self.geography.zones_in_use:
            raise ValueError("more zones are required than are in use")
        used = {c.demand_class for c in (*self.merchants.categories, *self.merchants.online_categories)}
        if missing := (used | {"low_volume_tail"}) - set(self.rhythms):
            raise ValueError(f"no rhythm for demand class {sorted(missing)[0]}")
        return self

    @property
    def arrivals_expected(self) -> float:
        """Expected arrivals of the baseline: a density per surface row, times the rows."""
        return self.merchants.arrivals_per_row * self.footprint.series * self.horizon.buckets

    def document(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)
