"""What a build holds so far, in words: how far it is, and one query's way to its order."""

from collections import Counter
from itertools import chain
from pathlib import Path

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder, all_pools, all_rankings, read_queries
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatRequest
from dataset_builder.language_models.conversation import replay
from dataset_builder.pipeline.progress import stage_progress
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import RUN, TeacherName
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.choice import ranking_method, teachers_of
from dataset_builder.teachers.costs import describe_cost
from dataset_builder.teachers.llm_teacher import RankingMethod, ranking
from retrieval.errors import InputError

SHOWN_CHARACTERS = 90


def describe_status(folder: BuildFolder, access: TeacherAccess) -> str:
    """A line for each stage, then counts of labels, then what the language model was paid."""
    settings = read_settings(folder)
    lines = [f"{folder.root}: {settings.num_queries:,} queries over {settings.corpus}"]
    if TeacherName.parse(settings.teacher).kind == RUN:
        lines.append(f"  imported from TREC runs ({settings.teacher.partition(':')[2]})")
    else:
        lines += [f"  {stage.name}: {stage}" for stage in stage_progress(folder, settings)]
    if folder.queries.is_file():
        lines.append(f"queries: {sum(1 for _ in read_queries(folder.queries)):,}")
    statuses = Counter(example.label_status for example in all_rankings(folder))
    if statuses:
        lines.append("labels: " + ", ".join(f"{count:,} {status}" for status, count in statuses.items()))
    cost = describe_cost(folder, settings, access)
    return "\n".join([*lines, f"paid to {cost}"] if cost else lines)


def describe_query(folder: BuildFolder, query_id: str, access: TeacherAccess) -> str:
    """A query's pool, each request's answer as it came, and the order they led to, with scores where there are some.

    Raises:
        InputError: for a query that has no pool.
    """
    settings = read_settings(folder)
    # An imported dataset has rankings alone.
    examples = chain(all_pools(folder), all_rankings(folder))
    pool = next((example for example in examples if example.query.query_id == query_id), None)
    if pool is None:
        raise InputError(f"{folder.root} has no pool for query {query_id!r}; see {folder.queries}")
    lines = [f"{query_id} ({pool.query.query_type}): {pool.query.text}", f"pool, from {pool.retriever}:"]
    lines += [_passage(found.retriever_rank, pool, index) for index, found in enumerate(pool.passages)]
    for teacher in teachers_of(settings):
        if teacher.is_language_model:
            lines += _answers(ranking_method(teacher, settings), pool, access.answer_folder(folder))
    labelled = next((each for each in all_rankings(folder) if each.query.query_id == query_id), None)
    return "\n".join([*lines, *_final_order(labelled)])


def _answers(method: RankingMethod, pool: RankingExample, answers: Path) -> list[str]:
    with AnswerCache(answers) as cache:
        exchanges, end = replay(ranking(method, pool), cache)
    lines = []
    for number, exchange in enumerate(exchanges, start=1):
        answer = exchange.answer
        said = f"refused: {answer.refusal}" if answer.refusal else answer.text
        if answer.rejection:
            said = f"rejected: {answer.rejection}"
        lines.append(f"answer {number}{_asked(exchange.request)}: {said.strip()}")
    if isinstance(end, TeacherAnswer):
        return [*lines, f"status: {end.label_status}"]
    return [*lines, "the next answer is still to come"]


def _asked(request: ChatRequest) -> str:
    """What a request was for, where it was not for a passage by itself."""
    if not request.num_listed:
        return ", whether a JSON schema is kept to" if request.fields else ""
    return f", to {request.num_listed} passages{' as scores' if request.fields else ''}"


def _final_order(labelled: RankingExample | None) -> list[str]:
    if labelled is None:
        return ["no order yet"]
    if labelled.teacher_order is None:
        return [f"no order ({labelled.label_status}): not in the dataset"]
    ranked = enumerate(labelled.teacher_order, start=1)
    return [f"order of {labelled.teacher}:", *(_passage(rank, labelled, index) for rank, index in ranked)]


def _passage(rank: int, example: RankingExample, index: int) -> str:
    passage = example.passages[index].passage
    text = " ".join(passage.contents.split())[:SHOWN_CHARACTERS]
    score = f" ({example.teacher_scores[index]:.4f})" if example.teacher_scores else ""
    return f"  {rank:>3}. [{index + 1}] {passage.docid}{score}: {text}"
