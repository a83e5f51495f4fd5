"""A build as one HTML file that opens without a network: how it stands, and each query's way to its order."""

# Queries that are shown with passages and answers: some 6 MB of text, packed.
MAX_QUERIES = 1000
