"""The ports: what the steps need of the world, in our words. Adapters keep the protocols, steps know nothing else.

values: what goes through · protocols: a door each · world: all of them in one hand.
"""

from pipeline.core.ports.protocols import (
    Checker,
    Engine,
    Files,
    Landing,
    Models,
    Progress,
    PromotionLedger,
    Registry,
    Store,
)
from pipeline.core.ports.values import Checked, Commit, Data, Delivery, Page, Rows, Units
from pipeline.core.ports.world import World, silent

__all__ = [
    "Checked",
    "Checker",
    "Commit",
    "Data",
    "Delivery",
    "Engine",
    "Files",
    "Landing",
    "Models",
    "Page",
    "Progress",
    "PromotionLedger",
    "Registry",
    "Rows",
    "Store",
    "Units",
    "World",
    "silent",
]
