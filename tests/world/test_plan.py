"""What the builder promises of merchants, footprints, weights and demand, on several scales."""

import numpy as np
import pytest

from segment5b_lib.errors import PolicyError
from segment5b_lib.world.cities import load_cities
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.world_file import load_spec
from tests.nearest_city import nearest_city


@pytest.fixture(scope="module", params=["tiny", "small"])
def plan(request):
    return Plan(load_spec(request.param))


@pytest.fixture(scope="module")
def medium():
    return Plan(load_spec("medium"))


def test_counts_are_exact(plan):
    spec = plan.spec
    assert len(plan.merchants) == spec.merchants.count
    assert plan.merchants.online.sum() == spec.merchants.online.count
    assert len(plan.series) == spec.footprint.series
    online = plan.merchants.online[plan.series.merchant]
    assert plan.series.sites[~online].sum() == spec.footprint.sites
    assert (plan.series.sites[online] == 1).all() and len(plan.sites) == spec.footprint.sites + online.sum()
    assert len({plan.cells.tzid[c] for c in plan.series.cell}) == spec.geography.zones_in_use


def test_volumes_are_the_expected_arrivals_and_online_has_its_share(plan):
    merchants, spec = plan.merchants, plan.spec
    assert merchants.volume.sum() == pytest.approx(spec.arrivals_expected, rel=1e-12)
    online = merchants.volume[merchants.online].sum() / merchants.volume.sum()
    assert online == pytest.approx(spec.merchants.online.volume_share, rel=1e-12)


def test_merchant_ids_ascend_and_have_nineteen_digits(plan):
    ids = plan.merchants.ids
    assert (np.diff(ids.astype(object)) > 0).all()
    assert {len(str(i)) for i in ids} == {19}


def test_sizes_are_heavy_tailed_alike_at_every_scale(medium):
    volume = np.sort(medium.merchants.volume)
    assert np.quantile(volume, 0.9) / np.median(volume) == pytest.approx(3.7, rel=0.1)
    assert volume[-3:].sum() / volume.sum() > 0.2


def sizes(**law):
    """Volumes of the merchants that sell in person, largest first, with some keys of the size law set."""
    merchants = Plan(load_spec("medium", {f"merchants.size.{key}": value for key, value in law.items()})).merchants
    return np.sort(merchants.volume[~merchants.online])[::-1]


def test_a_leader_stands_above_the_law():
    alone, led = sizes(leader=1.0), sizes(leader=4.0)
    assert led[0] / led[1] == pytest.approx(4 * alone[0] / alone[1], rel=1e-12)
    assert led[1:] / led[1] == pytest.approx(alone[1:] / alone[1], rel=1e-12)


def test_the_tail_ends_where_the_file_says():
    """Of 245, the one of rank 24 is at quantile 0.9: the tail begins there."""
    short, long = (sizes(tail_from=0.9, tail_reach=reach, leader=1.0) for reach in (3.0, 1e6))
    assert 2.5 < short[0] / short[24] < 3
    assert long[0] / long[24] > 20
    assert short[24] / short[200] == pytest.approx(long[24] / long[200], rel=1e-12)


def test_the_largest_merchants_trade_in_the_classes_of_large_merchants(medium):
    law = medium.spec.merchants
    tail = int((1 - law.size.tail_from) * (law.count - law.online.count))
    physical = np.flatnonzero(~medium.merchants.online)
    for m in physical[np.argsort(-medium.merchants.volume[physical])][:tail]:
        assert medium.merchants.category[m].demand_class in law.largest_classes


def test_classes_carry_the_share_of_demand_that_the_file_says(medium):
    law, merchants = medium.spec.merchants, medium.merchants
    wanted = sum(c.demand for c in law.categories if c.demand_class == "retail_daytime")
    wanted /= sum(c.demand for c in law.categories)
    physical = ~merchants.online
    volume = merchants.volume[physical]
    retail = [merchants.category[m].demand_class == "retail_daytime" for m in np.flatnonzero(physical)]
    assert volume[retail].sum() / volume.sum() == pytest.approx(wanted, abs=0.02)


def test_the_smallest_trade_in_the_long_tail_and_in_one_channel(medium):
    merchants, law = medium.merchants, medium.spec.merchants
    physical = np.flatnonzero(~merchants.online)
    by_size = physical[np.argsort(merchants.volume[physical], kind="stable")]
    tail = {int(m) for m in physical if merchants.category[m].demand_class == "low_volume_tail"}
    assert tail == set(by_size[: int(law.low_volume_share * len(physical))].tolist())
    assert {merchants.category[m].channel_group for m in tail} == {law.low_volume_channel}


