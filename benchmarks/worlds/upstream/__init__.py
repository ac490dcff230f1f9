"""Sound businesses and silent faults of upstream engineers who had not seen the checks."""
