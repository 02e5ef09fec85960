"""`gatling-guard train`: fit the encoders to a dataset.

Its options are those of `training.args.TrainArgs`, which argparse shows and reads (`--help`): the
settings of a run are written down in one place only.

Exit codes: 0 done; 2 wrong usage or data; 130 interrupted and saved.
"""

from __future__ import annotations

import typer

from gatling_guard.cli.console import reported
from gatling_guard.cli.export_command import needs_torch

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Of the verb: every option goes on to argparse."""


def train(context: typer.Context) -> None:
    """Train the encoders on a dataset of JSON lines; `--help` shows all settings.

    Exit codes: 0 done; 2 wrong usage or data; 130 interrupted and saved.
    """
    with reported(False), needs_torch():
        from gatling_guard.training.command import main

    raise typer.Exit(main(context.args, name="gatling-guard train"))
