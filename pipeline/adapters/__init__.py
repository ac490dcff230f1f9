"""The doors: the only rooms that know a vendor, a file or a folder a port."""
