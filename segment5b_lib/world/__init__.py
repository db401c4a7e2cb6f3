"""The embedded upstream: real cities, zones, holidays and merchant categories, made into a sealed world."""
