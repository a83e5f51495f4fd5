"""`python -m serving.mcp --model PATH_OR_ID`: reranking as an MCP tool, over stdin and stdout."""

import argparse
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

from retrieval.errors import InputError, run_cli
from serving.__main__ import add_model_arguments
from serving.checkpoints import Loading, Reranker, load_checkpoints, served_names

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


class RankedDocument(TypedDict):
    """A document's place in the ranking. `index`: in the list given, from 0. `score`: higher is more relevant."""

    index: int
    score: float
    text: str


def main() -> None:
    """Answer an MCP client until it closes stdin."""
    parser = argparse.ArgumentParser(prog="python -m serving.mcp", description=__doc__)
    add_model_arguments(parser)
    arguments = parser.parse_args()
    require_mcp()
    names = served_names(arguments.model)
    if len(names) > 1:
        raise InputError("--model: the tool has one checkpoint; start another for each of several")
    (model,) = load_checkpoints(
        names, Loading(arguments.int8, arguments.trust_remote_code, arguments.revision)
    ).values()
    build_server(model).run("stdio")


def require_mcp() -> None:
    """Check that the optional package is there, before a checkpoint is loaded.

    Raises:
        InputError: where it is not.
    """
    try:
        import mcp.server.mcpserver  # noqa: F401
    except ImportError as error:
        raise InputError("the package mcp is not installed; run pip install 'mcp>=2.3'") from error


def build_server(model: Reranker) -> "MCPServer":
    """The server, with its one tool `rerank`."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("twolar", instructions="Puts texts in order of their relevance to a query.")

    @server.tool()
    def rerank(query: str, documents: list[str], top_k: int = 10) -> list[RankedDocument]:
        """Put documents in order of their relevance to a query, the most relevant first.

        Use it after a search, to keep the few results that answer the question. `top_k`: how many to give back.
        """
        scores = model.score([(query, document) for document in documents], show_progress_bar=False).tolist()
        best = sorted(range(len(scores)), key=lambda index: -scores[index])[: max(top_k, 1)]
        return [RankedDocument(index=index, score=scores[index], text=documents[index]) for index in best]

    return server


if __name__ == "__main__":
    run_cli(main)
