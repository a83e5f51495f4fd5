"""The ground floor: corpora, queries, judgments and runs in files; passages on disk; indexes and retrievers."""
