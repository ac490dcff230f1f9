"""Six sound businesses and sixty silent faults of an upstream engineer."""
