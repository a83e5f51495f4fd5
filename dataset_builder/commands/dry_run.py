"""`--dry_run`: what a build will take; and where its pools are soon filled, what their labels cost exactly."""

from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.forecast import described
from dataset_builder.pipeline.run import build, foresee
from dataset_builder.queries.drawing import writing_costs
from dataset_builder.teachers.choice import teachers_of
from dataset_builder.teachers.judged import Judged

# What takes longer is not begun.
SOON = 600.0


def dry_run(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, execution: Execution, judged: Judged
) -> None:
    """Print it, and fill the pools of a small build whose labels are paid for."""
    expected = foresee(folder, settings, access, execution)
    print(described(expected), flush=True)
    is_paid = any(teacher.is_language_model for teacher in teachers_of(settings))
    if not is_paid and not writing_costs(settings, access):
        print(f"{settings.teacher} costs nothing; nothing was made")
    elif sum(part.seconds for part in expected) > SOON:
        print("nothing was made; what labels cost exactly, --dry_run says when a build has filled its pools")
    else:
        build(folder, settings, access, execution, judged, dry_run=True)
