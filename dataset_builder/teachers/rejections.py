"""Why pools are without an order: what servers said of requests that they did not take."""

import re
from collections import Counter

from dataset_builder.build.folder import BuildFolder, all_rankings
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.conversation import replay
from dataset_builder.teachers.choice import ranking_method, teachers_of
from dataset_builder.teachers.llm_teacher import ranking

SHOWN_CHARACTERS = 120
# Of a request's own name, by which no two would be alike.
_NAMED = re.compile(r"\S*\d\S*")


def rejections(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> Counter[str]:
    """The words, in one line, without what has a digit in it, and of how many rejected pools they were the last."""
    rejected = [pool for pool in all_rankings(folder) if pool.label_status == "rejected"]
    found: Counter[str] = Counter()
    methods = [ranking_method(each, settings) for each in teachers_of(settings) if each.is_language_model]
    with AnswerCache(access.answer_folder(folder)) as cache:
        for pool in rejected:
            for method in methods:
                exchanges, _ = replay(ranking(method, pool), cache)
                if exchanges and (words := exchanges[-1].answer.rejection):
                    found[_in_one_line(words)] += 1
    return found


def _in_one_line(words: str) -> str:
    plain = " ".join(_NAMED.sub("…", words).replace("`", "'").split())
    return plain if len(plain) <= SHOWN_CHARACTERS else plain[:SHOWN_CHARACTERS] + "…"
