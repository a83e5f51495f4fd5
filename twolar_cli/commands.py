"""What `twolar COMMAND` runs: a module, and the extra that installs what it needs."""

from dataclasses import dataclass

BUILDER, SERVE, SPACE = "builder", "serve", "space"


@dataclass(frozen=True, slots=True)
class Command:
    """`module`: as `python -m` takes it; `before`: words of its own before the user's; `extra`: "" for the base."""

    module: str
    about: str
    extra: str = BUILDER
    before: tuple[str, ...] = ()


def _of_builder(name: str, about: str) -> Command:
    return Command("dataset_builder", about, before=(name,))


COMMANDS = {
    "doctor": Command("twolar_cli.doctor", "what is missing on this machine, and how to mend it", ""),
    "build": _of_builder("build", "corpus → queries → pools → rankings: a dataset"),
    "import-runs": _of_builder("import-runs", "a dataset from rankings that exist as TREC runs"),
    "status": _of_builder("status", "how far a build is"),
    "inspect": _of_builder("inspect", "one query's way through a build"),
    "order": _of_builder("order", "let a build's teacher order a run"),
    "report": _of_builder("report", "a build as one HTML page"),
    "artifacts": _of_builder("artifacts", "indexes, pools and labels that builds share"),
    "train": Command("train_hf", "distil a dataset into a student"),
    "calibrate": Command("training.calibrate", "scores from 0 to 1"),
    "cross-validate": Command("training.cross_validation", "compare settings where queries are judged"),
    "evaluate": Command("evaluation", "first stage, rerankers, measures and significance"),
    "ablations": Command("evaluation.ablations", "grids of trainings, as tables"),
    "publish": Command("model_cards.publish", "dataset, checkpoint and Space to the Hub"),
    "serve": Command("serving", "rerank over HTTP", SERVE),
    "mcp": Command("serving.mcp", "rerank as an MCP tool", SERVE),
    "export": Command("serving.export", "a checkpoint as ONNX, or as a plain architecture", SERVE),
    "demo": Command("twolar_cli.demo", "a page to try a checkpoint on", SPACE),
}
