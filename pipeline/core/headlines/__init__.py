"""An outcome in one short line that anybody understands, and in one more the reason why.

The exact words stay where they were: in the verdict, in the day's line, in the promotion ledger.
"""

from pipeline.core.headlines.days import day_headline, verdict_headline, why_in_one_line
from pipeline.core.headlines.ledger import entry_headline
from pipeline.core.headlines.refusals import checks_told, refusal_headline, refusal_why
from pipeline.core.headlines.shortening import LONGEST_HEADLINE, clip, narrow

__all__ = [
    "LONGEST_HEADLINE",
    "checks_told",
    "clip",
    "day_headline",
    "entry_headline",
    "narrow",
    "refusal_headline",
    "refusal_why",
    "verdict_headline",
    "why_in_one_line",
]
