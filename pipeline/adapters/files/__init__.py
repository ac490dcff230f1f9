"""Immutable files, in a local folder or on S3-compatible storage."""
