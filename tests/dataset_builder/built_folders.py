"""Build folders made of the product's own parts without a corpus: queries, pools, answers and labels."""

import json

from dataset_builder.build.claim import claimed
from dataset_builder.build.folder import BuildFolder, write_examples, write_lines, write_queries
from dataset_builder.build.settings import load_profile
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.conversation import replay
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teacher_name import TeacherName
from dataset_builder.teachers import TeacherAnswer, best_first, labelled
from dataset_builder.teachers.choice import ranking_method
from retrieval.records import Passage, Query
from tests.conftest import PLANETS


def settings_of(root, **changes):
    corpus = root.parent / "planets.jsonl"
    corpus.parent.mkdir(parents=True, exist_ok=True)
    corpus.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    wanted: dict[str, str | int | float | bool | list[str] | None] = {
        "corpus": str(corpus),
        "num_queries": 4,
        "query_types": ["cropped"],
        "output_dir": str(root),
        "answer_format": "text",
        "num_shards": 1,
    }
    return load_profile("offline", wanted | {"teacher": "openai:gpt-4o-mini"} | changes)


def pool(number, passages=PLANETS[:5], text="", query_type="cropped", retriever="bm25"):
    found = tuple(
        RetrievedPassage(Passage(docid, "", passage), rank, 10.0 - rank)
        for rank, (docid, passage) in enumerate(passages, start=1)
    )
    query = Query(f"{query_type}-{number}", text or f"red planet {number}", query_type, passages[0][0])
    return RankingExample(query, retriever, found)


def begin_folder(root, pools, without_pool=(), **changes):
    """A build that has filled its pools."""
    folder, settings = BuildFolder(root), settings_of(root, **changes)
    with claimed(folder, settings, {}, {}):
        pass
    write_queries(folder.queries, [*(each.query for each in pools), *without_pool])
    write_lines(folder.query_counts(), [{"cropped": {"kept": len(pools), "near_empty": 2, "duplicate": 1}}])
    write_examples(folder.pools(0), pools)
    for stage in ("passages", "indexes", "queries", "pools"):
        (folder.logs(stage) / "completions").mkdir(parents=True)
        (folder.logs(stage) / "completions" / "00000").touch()
    return folder, settings


def ask(folder, settings, pools, texts):
    """Label the pools with a model that says `texts`, one after the other, until it has no more to say."""
    method = ranking_method(TeacherName.parse(settings.teacher), settings)
    texts = iter(texts)
    done: list[RankingExample] = []
    with AnswerCache(folder.answers) as cache:
        for each in pools:
            _, end = replay(method.begin(each), cache)
            while not isinstance(end, TeacherAnswer):
                text = next(texts, None)
                if text is None:
                    return done
                cache.put(
                    end.key,
                    end.model,
                    ChatAnswer(text, finish_reason="stop", prompt_tokens=900, completion_tokens=25),
                )
                _, end = replay(method.begin(each), cache)
            done.append(labelled(each, end, method.name))
    return done


def labelled_folder(root, pools, texts, **changes):
    """A build whose language model has said `texts`, and whose labels are written."""
    folder, settings = begin_folder(root, pools, **changes)
    write_examples(folder.rankings(0), ask(folder, settings, pools, texts))
    return folder


def scored_folder(root, pools, scores):
    """A build with an offline teacher that gave each passage of every pool a score."""
    folder, _ = begin_folder(root, pools, teacher="reranker:all-MiniLM-L6-v2")
    write_examples(folder.rankings(0), [labelled(each, best_first(scores), "reranker") for each in pools])
    return folder
