"""Own data: a history in one file becomes a use case's folder, its expectation suites and its daily deliveries."""
