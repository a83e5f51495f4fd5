"""Repeats the paper's ablations: a grid of trainings, each evaluated, as one table."""
