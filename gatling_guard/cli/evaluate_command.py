"""`gatling-guard evaluate FILES`: EFFECT, STOPPED and TOUCHED on recorded runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gatling_guard.bench import (
    Person,
    Replay,
    Subject,
    TaskGrants,
    find_toolsets,
    person_named,
    read_task_grants,
    read_verdicts,
)
from gatling_guard.bench.comparison import (
    GUARD,
    SUBJECTS,
    Line,
    compare,
    compare_given,
    embedder_of,
    subjects_named,
)
from gatling_guard.cli.console import (
    OK,
    PARTIAL,
    JsonFlag,
    PolicyOption,
    counted,
    err,
    json_text,
    out,
    print_json,
    reported,
)
from gatling_guard.cli.evaluate_report import Report, as_json
from gatling_guard.cli.evaluate_tables import print_markdown, print_tables
from gatling_guard.cli.replay_command import (
    LimitOption,
    ToolsetsOption,
    no_traces,
    progress,
    tell_issues,
)
from gatling_guard.errors import ConfigurationError, Issue, TraceError

GIVEN = "verdicts"
"""How the line of verdicts made before is called."""
SubjectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--subject",
        "-s",
        help=f"{', '.join(SUBJECTS)}, or all of them; repeatable.",
    ),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        help="Of the lines A0 to T5: minilm (extra bench) or static; left out: minilm if it is"
        " installed."
    ),
]


def evaluate(
    traces: Annotated[list[Path], typer.Argument(help="Traces, `.jsonl` or `.jsonl.xz`.")],
    subject: SubjectOption = None,
    verdicts: Annotated[
        Path | None, typer.Option(help="Verdicts of `replay`; without them it is run now.")
    ] = None,
    policy: PolicyOption = "standard",
    embedder: EmbedderOption = None,
    person: Annotated[
        str,
        typer.Option(
            help="Who answers holds, yes to honest calls and no to malicious ones: nobody, answers,"
            " or grants (each yes is a grant for the task). A call asked about counts as held."
        ),
    ] = "nobody",
    grants: Annotated[
        Path | None,
        typer.Option(
            help="Grants by instruction, YAML: `tasks: [{instruction, grants}]`, or, by its digest,"
            " `{instruction_sha256, about, grants}`."
        ),
    ] = None,
    toolsets: ToolsetsOption = None,
    limit: LimitOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON report here too.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", metavar="", help="Print one Markdown table.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Measure a guard on recorded runs, beside the baseline lines, with 95 % intervals.

    EFFECT: share of attack rows in which no malicious call with a side effect runs. STOPPED: no
    malicious call runs. FIRST: the first malicious side effect is stopped. TOUCHED: share of
    honest rows with any call not allowed. CONTAINED: of the attack rows with a malicious call that
    cannot be undone, those in which none such runs.

    One file and one subject are shown per kind and per suite; the JSON report has these for all.

    Exit codes: 0 done; 2 bad usage, unreadable file or nothing to measure; 3 done, but some lines
    were bad.
    """
    began = time.perf_counter()
    with reported(json_):
        asked = person_named(person)
        if verdicts is not None and (subject or len(traces) > 1 or grants or asked != "nobody"):
            raise ConfigurationError("--verdicts are of one file, and take the subject's place")
        granted = read_task_grants(grants) if grants is not None else None
        issues: list[Issue] = []
        reports = []
        embeds = None
        for path in traces:
            job = Replay(path, find_toolsets(path, toolsets), limit)
            if verdicts is None:
                subjects = subjects_named(
                    subject or [GUARD], policy, embedder=embedder, grants=granted
                )
                embeds = embedder_of(subjects)
                lines = _compared(job, subjects, asked)
            else:
                lines = _given(job, verdicts)
            if not job.rows:
                raise no_traces(job)
            reports.append(Report.of(job, lines, seed=seed))
            issues += job.issues
        document = {
            "policy": policy if verdicts is None else None,
            "verdicts": str(verdicts) if verdicts else None,
            "embedder": embeds,
            "person": asked,
            "grants": _grants_used(grants, granted),
            "seconds": round(time.perf_counter() - began, 3),
            "files": [as_json(found) for found in reports],
        }
        if report is not None:
            report.write_text(json_text(document), "utf-8")
    tell_issues(issues)
    if granted is not None and granted.unmet:
        err.print(
            f"hint: {len(granted.unmet)} of {counted(len(granted), 'instruction')} of {grants} in"
            f" no trace, the first is {granted.unmet[0][:80]!r}",
            markup=False,
        )
    _show(reports, document, markdown=markdown, as_document=json_)
    raise typer.Exit(PARTIAL if issues else OK)


def _grants_used(path: Path | None, grants: TaskGrants | None) -> dict[str, Any] | None:
    if grants is None:
        return None
    return {"file": str(path), "tasks": len(grants), "met": len(grants) - len(grants.unmet)}


def _compared(job: Replay, subjects: Mapping[str, Subject], person: Person) -> dict[str, Line]:
    with progress(f"evaluating {job.path.name}", job.limit) as tick:
        return compare(job, subjects, tick, person=person)


def _given(job: Replay, verdicts: Path) -> dict[str, Line]:
    with progress(f"evaluating {job.path.name}", job.limit) as tick:
        line = compare_given(job, read_verdicts(verdicts, job.issues), str(verdicts), tick)
    if job.rows and not line.outcomes:
        tell_issues(job.issues)
        raise TraceError([Issue("", f"no verdict fits a trace of {job.path}", str(verdicts))])
    return {GIVEN: line}


def _show(
    reports: list[Report], document: dict[str, Any], *, markdown: bool, as_document: bool
) -> None:
    if as_document:
        print_json(document)
    elif markdown:
        print_markdown(reports)
    else:
        print_tables(reports)
        if document["person"] != "nobody":
            out.print("\nA person answers holds; a call that he was asked about counts as held.")
        if document["embedder"]:
            out.print(f"\nA0 to T5 embed with {document['embedder']}, untrained.")
