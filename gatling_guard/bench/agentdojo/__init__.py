"""Live environments of the package `agentdojo` (extra `[bench]`), no language model.

Importing this room imports `agentdojo`, which takes seconds: import it inside functions.
"""

from gatling_guard.bench.agentdojo.attacks import ATTACKS, MARKER_FREE
from gatling_guard.bench.agentdojo.episode import Episode, Holds, Position, Stage, Step
from gatling_guard.bench.agentdojo.repair import RepairTally, repair_tallies
from gatling_guard.bench.agentdojo.run import (
    DEFAULT_ATTACKS,
    POSITIONS,
    Settings,
    Trial,
    Trials,
    play,
    run_benchmark,
    run_benchmarks,
)
from gatling_guard.bench.agentdojo.tally import ALL, AttackTally, BenignTally, Tallies, tally
from gatling_guard.bench.agentdojo.world import SUITES, VERSION, World

__all__ = [
    "ALL",
    "ATTACKS",
    "DEFAULT_ATTACKS",
    "MARKER_FREE",
    "POSITIONS",
    "SUITES",
    "VERSION",
    "AttackTally",
    "BenignTally",
    "Episode",
    "Holds",
    "Position",
    "RepairTally",
    "Settings",
    "Stage",
    "Step",
    "Tallies",
    "Trial",
    "Trials",
    "World",
    "play",
    "repair_tallies",
    "run_benchmark",
    "run_benchmarks",
    "tally",
]
