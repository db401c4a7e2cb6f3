"""S4: counts become arrivals, each with a microsecond, a place, and the local time there."""
