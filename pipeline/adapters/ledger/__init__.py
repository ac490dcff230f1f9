"""The promotion ledger, and the outcomes of days, in SQLite or PostgreSQL."""
