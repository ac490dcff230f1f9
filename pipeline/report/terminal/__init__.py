"""Tables for the command line."""
