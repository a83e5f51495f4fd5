"""What the parts of a build are made of that other builds can share."""

from dataset_builder.build.artifacts import Recipe
from dataset_builder.build.settings import BuildSettings
from dataset_builder.pipeline.identity import content_of_model, corpus_content
from dataset_builder.pools.methods import DRAGON, LUCENE, SPLADE, encoders_of_methods, indexes_of_methods
from retrieval.content import Contents

PASSAGES = "passages"
# To be raised with a change of code after which the same inputs give other bytes.
FORMATS = {PASSAGES: 1, LUCENE: 1, SPLADE: 1, DRAGON: 1}


def recipes_of(settings: BuildSettings, contents: Contents) -> dict[str, Recipe]:
    """The recipe of the passage store and of each index, by name.

    Neither seed, queries, teacher nor query encoders are part of any: builds that differ in those share all.

    Raises:
        InputError: for a file of the corpus or a model that is missing.
    """
    store = Recipe(
        PASSAGES, {"corpus": corpus_content(settings.corpus, contents), "format": FORMATS[PASSAGES]}
    )
    encoders = encoders_of_methods(settings)
    recipes = {PASSAGES: store}
    for index in indexes_of_methods(settings):
        inputs: dict[str, str | int] = {PASSAGES: store.key, "format": FORMATS.get(index, FORMATS[DRAGON])}
        if index == LUCENE:
            inputs["language"] = settings.language
        else:
            inputs["encoder"] = content_of_model(encoders[index], contents)
        if index not in (LUCENE, SPLADE):
            inputs |= {"encoded_as": index, "faiss": settings.faiss_index}
        recipes[index] = Recipe(index, inputs)
    return recipes
