"""Fitted estimators as skops files, and how much memory they need."""
