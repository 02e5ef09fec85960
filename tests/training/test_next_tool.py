"""MRR and top-1 of the next tool: which calls are asked about, and how they count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gatling_guard.catalog import ToolSpec
from gatling_guard.plan import ToolCall
from gatling_guard.trace import RecordedStep, RecordedTrace
from gatling_guard.training.next_tool import by_source, measured, questions
from gatling_guard.training.traces import LabelledTrace

TOOLS = tuple(ToolSpec(name) for name in ("read", "send", "pay", "delete"))


class Fixed:
    """Scores tools by a table, and notes what it was shown."""

    def __init__(self, **scores: float) -> None:
        self.scores = scores
        self.shown: list[tuple[str, tuple[str, ...]]] = []

    def rank(
        self, instruction: str, earlier: Sequence[ToolCall], tools: Sequence[ToolSpec]
    ) -> list[float]:
        self.shown.append((instruction, tuple(call.tool_name for call in earlier)))
        return [self.scores.get(tool.name, 0.0) for tool in tools]


def row(
    *steps: str | tuple[str, bool],
    label: str = "benign",
    instruction: str = "Do it.",
    tools: tuple[ToolSpec, ...] = TOOLS,
) -> LabelledTrace:
    made = tuple(
        RecordedStep(s) if isinstance(s, str) else RecordedStep(s[0], meta={"malicious": s[1]})
        for s in steps
    )
    trace = RecordedTrace("x", instruction, tools=tools, steps=made, meta={"label": label})
    return LabelledTrace(trace, "src", "suite", "task", "benign")


def test_one_question_for_each_honest_call_of_a_benign_row() -> None:
    rows = [row("read", ("pay", True), "send"), row("delete", label="attack"), row("unlisted")]
    asked = questions(rows)
    assert [q.tools[q.right].name for q in asked] == ["read", "send"]
    ranker = Fixed()
    measured(asked, ranker)
    assert ranker.shown == [("Do it.", ()), ("Do it.", ("read", "pay"))], "never what comes later"


def test_copies_are_asked_once() -> None:
    assert len(questions([row("read", "send"), row("read", "send"), row("send")])) == 3


def test_a_name_with_its_service_is_the_listed_tool() -> None:
    (asked,) = questions([row("mail.send")])
    assert asked.tools[asked.right].name == "send"


def test_mrr_by_hand() -> None:
    asked = questions([row("read", "send")])
    score = measured(asked, Fixed(send=3, pay=2, read=1))
    assert score.mrr == pytest.approx((1 / 3 + 1) / 2)
    assert score.top1 == 0.5
    assert score.tools == 4
    # Loose: `send` is called too and no rival of `read`.
    assert score.loose_mrr == pytest.approx((1 / 2 + 1) / 2)


def test_a_ranker_that_knows_nothing_gets_the_mean_rank() -> None:
    assert measured(questions([row("read")]), Fixed()).mrr == pytest.approx(1 / 2.5)


def test_a_row_of_called_tools_only_gets_distractors_of_its_source() -> None:
    rows = [row("read", tools=TOOLS[:1]), row("send", "pay", instruction="B", tools=TOOLS[1:3])]
    rows.append(row("read", instruction="C"))
    asked = questions(rows, distractors=3)
    assert [len(q.tools) for q in asked] == [4, 4, 4, 4]
    assert asked == questions(rows, distractors=3)
    assert by_source(asked).keys() == {"src"}
