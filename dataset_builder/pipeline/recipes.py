"""What the parts of a build are made of that other builds can share."""

import json
from pathlib import Path

from dataset_builder.build.artifacts import Recipe
from dataset_builder.build.claim import Identity
from dataset_builder.build.settings import OF_LABELS, BuildSettings
from dataset_builder.dataset.models import models_of_writers
from dataset_builder.pipeline.identity import OF_PROMPTS, content_of_model, corpus_content
from dataset_builder.pools.methods import (
    DRAGON,
    LUCENE,
    READY,
    SPLADE,
    encoders_of_methods,
    indexes_of_methods,
    models_of_methods,
)
from dataset_builder.queries.drawing import models_of_queries
from retrieval.content import Contents

PASSAGES, DRAWN = "passages", "queries"
# To be raised with a change of code after which the same inputs give other bytes.
FORMATS = {PASSAGES: 1, LUCENE: 1, SPLADE: 2, DRAGON: 2, DRAWN: 1}


def recipes_of(settings: BuildSettings, identity: Identity, contents: Contents) -> dict[str, Recipe]:
    """The recipe of the passage store, of each index, and of the queries with their pools, by name.

    Builds of another seed, teacher or mix of methods, or with more queries, share store and indexes; of another teacher
    alone, queries and pools too.

    Raises:
        InputError: for a file of the corpus or a model that is missing.
    """
    store = Recipe(
        PASSAGES, {"corpus": corpus_content(settings.corpus, contents), "format": FORMATS[PASSAGES]}
    )
    recipes = {PASSAGES: store}
    for index in indexes_of_methods(settings):
        recipes[index] = _index(index, settings, store, contents)
    if _is_told_by_names(settings):
        recipes[DRAWN] = _drawn(settings, identity, recipes, contents)
    return recipes


def _is_told_by_names(settings: BuildSettings) -> bool:
    """Whether queries and pools come of nothing that a name says too little of: a folder's index, a server's model."""
    named = [getattr(settings, flag) for flag in READY.values()]
    if any(index and Path(index).exists() for index in named):
        return False
    return not settings.asked_writer or bool(models_of_writers(settings))


def _index(index: str, settings: BuildSettings, store: Recipe, contents: Contents) -> Recipe:
    inputs: dict[str, str | int] = {PASSAGES: store.key, "format": FORMATS.get(index, FORMATS[DRAGON])}
    if index == LUCENE:
        return Recipe(index, inputs | {"language": settings.language})
    inputs["encoder"] = content_of_model(encoders_of_methods(settings)[index], contents)
    if settings.encoder_dtype:
        inputs["dtype"] = settings.encoder_dtype
    return Recipe(index, inputs if index == SPLADE else inputs | {"faiss": settings.faiss_index})


def _drawn(
    settings: BuildSettings, identity: Identity, recipes: dict[str, Recipe], contents: Contents
) -> Recipe:
    """All that a build is told by, but for how it is labelled; models by their contents."""
    left_out = (*OF_LABELS, *OF_PROMPTS, "corpus")
    meanings = {name: value for name, value in identity.items() if name not in left_out}
    models = [*models_of_methods(settings), *models_of_queries(settings), *models_of_writers(settings)]
    inputs: dict[str, str | int] = {
        name: json.dumps(value) for name, value in meanings.items() if not name.startswith("revision of ")
    }
    inputs |= {name: recipe.key for name, recipe in recipes.items()}
    inputs |= {f"model {number}": content_of_model(name, contents) for number, name in enumerate(models)}
    if settings.earlier_draws:
        inputs["earlier draws"] = json.dumps(settings.earlier_draws)
    return Recipe(DRAWN, inputs | {"num_shards": settings.num_shards, "format": FORMATS[DRAWN]})
