"""Pointwise ranking by a chat model: how likely it answers Yes to "does this passage answer the query?".

The score is the log-odds of Yes against No in the answer's first token, from its log-probabilities.
Source: Nogueira et al., arXiv 2003.06713, for the two words; Liang et al., "HELM", arXiv 2211.09110, for the question.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message, Sampling
from dataset_builder.language_models.text_length import cut_to_words
from dataset_builder.prompt_files import render, version, wording
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import TeacherAnswer, best_first
from dataset_builder.teachers.llm_teacher import Ranking
from retrieval.errors import InputError

PROMPT = "pointwise.txt"
# OpenAI gives at most 20; a word that is not among them is less likely than all of these.
CANDIDATES = 20
YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class PointwiseSettings:
    """How a pool is scored, one request a passage. `max_words`: each passage is cut after that many."""

    model: str
    max_words: int = 300

    @property
    def name(self) -> str:
        """What the dataset's `teacher` column says: model and prompt version."""
        return f"pointwise {self.model} (prompt {version(wording(PROMPT), self.max_words)})"

    def begin(self, example: RankingExample) -> Ranking:
        """See `RankingMethod.begin`.

        Raises:
            InputError: where the model's answers come without log-probabilities.
        """
        scores: list[float] = []
        for found in example.passages:
            shown = cut_to_words(found.passage.contents, self.max_words)
            prompt = render(PROMPT, query=" ".join(example.query.text.split()), passage=shown)
            sampling = Sampling(temperature=0.0, max_tokens=1, top_logprobs=CANDIDATES)
            answer = yield ChatRequest(self.model, (Message("user", prompt),), sampling=sampling)
            if answer.refusal or answer.finish_reason == "content_filter":
                return TeacherAnswer(None, "refused")
            scores.append(log_odds(_candidates(answer, self.model)))
        return best_first(scores)


def _candidates(answer: ChatAnswer, model: str) -> Mapping[str, float]:
    if not answer.first_token:
        raise InputError(
            f"{model} answers without log-probabilities, which pointwise needs; take a server that gives them "
            "(OpenAI, vLLM, llama.cpp, embedded), or rank listwise with openai:"
        )
    return answer.first_token


def log_odds(first_token: Mapping[str, float]) -> float:
    """Log-odds of yes against no, each in any spelling, " Yes" and "YES" too.

    Args:
        first_token: candidates for the answer's first token, by natural log-probability. Of a word that is not
            among them the least likely candidate's is taken, which it cannot pass.
    """
    least = min(first_token.values())
    yes, no = (_log_probability(first_token, word, least) for word in (YES, NO))
    return yes - no


def _log_probability(first_token: Mapping[str, float], word: str, least: float) -> float:
    found = [value for token, value in first_token.items() if token.strip().lower() == word]
    top = max(found, default=least)
    return top + math.log(sum(math.exp(value - top) for value in found)) if found else least
