import pytest

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import advance
from dataset_builder.teachers.listwise import ListwiseSettings
from tests.teachers.example_pools import make_pool
from tests.teachers.llm_answers import completion
from tests.teachers.llm_server import StandInServer
from tests.teachers.llm_stand_in import StandIn


@pytest.fixture
def serve():
    """Start a stand-in server: `serve(StandIn(...))` gives its base URL."""
    servers = []

    def start(stand_in):
        servers.append(StandInServer(stand_in).__enter__())
        return servers[-1].url

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def stand_in():
    return StandIn()


@pytest.fixture
def cache(tmp_path):
    with AnswerCache(tmp_path / "answers") as opened:
        yield opened


@pytest.fixture
def settings():
    return ListwiseSettings(model="gpt-4o-mini")


@pytest.fixture
def pools():
    """`pools(3)`: three queries with 30 passages each."""

    def make(number, num_passages=30):
        return [make_pool(query, num_passages) for query in range(number)]

    return make


@pytest.fixture
def expected():
    """What a faultless stand-in makes of an example, computed without HTTP, cache or concurrency."""

    def rank(example, settings):
        ranking = settings.begin(example)
        step = advance(ranking, None)
        while isinstance(step, ChatRequest):
            message = completion(step.payload())["choices"][0]["message"]
            step = advance(ranking, ChatAnswer(message["content"]))
        return step.order

    return rank
