"""A checkpoint in use: reranking over HTTP and as an MCP tool."""
