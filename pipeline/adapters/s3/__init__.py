"""A place on S3-compatible storage, for the store and the files."""
