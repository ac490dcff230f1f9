"""What people see: the page of a verdict, tables for the terminal, progress bars."""
