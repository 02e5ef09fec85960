"""The command line. One file per verb; exit codes are in `console`."""

from __future__ import annotations

from typing import Annotated

import typer

from gatling_guard.cli.bench_command import app as bench_app
from gatling_guard.cli.calibrate_command import calibrate
from gatling_guard.cli.check_command import check
from gatling_guard.cli.demo_command import demo
from gatling_guard.cli.doctor_command import doctor
from gatling_guard.cli.evaluate_command import evaluate
from gatling_guard.cli.evaluate_model_command import calibrate_model, evaluate_model
from gatling_guard.cli.explain_command import explain_verb
from gatling_guard.cli.export_command import export
from gatling_guard.cli.generate_command import generate
from gatling_guard.cli.ledger_command import app as ledger_app
from gatling_guard.cli.model_command import app as model_app
from gatling_guard.cli.policy_command import app as policy_app
from gatling_guard.cli.repair_command import repair
from gatling_guard.cli.replay_command import replay
from gatling_guard.cli.schema_command import schema
from gatling_guard.cli.train_command import SETTINGS as TRAIN_SETTINGS
from gatling_guard.cli.train_command import train
from gatling_guard.cli.verb import Verb

app = typer.Typer(
    name="gatling-guard",
    help="Guards tool-calling LLM agents: allows, repairs, holds or blocks a call before it runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold the user's data
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from gatling_guard import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Guards tool-calling LLM agents: allows, repairs, holds or blocks a call before it runs."""


for verb in (calibrate, check, demo, doctor, evaluate, export, generate, repair, replay, schema):
    app.command(cls=Verb)(verb)
app.command("explain", cls=Verb)(explain_verb)
app.command("calibrate-model", cls=Verb)(calibrate_model)
app.command("evaluate-model", cls=Verb)(evaluate_model)
app.command("train", cls=Verb, context_settings=TRAIN_SETTINGS)(train)
app.add_typer(bench_app, name="bench")
app.add_typer(ledger_app, name="ledger")
app.add_typer(model_app, name="model")
app.add_typer(policy_app, name="policy")


def main() -> None:
    """The console script."""
    app()


__all__ = ["app", "main"]
