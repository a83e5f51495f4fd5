"""The report's numbers, and what it says of builds that stand in different places."""

import base64
import gzip
import json
import re
from dataclasses import replace

import pytest

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder, write_examples
from dataset_builder.commands.import_runs import Import, import_runs
from dataset_builder.commands.inspection import describe_query
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.conversation import replay
from dataset_builder.report.agreement import agreements
from dataset_builder.report.build_so_far import open_build
from dataset_builder.report.page import render_page, write_report
from dataset_builder.report.query_detail import chosen_queries
from dataset_builder.report.query_row import QueryRow, query_rows, rank_correlation
from dataset_builder.report.windows import talk_with
from dataset_builder.teacher_name import TeacherName
from dataset_builder.teachers.choice import ranking_method
from dataset_builder.teachers.llm_teacher import ranking
from retrieval.errors import InputError
from retrieval.records import Query
from tests.dataset_builder.built_folders import ask, begin_folder, labelled_folder, pool, scored_folder

BEST_FIRST = "[1] > [2] > [3] > [4] > [5]"
REVERSED = "[5] > [4] > [3] > [2] > [1]"


def page_of(folder, max_queries=1000):
    """The words of the page, and its packed blocks."""
    page = render_page(folder, TeacherAccess(), max_queries)
    blocks = re.findall(r'<script type="text/plain" id="(.*?)">(.*?)</script>', page)
    opened = {name: json.loads(gzip.decompress(base64.b64decode(packed))) for name, packed in blocks}
    visible = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    words = re.sub(r"<[^>]+>", " ", re.sub(r"</?b>", "", visible)).split()
    return " ".join(words), opened


def test_the_correlation_is_one_for_the_same_order_and_minus_one_for_its_reverse():
    assert rank_correlation([1, 2, 3, 4]) == 1
    assert rank_correlation([4, 3, 2, 1]) == -1
    assert rank_correlation([2, 1, 3, 4]) == pytest.approx(4 / 6)
    assert rank_correlation([1]) is None


def test_agreement_is_counted_for_each_retriever_by_itself(tmp_path):
    pools = [pool(0), pool(1), pool(2, retriever="minilm")]
    folder = labelled_folder(tmp_path / "out", pools, [BEST_FIRST, REVERSED, REVERSED])
    with open_build(folder, read_settings(folder), TeacherAccess()) as build:
        found = agreements(query_rows(build))
    assert [(each.retriever, each.num_queries, each.first_at) for each in found] == [
        ("bm25", 2, 3.0),
        ("minilm", 1, 5.0),
    ]
    assert [each.mean_tau for each in found] == pytest.approx([0, -1])
    assert found[0].histogram == (1, *[0] * 18, 1)


def test_each_window_shows_what_was_said_and_which_places_were_repaired(tmp_path):
    """Windows of three, from the end: passages 3, 4, 5 first, then the two before them with the best of these."""
    pools = [pool(0)]
    flags = {"window_size": 3, "step": 2}
    texts = ["I like [3] best.", "[3] > [1]", "[2] > [3] > [1]"]
    folder, settings = begin_folder(tmp_path / "out", pools, **flags)
    (done,) = ask(folder, settings, pools, texts)
    method = ranking_method(TeacherName.parse(settings.teacher), settings)
    with AnswerCache(folder.answers) as answers:
        talk = talk_with(method, pools[0], answers)
    assert [(turn.window, turn.attempt, turn.shown, turn.text) for turn in talk.turns] == [
        (1, 1, (2, 3, 4), "I like [3] best."),
        (1, 2, (2, 3, 4), "[3] > [1]"),
        (2, 1, (0, 1, 4), "[2] > [3] > [1]"),
    ]
    assert [(turn.status, turn.order, turn.missing) for turn in talk.turns] == [
        ("unusable", (), ()),
        ("repaired", (4, 2), (3,)),
        ("ok", (1, 4, 0), ()),
    ]
    assert talk.end == "repaired"
    assert done.teacher_order == (1, 4, 0, 2, 3)


def test_a_shuffled_prompt_is_shown_in_the_order_that_the_model_saw(tmp_path):
    pools = [pool(0)]
    folder, settings = begin_folder(tmp_path / "out", pools, shuffle=True)
    (done,) = ask(folder, settings, pools, [BEST_FIRST])
    method = ranking_method(TeacherName.parse(settings.teacher), settings)
    with AnswerCache(folder.answers) as answers:
        (turn,) = talk_with(method, pools[0], answers).turns
    assert turn.shown != (0, 1, 2, 3, 4)
    assert turn.order == turn.shown == done.teacher_order


