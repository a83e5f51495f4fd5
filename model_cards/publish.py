"""Publishes a dataset, a checkpoint and the Space: `python -m model_cards.publish --help`.

Shows what goes up, refuses what would not work there, uploads with huggingface_hub and tags the revision. The key
is huggingface_hub's own: `hf auth login`, or HF_TOKEN.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from model_cards.checks import find_problems, machine_paths
from model_cards.staging import CARD, DATASET, MODEL, SPACE, Repository, stage, staged_files
from retrieval.errors import InputError, run_cli
from retrieval.release import release_version

# What `make quickstart` makes: a folder's path is its name on the Hub. The order is that of publishing.
PATHS = {
    DATASET: Path("twolar/python-stdlib-reranker"),
    MODEL: Path("twolar/minilm-python-stdlib"),
    SPACE: Path("spaces_demo"),
}
NAMES = {DATASET: str(PATHS[DATASET]), MODEL: str(PATHS[MODEL]), SPACE: "twolar/reranker"}


def main() -> None:
    """Stage, show and check everything; then, unless it is a dry run, upload everything."""
    arguments = _parser().parse_args()
    repositories = _repositories(arguments)
    names = {_own_name(repository): repository.repo_id for repository in repositories}
    with tempfile.TemporaryDirectory() as work:
        folders = {repository: Path(work) / repository.kind for repository in repositories}
        problems = sum(_prepare(item, folder, names, arguments) for item, folder in folders.items())
        if problems:
            raise InputError(f"{problems} problem(s), listed above; nothing was uploaded")
        if arguments.dry_run:
            print("no problem found; nothing was uploaded (--dry_run)")
            return
        for repository, folder in folders.items():
            _upload(repository, folder, names, arguments)


def _repositories(arguments: argparse.Namespace) -> list[Repository]:
    kinds = list(PATHS) if arguments.what == "all" else [arguments.what]
    if arguments.path is not None and arguments.what == "all":
        raise InputError("--path names one folder; give --what dataset, model or space with it")
    if arguments.what == "all" and "/" in (arguments.repo_id or ""):
        raise InputError("--what all takes an organisation as --repo_id; the names are the folders'")
    return [_repository(kind, arguments) for kind in kinds]


def _repository(kind: str, arguments: argparse.Namespace) -> Repository:
    source = arguments.path or PATHS[kind]
    own_name = NAMES[kind].partition("/")[2] if source == PATHS[kind] else source.resolve().name
    organisation, _, name = (arguments.repo_id or "twolar").partition("/")
    repo_id = f"{organisation}/{name or own_name}"
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"--repo_id {repo_id!r} is no name on the Hub; give ORG/NAME or ORG") from error
    return Repository(kind, source, repo_id)


def _own_name(repository: Repository) -> str:
    """The name that the folder's own card gives: `twolar/` and the folder's name."""
    if repository.source == PATHS[repository.kind]:
        return NAMES[repository.kind]
    return f"twolar/{repository.source.resolve().name}"


def _prepare(
    repository: Repository, folder: Path, names: Mapping[str, str], arguments: argparse.Namespace
) -> int:
    """Stage and show one repository; the number of its problems."""
    folder.mkdir()
    left_out = stage(repository, folder, names)
    print(f"{repository.kind} {repository.repo_id}, from {repository.source}")
    problems = []
    if repository.kind == MODEL:
        try:
            _write_model_card(repository, folder, names, arguments)
        except InputError as error:
            problems.append(str(error))
    for path, file in staged_files(folder).items():
        print(f"  {file.stat().st_size:>13,}  {path}")
    if left_out:
        print(f"  left out: {', '.join(left_out)}")
    for found in machine_paths(folder, ("config.json",)):
        print(f"  note: {found}")
    problems += find_problems(repository.kind, folder)
    for problem in problems:
        print(f"  problem: {problem}")
    return len(problems)


def _write_model_card(
    repository: Repository, folder: Path, names: Mapping[str, str], arguments: argparse.Namespace
) -> None:
    # Here, for they take seconds to import, and neither a dataset nor a Space needs them.
    from model_cards.evaluation_results import EVAL_RESULTS, eval_results_yaml, read_results
    from model_cards.model_card import read_checkpoint, render_model_card
    from retrieval.model_revision import model_revision

    checkpoint = read_checkpoint(repository.source)
    revision = model_revision(str(repository.source))
    results = read_results(arguments.results, arguments.system, revision, arguments.baseline)
    card = render_model_card(
        checkpoint, results, repository.repo_id, names, arguments.license, arguments.language
    )
    (folder / CARD).write_text(card, encoding="utf-8")
    entries = eval_results_yaml(results)
    if entries:
        path = folder / EVAL_RESULTS
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)  # a link to an earlier one, which stays as it is
        path.write_text(entries, encoding="utf-8")


def _upload(
    repository: Repository, folder: Path, names: Mapping[str, str], arguments: argparse.Namespace
) -> None:
    api = HfApi()
    try:
        _create(api, repository, names, arguments.private)
        commit = api.upload_folder(
            repo_id=repository.repo_id,
            repo_type=repository.kind,
            folder_path=folder,
            commit_message=f"Publish {repository.source.name}",
            create_pr=arguments.create_pr,
        )
        if not arguments.create_pr:
            _tag(api, repository, arguments.tag, commit.oid)
    except InputError:
        raise
    except (httpx2.HTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{repository.repo_id} was not published ({reason}); log in with `hf auth login` or set HF_TOKEN; "
            "the same command goes on where this one stopped"
        ) from error
    print(f"published {commit.pr_url or commit.commit_url}", flush=True)


def _tag(api: HfApi, repository: Repository, tag: str, commit: str) -> None:
    """Name the commit; a tag is never moved, for someone may have pinned it."""
    refs = api.list_repo_refs(repository.repo_id, repo_type=repository.kind)
    tagged = {ref.name: ref.target_commit for ref in refs.tags}
    if tag not in tagged:
        api.create_tag(repository.repo_id, tag=tag, repo_type=repository.kind, revision=commit)
    elif tagged[tag] != commit:
        raise InputError(
            f"{repository.repo_id} is uploaded, but its tag {tag} stays at an earlier commit; run this again with "
            "another --tag"
        )


def _create(api: HfApi, repository: Repository, names: Mapping[str, str], private: bool) -> None:
    is_space = repository.kind == SPACE
    variables = {"TWOLAR_MODEL": NAMES[MODEL], "TWOLAR_DATASET": NAMES[DATASET]}
    api.create_repo(
        repository.repo_id,
        repo_type=repository.kind,
        private=private,
        exist_ok=True,
        space_sdk="gradio" if is_space else None,
        space_variables=[{"key": key, "value": names.get(name, name)} for key, name in variables.items()]
        if is_space
        else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model_cards.publish", description=__doc__.split("\n")[0])
    parser.add_argument("--what", required=True, choices=[*PATHS, "all"])
    parser.add_argument("--repo_id", help="ORG/NAME, or ORG alone to keep the folder's name; default: twolar")
    parser.add_argument("--path", type=Path, help="folder to publish; default: the quickstart's")
    parser.add_argument(
        "--results", type=Path, default=Path("runs/quickstart/results.json"),
        help="results.json of python -m evaluation, for the model card (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--system", default="student", help="the checkpoint's name in it (default: %(default)s)"
    )
    parser.add_argument(
        "--baseline", help="the system that the card compares with (default: the evaluation's)"
    )
    parser.add_argument(
        "--license", help="of the weights, as the Hub names it (default: that of their start)"
    )
    parser.add_argument(
        "--language", help="of the model, an ISO 639 code (default: that of its dataset's card)"
    )
    parser.add_argument(
        "--tag", default=f"v{release_version()}", help="tag of the revision (default: %(default)s)"
    )
    parser.add_argument("--private", action="store_true", help="create private repositories")
    parser.add_argument("--create_pr", action="store_true", help="open pull requests instead of committing")
    parser.add_argument(
        "--dry_run", action="store_true", help="show the plan and its problems, upload nothing"
    )
    return parser


if __name__ == "__main__":
    run_cli(main)
