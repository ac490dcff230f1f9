"""The page of a replay, its drawings and its table."""
