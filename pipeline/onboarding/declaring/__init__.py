"""What the use case declares: choices, expectation suites, checks and golden cases, worked out from the history."""
