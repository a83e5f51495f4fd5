"""The checkpoints that are served, and the names by which clients ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrieval.errors import InputError
from retrieval.model_files import model_path
from retrieval.named import split_name

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Pair = tuple[str, str]


class Reranker(Protocol):
    """What serving needs of a TWOLAR checkpoint."""

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The checkpoint's tokenizer."""

    def score(self, pairs: Sequence[Pair], *, show_progress_bar: bool | None = None) -> "torch.Tensor":
        """(num_pairs,) float32 scores of (query, passage) pairs; higher is more relevant."""

    def relevance(self, scores: "torch.Tensor") -> "torch.Tensor":
        """(num_pairs,) scores as numbers from 0 to 1, none above that of a higher score."""

    def quantize(self) -> "Reranker":
        """The same checkpoint with int8 matrix products."""


def relevance_of(model: Reranker, scores: Sequence[float]) -> list[float]:
    """A checkpoint's scores as numbers from 0 to 1."""
    import torch

    return model.relevance(torch.tensor(scores)).tolist()


@dataclass(frozen=True)
class Loading:
    """How checkpoints are loaded.

    `trust_remote_code`: run the code that a checkpoint carries, instead of this repository's.
    `revision`: commit, tag or branch of a Hub repository; its weights, tokenizer and code are all of that revision.
    """

    int8: bool = False
    trust_remote_code: bool = False
    revision: str | None = None


def served_names(specs: Sequence[str], served_model_name: str | None = None) -> dict[str, str]:
    """{name: folder or Hub repository} of `PATH_OR_ID` and `NAME=PATH_OR_ID`; the first is the default.

    A folder's absolute path is no name, for no client needs to know our folders: its last part is.

    Raises:
        InputError: for two of one name, and for a `served_model_name` beside several checkpoints.
    """
    if served_model_name is not None and len(specs) > 1:
        raise InputError(
            "--served_model_name names one checkpoint; write --model NAME=PATH for each of several"
        )
    found: dict[str, str] = {}
    for spec in specs:
        own_name, source = split_name(spec)
        folder = Path(source)
        name = served_model_name or own_name or (folder.name if folder.is_absolute() else source)
        if name in found:
            raise InputError(f"--model {spec}: {name!r} is there already; write NAME=PATH with another name")
        found[name] = source
    return found


def load_checkpoints(names: dict[str, str], loading: Loading) -> dict[str, Reranker]:
    """The checkpoints, by the names that `served_names` gave.

    Raises:
        InputError: where one is missing or none of TWOLAR's, or a revision or code cannot be had as asked for.
    """
    remote = [source for source in names.values() if not Path(model_path(source)).is_dir()]
    if loading.revision is not None and len(remote) != 1:
        raise InputError(
            f"--revision is one Hub repository's, and --model names {len(remote)}; serve it alone, or folders beside it"
        )
    if loading.trust_remote_code and remote and loading.revision is None:
        raise InputError(
            f"--trust_remote_code runs what {remote[0]} holds at that time; pin it with --revision COMMIT"
        )
    return {name: load_checkpoint(source, loading) for name, source in names.items()}


def load_checkpoint(source: str, loading: Loading) -> Reranker:
    """The checkpoint in this folder or Hub repository.

    Raises:
        InputError: where there is none, or it is none of TWOLAR's.
    """
    # Not before: these take seconds to import, and --help does without.
    from transformers import AutoModel

    from modeling_twolar import load_reranker
    from retrieval.device import best_device

    try:
        folder = _at_revision(model_path(source), loading.revision)
        model = (
            AutoModel.from_pretrained(folder, trust_remote_code=True)
            if loading.trust_remote_code
            else load_reranker(folder)
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--model {source}: cannot be loaded ({reason}); name a checkpoint") from error
    if not hasattr(model, "rank"):
        raise InputError(f"--model {source}: a {type(model).__name__}; name a TWOLAR checkpoint")
    if not loading.int8:
        return model.to(best_device())  # type: ignore[arg-type]
    if not hasattr(model, "quantize"):
        raise InputError(f"--model {source}: its code is too old for --int8; leave that out, or save it anew")
    return model.quantize()


def _at_revision(path: str, revision: str | None) -> str:
    """A Hub repository's folder at its revision; without one, the name or path as it is."""
    if revision is None or Path(path).is_dir():
        return path
    from huggingface_hub import snapshot_download

    return snapshot_download(path, revision=revision)
