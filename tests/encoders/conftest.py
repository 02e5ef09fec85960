"""One tiny set of weights for the folder, exported once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.execution import ExecutionEncoder
from gatling_guard.encoders.execution_onnx import OnnxExecutionEncoder
from gatling_guard.encoders.export import execution_graphs, export_graph, text_graph
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph

TINY = EncoderConfig(
    name="tiny", latent_dim=96, hidden_dim=32, words_dim=64, blocks=2, heads=4, ffn=2,
    pool_heads=2, projection_dim=64, call_dim=24, policy_blocks=1, context_blocks=1, window=4,
    global_tokens=2, predictor_dim=32,
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder() -> ExecutionEncoder:
    """Untrained, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return ExecutionEncoder(TINY)


@pytest.fixture(scope="session")
def graphs(encoder: ExecutionEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder's graphs, in fp32 and int8."""
    folder = tmp_path_factory.mktemp("graphs")
    for graph in (text_graph("text", encoder), *execution_graphs(encoder)):
        export_graph(graph, folder)
    return folder


def onnx_of(encoder: ExecutionEncoder, folder: Path, precision: str) -> OnnxExecutionEncoder:
    """The same weights in onnxruntime."""
    call, plan = ((folder / f"{name}.{precision}.onnx").read_bytes() for name in ("call", "plan"))
    return OnnxExecutionEncoder(
        encoder.config,
        ProjectedText(encoder.features, OnnxGraph((folder / "text.fp32.onnx").read_bytes())),
        call=OnnxGraph(call),
        plan=OnnxGraph(plan),
        model=f"tiny-{precision}",
    )


@pytest.fixture(scope="session")
def fp32(encoder: ExecutionEncoder, graphs: Path) -> OnnxExecutionEncoder:
    return onnx_of(encoder, graphs, "fp32")


@pytest.fixture(scope="session")
def int8(encoder: ExecutionEncoder, graphs: Path) -> OnnxExecutionEncoder:
    return onnx_of(encoder, graphs, "int8")
