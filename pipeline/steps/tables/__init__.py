"""Tables that steps read and write in the store, as plain columns: the days, the score ledger, the block losses."""
