"""Limits that nobody sets: what is measured of a table's day, what is usual, and whether the day is so.

``feed`` and ``contents`` measure, with ``slices`` and ``together`` for what one slice says against the others and what
columns say to each other. ``surprise`` predicts each measure from the accepted days, ``relevance`` leaves out what is
too small to matter or never held, ``families`` learns the limits, and ``question`` says it to people.

A new measure is a line that yields a name and a value in one of the measuring modules. Its first part, the kind, gets a
family in ``families``, its scale in ``scales``, its words in ``question``, and what is too little of it to matter in
``relevance``. Profiles that were kept before have no such measure: it is asked once enough accepted days have it.
``RULES`` of ``core/checks/day.py`` is raised, so that no kept validation is taken for one by the new rules.
"""
