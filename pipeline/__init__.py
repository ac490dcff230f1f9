"""Continuous retraining that can be trusted: ingest, validate, train, score, evaluate, register, promote."""
