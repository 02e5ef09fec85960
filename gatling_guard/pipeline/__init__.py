"""One check: its stages, its deadline, its receipt, and the state of a session."""

from gatling_guard.pipeline.calibrated import Calibrated
from gatling_guard.pipeline.deadline import DeadlineExceeded, DeadlineRunner, Ticket
from gatling_guard.pipeline.grants import GrantBook, answered_grant, grant_body
from gatling_guard.pipeline.holds import answered, as_shown, is_late, taken_offer
from gatling_guard.pipeline.learned import SPARE, Learned, LearnedParts
from gatling_guard.pipeline.lessons import Lesson, Lessons
from gatling_guard.pipeline.monitor import Monitor, recast
from gatling_guard.pipeline.notary import Notary
from gatling_guard.pipeline.outputs import error_text, output_value
from gatling_guard.pipeline.receipt import decision_body, outcome_body, plan_body, trimmed
from gatling_guard.pipeline.repair_step import Result, repaired_step
from gatling_guard.pipeline.repairing import RESERVE
from gatling_guard.pipeline.stages import (
    STAGES,
    VERSION,
    Stage,
    Work,
    caused,
    opaque_code,
    rule_facts,
)
from gatling_guard.pipeline.state import (
    Approval,
    Record,
    SessionState,
    ToolRequest,
    slim,
    stopped,
)
from gatling_guard.pipeline.warm import warm_up
from gatling_guard.pipeline.whole import check_plan

__all__ = [
    "RESERVE",
    "SPARE",
    "STAGES",
    "VERSION",
    "Approval",
    "Calibrated",
    "DeadlineExceeded",
    "DeadlineRunner",
    "GrantBook",
    "Learned",
    "LearnedParts",
    "Lesson",
    "Lessons",
    "Monitor",
    "Notary",
    "Record",
    "Result",
    "SessionState",
    "Stage",
    "Ticket",
    "ToolRequest",
    "Work",
    "answered",
    "answered_grant",
    "as_shown",
    "caused",
    "check_plan",
    "decision_body",
    "error_text",
    "grant_body",
    "is_late",
    "opaque_code",
    "outcome_body",
    "output_value",
    "plan_body",
    "recast",
    "repaired_step",
    "rule_facts",
    "slim",
    "stopped",
    "taken_offer",
    "trimmed",
    "warm_up",
]
