"""Real places: the nearest city decides the clock, and the cache of the projection is disposable."""

import numpy as np
import pyarrow as pa
import pytest

from segment5b_lib.errors import EnvironmentFault, PolicyError
from segment5b_lib.store.parquet import cached_table
from segment5b_lib.world import cities as cities_module
from segment5b_lib.world.cells import build_cells
from segment5b_lib.world.cities import MIN_POPULATION, load_cities
from segment5b_lib.world.world_file import load_spec
from tests.nearest_city import nearest_city


def test_the_list_is_real_and_large():
    found = load_cities()
    assert len(found.cities.population) > 190_000
    assert found.cities.population.min() >= MIN_POPULATION
    names = {found.countries[c] for c in found.cities.country}
    assert {"GB", "DE", "FR", "MA", "US", "IL", "CU"} <= names
    london = nearest_city(51.5085, -0.1257)
    assert found.zones[found.cities.zone[london]] == "Europe/London"
    assert found.cities.population[london] > 5_000_000


def test_border_points_belong_to_one_country_and_to_the_neighbours_clock():
    found = load_cities()
    borders = found.borders
    assert len(borders.country) > 5_000
    for i in np.random.default_rng(0).choice(len(borders.country), 100, replace=False):
        city = nearest_city(borders.lat_deg[i], borders.lon_deg[i])
        assert found.cities.zone[city] == borders.zone[i]
        assert found.cities.country[city] != borders.country[i]
    assert borders.border_km.max() <= cities_module.BORDER_REACH_KM


@pytest.fixture
def counted_projection(tmp_path, monkeypatch):
    """A cache folder of its own, and a projection that counts how often it was made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []

    def make():
        made.append(len(made))
        return pa.table({"n": [1, 2, 3]})

    return made, lambda: cached_table(cities_module.cache_folder() / "cities-key.parquet", make, "the list")


def test_the_projection_is_made_once(counted_projection):
    made, read = counted_projection
    assert read().equals(read())
    assert made == [0]


@pytest.mark.parametrize("damage", [b"", b"not parquet", None])
def test_a_damaged_cache_is_made_again(counted_projection, damage):
    made, read = counted_projection
    first = read()
    (path,) = cities_module.cache_folder().glob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content) if damage is None else damage)
    assert read().equals(first)
    assert made == [0, 1]


def test_a_cache_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "segment5b").write_text("a file where the folder should be", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EnvironmentFault) as caught:
        cached_table(cities_module.cache_folder() / "cities-key.parquet", lambda: pa.table({"n": [1]}), "the list")
    assert (caught.value.code, caught.value.exit_code) == ("5B.WORLD.CACHE_NOT_WRITABLE", 4)


def test_cells_are_the_zones_in_use_with_all_the_demand():
    spec = load_spec("tiny")
    cells = build_cells(load_cities(), spec.geography)
    assert len(set(cells.tzid)) == spec.geography.zones_in_use
    assert set(spec.geography.required_zones) <= set(cells.tzid)
    assert cells.demand.sum() == pytest.approx(1.0, abs=1e-12)
    assert (cells.demand > 0).all()
    pairs = list(zip(cells.country, cells.tzid, strict=True))
    assert pairs == sorted(set(pairs))


def test_a_country_draws_the_share_of_demand_that_the_file_says():
    spec = load_spec("authority")
    cells = build_cells(load_cities(), spec.geography)
    own = ~cells.is_border
    by_country = {
        code: sum(d for c, d, o in zip(cells.country, cells.demand, own, strict=True) if o and c == code)
        for code in ("GB", "DE", "JP")
    }
    given = spec.geography.country_demand
    # A little of GB and DE lies under clocks that are not in use: the bases on Cyprus, and Busingen.
    for code in ("GB", "DE"):
        assert by_country[code] / by_country["JP"] == pytest.approx(given[code] / given["JP"], rel=1e-3)


def test_a_border_that_few_people_live_along_has_no_sites():
    geography = load_spec("medium").geography
    crowded, every = (
        build_cells(load_cities(), geography.model_copy(update={"border_people": people})) for people in (120_000, 1)
    )
    for cells, least in ((crowded, 120_000), (every, 1)):
        people = np.add.reduceat(cells.places.population, cells.starts[:-1])
        assert people[cells.is_border].min() >= least
    assert 0 < crowded.is_border.sum() < every.is_border.sum()
    assert {"FR", "NL", "CH"} <= {
        c for c, zone in zip(crowded.country, crowded.tzid, strict=True) if zone == "Europe/Berlin"
    }


def test_places_are_drawn_within_the_cell_by_population():
    cells = build_cells(load_cities(), load_spec("tiny").geography)
    cell = cells.country.index("FR")
    u = (np.arange(20_000) + 0.5) / 20_000
    picked = cells.pick_places(np.full(len(u), cell), u, 1.0)
    assert picked.min() >= cells.starts[cell]
    assert picked.max() < cells.starts[cell + 1]
    there = slice(cells.starts[cell], cells.starts[cell + 1])
    share = cells.places.population[there] / cells.places.population[there].sum()
    counted = np.bincount(picked - cells.starts[cell], minlength=len(share)) / len(u)
    assert np.abs(counted - share).max() <= 1.01 / len(u)


@pytest.mark.parametrize("u", [0.0, 1 - 2**-53])
def test_the_ends_of_the_uniform_stay_in_the_cell(u):
    cells = build_cells(load_cities(), load_spec("tiny").geography)
    every = np.arange(len(cells))
    picked = cells.pick_places(every, np.full(len(cells), u), 0.7)
    assert (picked >= cells.starts[:-1]).all()
    assert (picked < cells.starts[1:]).all()


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("geography.required_zones", ["Mars/Olympus"], "5B.WORLD.ZONE_WITHOUT_PLACE"),
        ("geography.zones_in_use", 1000, "5B.WORLD.TOO_MANY_ZONES"),
        ("geography.country_demand", {"QQ": 1.0}, "5B.WORLD.UNKNOWN_COUNTRY"),
    ],
)
def test_places_that_do_not_exist_are_refused(key, value, code):
    spec = load_spec("tiny", {key: value})
    with pytest.raises(PolicyError) as caught:
        build_cells(load_cities(), spec.geography)
    assert caught.value.code == code
