"""What the product costs and what it finds, measured anew by a command: ``make bench``."""
