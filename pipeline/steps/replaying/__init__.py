"""What a replay is made from and how it is recorded: each day's fits of every recipe, and a run in the registry."""
