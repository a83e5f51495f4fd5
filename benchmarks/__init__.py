"""Measurements of speed; LOG.md keeps what was found, the failed experiments too."""