def test_a_merchant_trades_once_per_cell_and_has_its_head_office(plan):
    for m in range(len(plan.merchants)):
        cells = plan.series.cell[plan.series.starts[m] : plan.series.starts[m + 1]]
        assert (np.diff(cells) > 0).all()
        assert plan.merchants.home[m] in cells


def test_sites_stand_where_the_nearest_city_has_their_zone(plan):
    cells, found = plan.cells, load_cities()
    checked = np.flatnonzero(~plan.sites.hand_made)
    for s in np.random.default_rng(1).permutation(checked)[:60]:
        city = nearest_city(plan.sites.lat_deg[s], plan.sites.lon_deg[s])
        cell = plan.series.cell[plan.sites.series[s]]
        assert found.zones[found.cities.zone[city]] == cells.tzid[cell]
        same_country = found.countries[found.cities.country[city]] == cells.country[cell]
        assert same_country != cells.is_border[cell]


def test_there_are_border_sites_hand_made_sites_and_keys_of_several_components(plan):
    cell = plan.series.cell[plan.sites.series]
    assert plan.cells.is_border[cell].any()
    assert {plan.cells.tzid[c] for c in cell[plan.sites.hand_made]} == {
        "Australia/Lord_Howe",
        "Antarctica/Troll",
    }
    keys = [(int(m), plan.cells.tzid[c]) for m, c in zip(plan.series.merchant, plan.series.cell, strict=True)]
    assert len(set(keys)) < len(keys)


def test_site_orders_count_from_one_within_merchant_and_country(plan):
    seen = {}
    for s in range(len(plan.sites)):
        series = plan.sites.series[s]
        key = int(plan.series.merchant[series]), plan.cells.country[plan.series.cell[series]]
        seen.setdefault(key, []).append(int(plan.sites.order[s]))
    assert all(orders == list(range(1, len(orders) + 1)) for orders in seen.values())


def test_demand_sums_to_the_merchant_and_sleeps_as_often_as_the_file_says(plan):
    volume, series = plan.demand.volume, plan.series
    by_merchant = np.add.reduceat(volume, series.starts[:-1])
    assert by_merchant == pytest.approx(plan.merchants.volume, rel=1e-12)
    assert plan.demand.dormant.sum() == round(plan.spec.demand.dormant_share * len(series))
    assert ((volume == 0) == plan.demand.dormant).all()
    awake = {plan.cells.tzid[c] for c in series.cell[~plan.demand.dormant]}
    assert set(plan.spec.geography.required_zones) <= awake


def test_small_merchants_have_more_dormant_series_the_more_size_counts():
    asleep = []
    for selectivity in (0.0, 1.0):
        plan = Plan(load_spec("medium", {"demand.dormant_size_selectivity": selectivity}))
        large = plan.merchants.volume[plan.series.merchant] > np.quantile(plan.merchants.volume, 0.9)
        asleep.append(plan.demand.dormant[large].mean())
        assert plan.demand.dormant.sum() == round(plan.spec.demand.dormant_share * len(plan.series))
    assert asleep[0] > plan.spec.demand.dormant_share - 0.05
    assert asleep[1] < asleep[0] - 0.1


def test_a_merchants_draws_do_not_depend_on_how_many_others_there_are(plan):
    """Streams are keyed by merchant: the same generator whatever else is drawn before."""
    randomness = plan._randomness
    ids = plan.merchants.ids[:3]
    together = randomness.normals("part", ids, np.array([4, 5, 6]))
    assert np.array_equal(together[4:9], randomness.normals("part", ids[1:2], np.array([5])))
    assert not np.array_equal(together[:4], randomness.normals("other", ids[:1], np.array([4])))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"footprint.series": 1_000, "footprint.sites": 10_000}, "5B.WORLD.TOO_MANY_SERIES"),
        ({"footprint.series": 12, "footprint.sites": 20}, "5B.WORLD.TOO_FEW_SERIES"),
        ({"demand.dormant_share": 0.9}, "5B.WORLD.TOO_MANY_DORMANT"),
    ],
)
def test_files_that_ask_for_the_impossible_are_refused(changes, code):
    with pytest.raises(PolicyError) as caught:
        _ = Plan(load_spec("tiny", changes)).demand
    assert caught.value.code == code
    assert caught.value.where.startswith("key ")


def test_a_category_that_iso_does_not_know_is_refused():
    known = load_spec("tiny").document()["merchants"]["categories"]
    unknown = [{**known[0], "mcc": "0001"}, *known[1:]]
    with pytest.raises(PolicyError) as caught:
        _ = Plan(load_spec("tiny", {"merchants.categories": unknown})).merchants
    assert (caught.value.code, caught.value.found) == ("5B.WORLD.UNKNOWN_CATEGORY", "0001")
