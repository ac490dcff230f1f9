"""The store: Delta Lake tables, in a folder or on S3-compatible storage."""
