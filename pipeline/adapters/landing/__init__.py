"""Where upstream delivers: files fetched, unpacked, parsed to cells and brought to the declared types."""
