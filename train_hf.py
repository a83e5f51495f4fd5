#!/usr/bin/env python
"""Distils a teacher's rankings into a TWOLAR reranker with the Hugging Face Trainer.

    python train_hf.py --model_name_or_path google/flan-t5-large --dataset_name twolar/distill20k
    python train_hf.py training/quickstart.yaml

Flags and the keys of a YAML or JSON file are the same: those below, and those of transformers.TrainingArguments
(--help_all lists them too). The start is measured first, on queries that are held out; the last line says whether the
training was worth it: WIN, LEVEL or WORSE.
"""

import sys

from retrieval.errors import run_cli
from training.help import help_text


def main() -> None:
    """Print the help, or train."""
    if not {"-h", "--help"}.isdisjoint(sys.argv[1:]):
        print(help_text(__doc__))
        return
    # Not before: what a training runs on takes seconds to import, and --help does without.
    from training.run import train_recipe

    train_recipe()


if __name__ == "__main__":
    run_cli(main)
