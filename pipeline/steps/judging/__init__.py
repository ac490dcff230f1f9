"""A day's judging: its evidence, made now or read from what was recorded, put before every gate."""
