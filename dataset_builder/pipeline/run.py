"""Runs the stages of a build, one after the other, on datatrove: what is done is skipped."""

from dataclasses import replace

from datatrove.executor.base import PipelineExecutor
from loguru import logger

from dataset_builder.build.artifacts import Artifacts, BuildParts
from dataset_builder.build.claim import Identity, Refused, claimed
from dataset_builder.build.execution import SLURM, Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.dataset.card import write_card
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.executors import open_executor
from dataset_builder.pipeline.forecast import Expected, Forecast
from dataset_builder.pipeline.identity import begun_contents, build_identity, settled
from dataset_builder.pipeline.plan import describe_plan
from dataset_builder.pipeline.recipes import DRAWN, recipes_of
from dataset_builder.pipeline.stage import Stage
from dataset_builder.pipeline.stages import (
    STAGES,
    DrawQueries,
    EncodePassages,
    FillPools,
    IndexPassages,
    LabelPools,
    StorePassages,
)
from dataset_builder.pools.methods import check_methods
from dataset_builder.queries.drawing import check_queries, estimate_writing, writing_costs
from dataset_builder.queries.sampler import TooFewQueries
from dataset_builder.teachers.choice import teacher_column
from dataset_builder.teachers.costs import estimate_labelling
from dataset_builder.teachers.judged import Judged, judge_teacher
from dataset_builder.teachers.opening import check_teacher
from retrieval.content import Contents
from retrieval.errors import InputError

NOT_JUDGED = Judged()

# datatrove logs each step to stderr, above our progress bars; statistics and marks stay in build/logs.
logger.disable("datatrove")


def build(
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    execution: Execution,
    judged: Judged = NOT_JUDGED,
    dry_run: bool = False,
) -> None:
    """Build the dataset, from the stage where an earlier run stopped. On Slurm: submit the stages.

    Args:
        judged: queries on which the teacher is measured before it labels.
        dry_run: stop before the teacher is asked, and print what it will cost.

    Raises:
        InputError: for input that cannot be used, a folder that holds another build, or a stage that failed on
            a cluster.
    """
    judged.check(settings)
    access = replace(access, dry_run=dry_run)
    settings, identity, contents, parts = _prepared(folder, settings, access, execution)
    with claimed(folder, settings, identity, contents.looked_at):
        _run_stages(folder, settings, access, execution, parts, judged)
        if folder.card.is_file() and f"license: {settings.license}\n" not in folder.card.read_text():
            write_card(folder, settings, access)


def foresee(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, execution: Execution
) -> list[Expected]:
    """What is still to be made for a build will take; nothing is made.

    Raises:
        InputError: as `build`, and for what this machine has no room for.
    """
    access = replace(access, dry_run=True)
    settings, _, _, parts = _prepared(folder, settings, access, execution)
    return Forecast(folder, settings, access, parts).expected()


def _prepared(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, execution: Execution
) -> tuple[BuildSettings, Identity, Contents, BuildParts]:
    check_methods(settings)
    check_teacher(settings, access)
    check_queries(settings, access)
    execution.check()
    contents = begun_contents(folder)
    settings = settled(settings, folder, contents)
    identity = build_identity(settings, contents)
    recipes = recipes_of(settings, identity, contents)
    return settings, identity, contents, BuildParts(Artifacts(execution.artifact_folder), recipes)


def _run_stages(
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    execution: Execution,
    parts: BuildParts,
    judged: Judged,
) -> None:
    executor: PipelineExecutor | None = None
    if access.dry_run:
        print(describe_plan(folder, settings, parts))
    parts.note_links(folder.build)
    parts.adopt(DRAWN, folder.drawn(settings.draw))
    stages = [stage for stage in STAGES if stage.marks(folder, settings)]
    for number, stage_type in enumerate(stages, start=1):
        stage = stage_type(folder, settings, access, parts)
        if (
            access.dry_run
            and stage_type is DrawQueries
            and writing_costs(settings, access)
            and not stage.is_done
        ):
            print(f"{settings.query_writer}: {estimate_writing(folder, settings, access)}")
            print(
                "what the labels cost can be said when the queries are written: build, and stop it after them"
            )
            return
        has_pools = stage_type is LabelPools and FillPools(folder, settings, access, parts).is_done
        if has_pools:
            parts.publish(DRAWN, folder.drawn(settings.draw))
        if access.dry_run and stage_type is LabelPools:
            if not has_pools:
                raise InputError("the pools are still being filled; give --dry_run again when they are done")
            print(estimate_labelling(folder, settings, access))
            return
        if stage.is_done:
            print(f"[{number}/{len(stages)}] {stage.name}: done before, reused", flush=True)
            continue
        by = f", by {teacher_column(settings)}" if stage_type is LabelPools else ""
        print(f"[{number}/{len(stages)}] {stage.name}{by}", flush=True)
        if stage_type is LabelPools and judged.judged and execution.executor != SLURM:
            print(judge_teacher(folder, settings, access, judged), flush=True)
        executor = open_executor(execution, stage, executor)
        _run(executor, stage_type)
        if execution.executor != SLURM and not stage.is_done:
            raise InputError(
                f"stage {stage.name} failed; its logs in {folder.logs(stage.name)}/logs say why. "
                "The same command continues"
            )


def _run(executor: PipelineExecutor, stage: type[Stage]) -> None:
    """Run one stage. What is wrong with the corpus, its indexes or the number of queries refuses the build."""
    try:
        executor.run()
    except InputError as error:
        if stage in (StorePassages, EncodePassages, IndexPassages) or isinstance(error, TooFewQueries):
            raise Refused(str(error)) from error
        raise
