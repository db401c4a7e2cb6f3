"""A second witness for zones: the nearest real city by the haversine formula, over the whole list."""

import numpy as np

from segment5b_lib.world.cities import load_cities


def nearest_city(lat, lon):
    """Index of the nearest city by the haversine formula, without the tree that the projection uses."""
    cities = load_cities().cities
    phi, theta = np.radians(cities.lat_deg), np.radians(cities.lon_deg)
    a = (
        np.sin((phi - np.radians(lat)) / 2) ** 2
        + np.cos(phi) * np.cos(np.radians(lat)) * np.sin((theta - np.radians(lon)) / 2) ** 2
    )
    return int(np.argmin(a))
