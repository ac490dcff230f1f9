"""A policy played over the days of the past, by the daily run's own functions."""
