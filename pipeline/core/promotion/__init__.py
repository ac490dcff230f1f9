"""Who becomes champion: the decision on a day's findings, and the promotion ledger's lines."""
