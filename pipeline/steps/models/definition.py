"""What a recipe is, as a digest: fits of another definition are no evidence for it, and other models."""

from __future__ import annotations

from pipeline.core.ports import World
from pipeline.core.records import digest
from pipeline.core.usecase import Usecase


def definition(usecase: Usecase, recipe: str, world: World) -> str:
    """Digest of a recipe's definition: all of the declaration that can change a prediction, and nothing else.

    Its numbers and its inputs, what is predicted, and what its estimator, the features and the moments at
    which rows are known are made of. Its name is part of it, since evidence is found by name.
    """
    declared, kind = usecase.recipe(recipe), usecase.kind
    target = [type(kind).__name__, kind.target, list(kind.classes)]
    made_of = [declared.name, declared.window, declared.seed, list(usecase.inputs), usecase.history, target]
    known = {feed.name: world.source_digest_of(feed.known_at) for feed in usecase.feeds if feed.known_at is not None}
    return digest([*made_of, world.source_digest_of(declared.build), world.source_digest_of(usecase.features), known])
