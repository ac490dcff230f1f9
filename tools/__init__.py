"""What `make` runs before or beside the environment."""
