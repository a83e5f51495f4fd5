"""The MCP tool, asked by the official client: in this process, and as a client starts it."""

import asyncio
import subprocess
import sys

import pytest

from modeling_twolar import TwolarForReranking
from tests.serving.conftest import ROOT, Words

DOCUMENTS = ["red", "a red planet", "a planet"]


def call(server):
    from mcp.client import Client

    async def ask():
        async with Client(server) as client:
            (tool,) = (await client.list_tools()).tools
            return tool, await client.call_tool(
                "rerank", {"query": "red planet", "documents": DOCUMENTS, "top_k": 2}
            )

    return asyncio.run(ask())


def test_the_tool_gives_the_best_documents_with_their_scores():
    pytest.importorskip("mcp.server.mcpserver")
    from serving.mcp import build_server

    tool, answer = call(build_server(Words()))
    assert set(tool.input_schema["properties"]) == {"query", "documents", "top_k"}
    assert answer.structured_content["result"] == [
        {"index": 1, "score": 2.0, "text": "a red planet"},
        {"index": 0, "score": 1.0, "text": "red"},
    ]


@pytest.mark.slow
def test_a_client_starts_it_over_stdin_and_stdout(small_teacher):
    pytest.importorskip("mcp.server.mcpserver")
    from mcp.client.stdio import StdioServerParameters, stdio_client

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "serving.mcp", "--model", str(small_teacher)], cwd=ROOT
    )
    _, answer = call(stdio_client(command))
    best = TwolarForReranking.from_pretrained(small_teacher).rank("red planet", DOCUMENTS, top_k=2)
    assert [ranked["index"] for ranked in answer.structured_content["result"]] == [
        ranked["corpus_id"] for ranked in best
    ]


def test_without_the_package_it_ends_with_one_line_and_code_2():
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['serving.mcp', '--model', 'absent']; " + (
        "from retrieval.errors import run_cli; from serving.mcp import main; run_cli(main)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == "error: the package mcp is not installed; run pip install 'mcp>=2.3'\n"
