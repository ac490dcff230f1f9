"""Flights from New York in 2013: the tables and the features that both of its use cases share."""
