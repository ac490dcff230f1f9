"""Great Expectations: suites held as data, asked of a day, and its page."""
