"""What one day alone can't show of its data: checks of a day's tables against each other and against the past.

Write a new check as a function in the module of what it looks at (``feeds``, ``references``, ``facts``), call it where
its neighbours are called, and add a fault that it finds to ``FAULTS`` in ``tests/core/checks/test_checks.py``: sixty
sound days then show that it does not ring. What it needs of the past is a field of a profile (``profiles``). Raise
``RULES`` in ``day`` if days that were accepted should be judged anew by it. Its finding is on the refused day's page by
itself; people first read its sentence in ``core/headlines/refusals.py``, where it can be given plainer words, and
``new`` gives its excuses their reason in ``onboarding/declaring/daily_checks.py``.
"""
