"""How a teacher is asked and reached, as the flags say: parsed in process, nothing is built."""

import pytest

from dataset_builder.commands.arguments import build_settings, teacher_access
from dataset_builder.commands.flags import parser
from dataset_builder.teacher_name import TeacherName
from dataset_builder.teachers.choice import ranking_method
from dataset_builder.teachers.opening import check_teacher
from retrieval.errors import InputError


def parsed(*flags):
    return parser().parse_args(["build", "--teacher", "openai:m", *flags])


def settings(output, *flags):
    return build_settings(
        parsed("--corpus", str(output.parent / "c.jsonl"), "--output_dir", str(output), *flags)
    )


def test_how_a_model_answers_is_said_by_flags_and_none_leaves_it_to_the_server(tmp_path):
    flags = (
        "--temperature",
        "none",
        "--max_tokens",
        "9000",
        "--reasoning_effort",
        "low",
        "--thinking_budget",
        "500",
    )
    sampling = ranking_method(TeacherName("openai", "m"), settings(tmp_path / "o", *flags)).sampling
    assert (sampling.temperature, sampling.max_tokens) == (None, 9000)
    assert (sampling.reasoning_effort, sampling.thinking_budget) == ("low", 500)
    flags = ("--max_tokens", "none", "--reasoning_effort", "none", "--thinking_budget", "none")
    sampling = ranking_method(TeacherName("openai", "m"), settings(tmp_path / "o", *flags)).sampling
    assert (sampling.temperature, sampling.max_tokens) == (0.0, None)
    assert (sampling.reasoning_effort, sampling.thinking_budget) == ("", None)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--concurrency", "0"), "--concurrency is 0"),
        (("--max_cost", "nan"), "--max_cost is nan"),
        (("--requests_per_minute", "-1"), "--requests_per_minute is -1"),
        (("--completion_price", "-2"), "--completion_price is -2.0"),
        (("--base_url", "localhost:8000/v1"), "--base_url 'localhost:8000/v1'"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_built(tmp_path, flags, words):
    with pytest.raises(InputError, match=words):
        check_teacher(settings(tmp_path / "out", *flags), teacher_access(parsed(*flags)))
    assert not (tmp_path / "out").exists()