def test_scores_are_shown_as_the_order_they_give_and_what_finds_out_about_schemas_is_no_window(tmp_path):
    scores = json.dumps({f"passage_{number}": number for number in range(1, 6)})
    said = ['{"passage_1": 9, "passage_2": 1}', scores]
    folder = labelled_folder(tmp_path / "build", [pool(1)], said, answer_format="auto")
    method = ranking_method(TeacherName.parse("openai:gpt-4o-mini"), read_settings(folder))
    with AnswerCache(folder.answers) as answers:
        (turn,) = talk_with(method, pool(1), answers).turns
    assert (turn.status, turn.order, turn.text) == ("ok", (4, 3, 2, 1, 0), scores)
    described = describe_query(folder, "cropped-1", TeacherAccess())
    assert 'answer 1, whether a JSON schema is kept to: {"passage_1": 9, "passage_2": 1}' in described
    assert f"answer 2, to 5 passages as scores: {scores}" in described


def test_a_rejected_window_says_why_and_the_text_form_follows(tmp_path):
    folder, settings = begin_folder(tmp_path / "build", [pool(1)], answer_format="auto")
    method = ranking_method(TeacherName.parse(settings.teacher), settings)
    said = [
        ChatAnswer('{"passage_1": 9, "passage_2": 1}'),
        ChatAnswer("", rejection="too many fields"),
        ChatAnswer("[2] > [1] > [3] > [4] > [5]"),
    ]
    with AnswerCache(folder.answers) as answers:
        for answer in said:
            _, request = replay(ranking(method, pool(1)), answers)
            answers.put(request.key, request.model, answer)
        talk = talk_with(method, pool(1), answers)
    assert [(turn.status, turn.rejection) for turn in talk.turns] == [
        ("rejected", "too many fields"),
        ("ok", ""),
    ]
    assert talk.end == "ok"


def test_a_pointwise_answer_shows_its_log_odds(tmp_path):
    pools = [pool(0)]
    folder, settings = begin_folder(tmp_path / "out", pools, teacher="pointwise:gpt-4o-mini")
    method = ranking_method(TeacherName.parse(settings.teacher), settings)
    request = next(method.begin(pools[0]))
    with AnswerCache(folder.answers) as answers:
        answers.put(request.key, request.model, ChatAnswer("Yes", first_token={"Yes": -0.5, "No": -2.0}))
        talk = talk_with(method, pools[0], answers)
        assert talk.end == "to come"
        answers.put(next(method.begin(pool(1))).key, request.model, ChatAnswer("Yes"))
        assert "answers without log-probabilities" in talk_with(method, pool(1), answers).end
    assert [(turn.shown, turn.log_odds) for turn in talk.turns] == [((0,), 1.5)]


def test_a_build_that_waits_for_answers_says_how_far_each_query_is(tmp_path):
    pools = [pool(number) for number in range(4)]
    folder, settings = begin_folder(
        tmp_path / "out", pools, [Query("cropped-9", "too rare", "cropped", "sun")], num_shards=2
    )
    write_examples(folder.pools(0), pools[:2])
    write_examples(folder.pools(1), pools[2:])
    texts = [BEST_FIRST, "[5] > [4] > [1]", REVERSED, "I cannot tell."]
    write_examples(folder.rankings(0), ask(folder, settings, pools, texts)[:2])
    text, opened = page_of(folder)
    assert "5 queries over planets.jsonl, ordered by gpt-4o-mini (prompt " in text
    assert "3 of 5 queries have a label" in text
    assert "ok 2 40.00%" in text
    assert "repaired 1 20.00%" in text
    assert "waiting 1 20.00%" in text
    assert "no pool 1 20.00%" in text
    assert "rankings 1 of 2 parts done" in text
    assert "openai:gpt-4o-mini: 4 answers, 0.00M tokens, $0.00" in text
    assert "2 near-empty, 1 duplicate" in text
    assert [(row[0], row[4], row[6]) for row in opened["rows"]] == [
        ("cropped-0", "ok", 1.0),
        ("cropped-1", "repaired", -0.4),
        ("cropped-2", "ok", -1.0),
        ("cropped-3", "waiting", None),
        ("cropped-9", "no pool", None),
    ]
    details = opened["block-0"]
    assert details["cropped-2"]["talks"][0]["turns"][0]["text"] == REVERSED
    (unfinished,) = details["cropped-3"]["talks"]
    assert (unfinished["turns"][0]["status"], unfinished["end"]) == ("refused", "to come")
    assert [each["teacher_rank"] for each in details["cropped-1"]["passages"]] == [3, 4, 5, 2, 1]


def test_a_teacher_that_is_no_language_model_is_shown_with_its_scores(tmp_path):
    folder = scored_folder(tmp_path / "out", [pool(0)], [0.1, 0.5, 0.4, 0.3, 0.2])
    text, opened = page_of(folder)
    assert "No language model is asked: nothing is paid." in text
    passages = opened["block-0"]["cropped-0"]["passages"]
    assert [(each["teacher_rank"], each["teacher_score"]) for each in passages[:2]] == [(5, 0.1), (1, 0.5)]


