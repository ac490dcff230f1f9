"""Silent faults of the flights' upstream that were invented without a look at the checks.

``FAULTS[name](tables_of_the_day, day, first_day)``: the tables that it replaces; ``TOUCHED[name]``: the share of
flights touched. What depends on weather or weekday touches nothing on some days.
"""
