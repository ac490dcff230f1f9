"""What no expectation on a single day can see: a day's tables against each other and against the recent past."""