def test_an_imported_dataset_has_a_report(planets, tmp_path):
    (tmp_path / "queries.jsonl").write_text('{"_id": "7", "text": "red planet"}\n')
    (tmp_path / "first.txt").write_text("7 Q0 sun 1 9 bm25\n7 Q0 mars 2 8 bm25\n")
    (tmp_path / "llm.txt").write_text("7 Q0 mars 1 2 llm\n7 Q0 sun 2 1 llm\n")
    output = tmp_path / "out"
    import_runs(
        Import(
            [tmp_path / "llm.txt"],
            tmp_path / "queries.jsonl",
            str(planets),
            str(output),
            tmp_path / "first.txt",
        )
    )
    text, opened = page_of(BuildFolder(output))
    assert "imported from TREC runs: no stage was run here" in text
    assert "ok 1 100.00%" in text
    assert "run 1 -1.000" in text
    assert [each["docid"] for each in opened["block-0"]["7"]["passages"]] == ["sun", "mars"]


def test_what_the_writer_of_queries_was_asked_is_said(tmp_path):
    writer = {
        "query_types": ["cropped=1", "llm_query=1"],
        "num_queries": 2,
        "query_writer": "openai:gpt-4o-mini",
    }
    pools = [pool(0), pool(0, query_type="llm_query")]
    folder, _ = begin_folder(tmp_path / "out", pools, teacher="rank-fusion", **writer)
    with AnswerCache(folder.answers) as answers:
        answers.put("key", "gpt-4o-mini", ChatAnswer("which planet is red?", prompt_tokens=90_000))
    text, _ = page_of(folder)
    assert "openai:gpt-4o-mini: 1 answers, 0.09M tokens, $0.01" in text
    assert "llm_query 1" in text


def test_a_build_that_has_drawn_no_query_has_a_report(tmp_path):
    folder, _ = begin_folder(tmp_path / "out", [])
    folder.queries.unlink()
    folder.pools(0).unlink()
    text, opened = page_of(folder)
    assert "No query has been drawn yet." in text
    assert opened == {"rows": []}


def test_beyond_max_queries_what_went_wrong_comes_first_and_the_page_says_so(tmp_path):
    rows = [
        QueryRow(f"q{number}", "", "cropped", "bm25", "refused" if number in (3, 7) else "ok", 5)
        for number in range(10)
    ]
    assert chosen_queries(rows, 4) == ["q3", "q7", "q0", "q5"]
    assert chosen_queries(rows, 2) == ["q3", "q0"]
    assert chosen_queries(rows, 0) == []
    assert len(set(chosen_queries(rows, 9))) == 9
    assert len(chosen_queries(rows, 10)) == 10
    folder = labelled_folder(tmp_path / "out", [pool(0), pool(1)], [BEST_FIRST, BEST_FIRST])
    text, opened = page_of(folder, max_queries=1)
    assert "All 2 queries are counted above and listed here; 1 of the 2 with a pool" in text
    assert [row[0] for row in opened["rows"]] == ["cropped-0", "cropped-1"]
    assert list(opened["block-0"]) == ["cropped-0"]


def test_the_same_folder_gives_the_same_bytes_and_leaves_nothing_unfinished(tmp_path):
    folder = labelled_folder(tmp_path / "out", [pool(0), pool(1)], [BEST_FIRST, REVERSED])
    one, other = tmp_path / "one.html", tmp_path / "other.html"
    write_report(folder, TeacherAccess(), one)
    write_report(folder, TeacherAccess(), other)
    assert one.read_bytes() == other.read_bytes()
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_cannot_be_reported_is_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no build"):
        write_report(BuildFolder(tmp_path), TeacherAccess(), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
    folder = labelled_folder(tmp_path / "out", [pool(0)], [BEST_FIRST])
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write_report(folder, TeacherAccess(), tmp_path / "missing" / "report.html")
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        write_report(folder, TeacherAccess(), folder.root)
    assert not list(tmp_path.glob("*.unfinished"))
    with pytest.raises(InputError, match="--max_queries is -1; give 0 or more"):
        write_report(folder, TeacherAccess(), tmp_path / "report.html", -1)


def test_an_unusable_number_or_a_long_text_does_not_break_the_page(tmp_path):
    long = pool(0, [("long", "word " * 1000), ("nan", "text")])
    first, second = long.passages
    strange = replace(long, passages=(first, replace(second, retriever_score=float("nan"))))
    folder = scored_folder(tmp_path / "out", [strange], [1.0, 0.0])
    _, opened = page_of(folder)
    passages = opened["block-0"]["cropped-0"]["passages"]
    assert passages[0]["text"].endswith(" … [4,000 characters left out of this report]")
    assert passages[1]["retriever_score"] is None
