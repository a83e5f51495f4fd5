"""The second step: passages for each query, from several retrieval methods."""
