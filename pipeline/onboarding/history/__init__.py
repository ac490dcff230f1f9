"""A history in one file: read, brought to rows and days, and each column looked at."""
