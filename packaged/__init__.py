"""What comes with the installation, so that the quickstart needs no model hub: a corpus and two models.

`retrieval/` finds them here; nothing else imports this room.
"""

from packaged.docstrings import PYTHON_STDLIB, stdlib_docstrings
from packaged.models import PACKAGED_LLM, PACKAGED_MINILM, llm_file, minilm_folder

__all__ = [
    "PACKAGED_LLM",
    "PACKAGED_MINILM",
    "PYTHON_STDLIB",
    "llm_file",
    "minilm_folder",
    "stdlib_docstrings",
]
