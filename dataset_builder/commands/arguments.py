"""What the command line's flags say, as the records that the commands take."""

import argparse
import dataclasses

from dataset_builder.build.execution import Execution
from dataset_builder.build.settings import BuildSettings, load_profile
from dataset_builder.commands.flags import ACCESS, EXECUTION, LISTS, NONE, NOT_SENT, SETTINGS, SWITCHES
from dataset_builder.commands.import_runs import Import
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.teachers.judged import Judged


def build_settings(arguments: argparse.Namespace) -> BuildSettings:
    """The profile's settings, with the flags that were given on top."""
    names = [*SETTINGS, *LISTS, *SWITCHES]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    not_sent = {name: value for name, value in NOT_SENT.items() if given.get(name) == NONE}
    return load_profile(arguments.profile, {**given, **not_sent})


def teacher_access(arguments: argparse.Namespace) -> TeacherAccess:
    """How the teacher is reached, as the flags say."""
    given = {name: value for name, value in vars(arguments).items() if name in ACCESS and value is not None}
    return TeacherAccess(**given)


def judged_queries(arguments: argparse.Namespace) -> Judged:
    """What the teacher is measured on, as the flags say."""
    names = [field.name for field in dataclasses.fields(Judged)]
    return Judged(
        **{name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    )


def build_execution(arguments: argparse.Namespace) -> Execution:
    """Where the stages run, as the flags say."""
    names = ["executor", *EXECUTION]
    return Execution(
        **{name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    )


def import_wanted(arguments: argparse.Namespace) -> Import:
    """What is to be imported, as the flags say."""
    names = [field.name for field in dataclasses.fields(Import)]
    return Import(
        **{name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    )
