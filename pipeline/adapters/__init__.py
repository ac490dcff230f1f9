"""The doors: the only rooms that know a vendor, one file a port."""
