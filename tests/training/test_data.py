"""Rankings as they are loaded for a training: held out by query, drawn by query."""

import pytest
from datasets import Dataset

from retrieval.errors import InputError
from training.arguments import DistillationArguments, Stage
from training.collator import RankingCollator
from training.data import has_scores, load_rankings, num_with_source, refuse_unreadable
from training.flags import DataArguments, ModelArguments
from training.losses import parse_loss


def save(folder, num_queries, rankings_a_query=1, split="train", scores=None, **fields):
    folder.mkdir(exist_ok=True)
    rows = [
        {
            "query_id": f"{split}{query}-{teacher}",
            "query": f"Query  {query}" if teacher else f"query {query}",
            "retrieved_passages": [
                {"docid": f"d{rank}", "text": f"text {rank}", "rank": rank}
                | ({} if scores is None else {"teacher_score": scores[rank - 1]})
                for rank in (1, 2)
            ],
        }
        | fields
        for query in range(num_queries)
        for teacher in range(rankings_a_query)
    ]
    Dataset.from_list(rows).to_parquet(folder / f"{split}-{num_queries}-{rankings_a_query}.parquet")
    return DataArguments(dataset_name=str(folder))


def queries(rankings):
    return {" ".join(query.lower().split()) for query in rankings["query"]}


def test_without_a_test_split_whole_queries_are_held_out(tmp_path):
    arguments = save(tmp_path, num_queries=25, rankings_a_query=3)
    train, held_out = load_rankings(arguments, seed=1)
    assert (len(train), len(held_out)) == (66, 9)
    assert queries(train).isdisjoint(queries(held_out))
    again = load_rankings(arguments, seed=1)
    assert again[1]["query_id"] == held_out["query_id"]
    assert load_rankings(arguments, seed=2)[1]["query_id"] != held_out["query_id"]


def test_nothing_is_held_out_of_a_dataset_that_has_a_test_split_or_one_query_or_where_0_is_asked_for(
    tmp_path,
):
    arguments = save(tmp_path / "a", num_queries=10)
    save(tmp_path / "a", num_queries=4, split="test")
    assert [len(part) for part in load_rankings(arguments, seed=1)] == [10, 4]
    assert load_rankings(save(tmp_path / "b", num_queries=1, rankings_a_query=3), seed=1)[1] is None
    arguments = save(tmp_path / "c", num_queries=10)
    arguments.held_out = 0.0
    train, held_out = load_rankings(arguments, seed=1)
    assert len(train) == 10 and held_out is None


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (4, 8), (9, 18)])
def test_the_rankings_of_so_many_queries_are_drawn_with_the_seed(tmp_path, number, expected):
    arguments = save(tmp_path, num_queries=10, rankings_a_query=2)
    arguments.max_train_samples = number
    train, _ = load_rankings(arguments, seed=1)
    assert len(train) == expected
    assert len(queries(train)) == expected / 2
    if number == 4:
        assert queries(load_rankings(arguments, seed=3)[0]) != queries(train)


def test_more_queries_than_there_are_is_one_line(tmp_path):
    arguments = save(tmp_path, num_queries=10)
    arguments.max_train_samples = 10  # of which one is held out
    with pytest.raises(InputError, match="--max_train_samples 10: there are only 9 queries to train on"):
        load_rankings(arguments, seed=1)


@pytest.mark.parametrize(("scores", "expected"), [(None, False), ((2.0, 1.0), True), ((2.0, None), False)])
def test_a_score_loss_is_refused_before_training_where_a_passage_has_none(tmp_path, scores, expected):
    arguments = save(tmp_path, num_queries=3, scores=scores)
    arguments.held_out = 0
    rankings, _ = load_rankings(arguments, seed=1)
    assert has_scores(rankings) == expected
    assert has_scores(rankings.select([2, 0])) == expected
    stage = Stage(ModelArguments("m"), arguments, DistillationArguments(loss="kl+0.1*margin_mse"))
    if expected:
        refuse_unreadable(rankings, parse_loss(stage.training.loss), stage)
    else:
        with pytest.raises(InputError, match=r"--loss kl\+0.1\*margin_mse needs the teacher's scores"):
            refuse_unreadable(rankings, parse_loss(stage.training.loss), stage)


def test_infonce_is_refused_where_no_query_has_its_source_and_says_how_many_have(tmp_path, capsys):
    stage = Stage(ModelArguments("m"), DataArguments("d"), DistillationArguments(loss="infonce"))
    for number, source in enumerate(("d2", "", "elsewhere")):
        arguments = save(tmp_path / str(number), num_queries=3, source_docid=source)
        arguments.held_out = 0
        rankings, _ = load_rankings(arguments, seed=1)
        assert num_with_source(rankings) == (3 if source == "d2" else 0)
        if source != "d2":
            with pytest.raises(InputError, match="source_docid is among their passages"):
                refuse_unreadable(rankings, parse_loss("infonce"), stage)
    half = rankings.map(lambda row, i: {"source_docid": "d1" if i else ""}, with_indices=True)
    refuse_unreadable(half, parse_loss("infonce"), stage)
    assert "2 of 3 rankings hold their query's source" in capsys.readouterr().out


def test_the_collator_spreads_ranks_scores_and_source_over_lists_of_unequal_length(tiny_t5):
    from modeling_twolar import TwolarForReranking

    def row(source, ranks):
        passages = [
            {"docid": f"d{rank}", "text": "t", "rank": rank, "teacher_score": -rank} for rank in ranks
        ]
        return {"query": "q", "source_docid": source, "retrieved_passages": passages}

    collator = RankingCollator(TwolarForReranking.from_backbone(tiny_t5(True, "relu")).tokenizer, 60)
    batch = collator([row("d4", [4, 1]), row("none", [3, 1, 2])])
    assert batch["ranks"].tolist() == [[1, 4, 0], [1, 2, 3]]
    assert batch["teacher_scores"].tolist() == [[-1.0, -4.0, 0.0], [-1.0, -2.0, -3.0]]
    assert batch["is_source"].tolist() == [[False, True, False], [False, False, False]]
    assert len(batch["input_ids"]) == 5
