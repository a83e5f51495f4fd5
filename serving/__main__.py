"""`python -m serving --model PATH_OR_ID [NAME=PATH_OR_ID ...]`: rerank over HTTP, as Cohere, Jina, Voyage and TEI do.

POST /rerank ranks documents, /health says that the server is ready, /docs describes everything. It listens once the
checkpoints are warm, scores requests of several clients together, and after SIGTERM answers what it has, and ends.
"""

import argparse

from retrieval.errors import InputError, run_cli
from serving.app import Access, build_app
from serving.checkpoints import Loading, load_checkpoints, served_names
from serving.keys import key_from_environment
from serving.metrics import Metrics
from serving.scorer import Scorer
from serving.server import Server, bound_socket
from serving.service import Limits, RerankService


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    arguments = _parser().parse_args()
    _require_positive(arguments)
    access = Access(
        None if arguments.api_key_env is None else key_from_environment(arguments.api_key_env),
        arguments.cors_origins,
    )
    names = served_names(arguments.model, arguments.served_model_name)
    holder = bound_socket(arguments.host, arguments.port)
    loading = Loading(arguments.int8, arguments.trust_remote_code, arguments.revision)
    checkpoints = load_checkpoints(names, loading)
    metrics = Metrics()
    scorer = Scorer(arguments.batch_tokens, metrics.observe_group)
    limits = Limits(arguments.max_documents, arguments.max_characters)
    service = RerankService(checkpoints, limits, scorer)
    server = Server(
        build_app(service, metrics, access, arguments.request_timeout),
        max_connections=arguments.max_connections,
        head_seconds=arguments.request_timeout,
        answer_seconds=arguments.shutdown_timeout,
        end=scorer.end,
    )
    metrics.watch(lambda: service.waiting, lambda: server.num_connections)
    server.run(sockets=[holder])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    add = parser.add_argument
    add_model_arguments(parser)
    add("--served_model_name", help="by what name clients ask for the one checkpoint")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=8000)
    add("--batch_tokens", type=int, default=2048, help="scored at once; a GPU takes more")
    add("--max_documents", type=int, default=1000, help="in a request")
    add("--max_characters", type=int, default=2_000_000, help="of a request's documents")
    add("--max_connections", type=int, default=512, help="that clients hold open")
    add("--request_timeout", type=float, default=15, help="seconds for a request to arrive")
    add("--shutdown_timeout", type=float, default=25, help="seconds for the last answers, after SIGTERM")
    add("--api_key_env", metavar="VARIABLE", help="ask clients for the key in this environment variable")
    add("--cors_origins", nargs="+", default=[], metavar="ORIGIN", help="whose pages may ask, or *")
    return parser


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that name checkpoints and say how they are loaded."""
    add = parser.add_argument
    add("--model", required=True, nargs="+", metavar="[NAME=]PATH_OR_ID", help="the first is the default")
    add(
        "--int8",
        action="store_true",
        help="int8 products: on a CPU 1.3 to 2 times as fast, nearly the same order",
    )
    add("--trust_remote_code", action="store_true", help="run the code that the checkpoint carries")
    add("--revision", help="commit, tag or branch of a Hub repository")


def _require_positive(arguments: argparse.Namespace) -> None:
    for name, value in vars(arguments).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "port" and value <= 0:
            raise InputError(f"--{name} {value} should be above 0")


if __name__ == "__main__":
    run_cli(main)
