"""The use case's folder as text, its deliveries, and all of it put in its place at once."""
