"""Torch weights -> ONNX graphs, fp32 and int8. Needs the extra `train`; serves no call."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from gatling_guard.encoders.content import halved
from gatling_guard.encoders.selftest import Precision

OPSET = 18
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "int8")


@dataclass(frozen=True, slots=True)
class Graph:
    """One network to export."""

    name: str
    """File name without suffix: `call`, `plan`, `policy`, `context`, `predictor`,
    `energy`."""
    module: nn.Module
    inputs: Mapping[str, Tensor]
    """Example inputs by name, in the order of `forward`; dynamic sizes must differ, and be > 1."""
    outputs: Sequence[str]
    dynamic: Mapping[str, Sequence[int]]
    """Which dimensions of an input vary."""
    quantised: bool = True
    """Whether there is an int8 graph. Its activations share one scale per input, so that a row
    depends on the others: not for what is kept per text."""


def export_graph(graph: Graph, folder: Path) -> None:
    """Write `NAME.fp32.onnx` and, where it is `quantised`, `NAME.int8.onnx` into `folder`.

    Int8: dynamic quantisation of all matrix products with constant weights, one scale per output
    column (per tensor the cosine falls to .95, attribution.md).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    full, small = folder / f"{graph.name}.fp32.onnx", folder / f"{graph.name}.int8.onnx"
    dynamic = {
        name: dict.fromkeys(graph.dynamic.get(name, ()), torch.export.Dim.DYNAMIC)
        for name in graph.inputs
    }
    training = graph.module.training
    graph.module.eval()
    try:
        with _quiet():
            program = torch.onnx.export(
                graph.module,
                tuple(graph.inputs.values()),
                dynamo=True,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=tuple(dynamic.values()),
                opset_version=OPSET,
                verbose=False,
            )
            assert program is not None
            model = program.model_proto
            # The exporter notes shapes of weights it then transposes; the quantiser trips on them.
            del model.graph.value_info[:]
            for node in model.graph.node:
                del node.metadata_props[:]
                node.doc_string = ""
            if not graph.quantised:
                _halve(model)
            onnx.save(model, full)
            if graph.quantised:
                quantize_dynamic(
                    full, small, weight_type=QuantType.QInt8, per_channel=True,
                    op_types_to_quantize=["MatMul"],
                )  # fmt: skip
    finally:
        graph.module.train(training)


def _halve(model: Any) -> None:
    """Store weights of half-precision numbers as such; onnxruntime casts them when it loads."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype == np.float32 and (half := halved(array)).dtype == np.float16:
            name, stored = weight.name, f"{weight.name}.half"
            weight.CopyFrom(numpy_helper.from_array(half, stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporter and quantiser talk on every channel there is."""
    root = logging.getLogger()
    level = root.level
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        root.setLevel(logging.ERROR)
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            root.setLevel(level)


def export(folder: Path) -> None:
    """Add graphs and self-test to a model folder that has torch weights.

    Raises:
        ConfigurationError: no model, or one without torch weights.
        InputError: its files are damaged.
    """
    from gatling_guard.encoders import bundle, checkpoint, selftest
    from gatling_guard.encoders.manifest import read_manifest

    manifest = read_manifest(folder)
    checkpoint.require_tokenizer(manifest)
    modules = checkpoint.without_missing(bundle.create(manifest.encoder_config, seed=0), manifest)
    for part, module in modules.items():
        checkpoint.load_into(module, folder, part, manifest)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as scratch:
        for graph in all_graphs(modules):
            export_graph(graph, Path(scratch))
        files = {f"onnx/{path.name}": path.read_bytes() for path in Path(scratch).glob("*.onnx")}
    config = manifest.encoder_config
    built: dict[selftest.Precision, bundle.Encoders] = {}
    for precision in PRECISIONS:
        named = {g: files.get(checkpoint.graph_file(g, precision), b"") for g in checkpoint.GRAPHS}
        built[precision] = bundle.assemble(
            config, named.__getitem__, model=precision, energy="energy" in modules
        )
    files[selftest.FILE] = selftest.to_bytes(selftest.make_cases(built))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    checkpoint.update(folder, files, created=now)


def all_graphs(modules: Mapping[str, Any]) -> list[Graph]:
    """The graphs of the networks that `bundle.create` makes."""
    from gatling_guard.encoders.governance import export_parts

    predictor = modules["predictor"]
    latent, h = predictor.config.latent_dim, predictor.config.hidden_dim
    inputs = {
        "z_g": torch.randn(3, latent), "z_e": torch.randn(3, latent), "latest": torch.randn(3, h)
    }  # fmt: skip
    return [
        text_graph("execution_text", modules["execution"]),
        text_graph("governance_text", modules["governance"]),
        *execution_graphs(modules["execution"]),
        *export_parts(modules["governance"]),
        Graph("predictor", predictor, inputs, ("call",), dict.fromkeys(inputs, (0,))),
        *energy_graphs(modules.get("energy")),
    ]


def energy_graphs(head: Any) -> list[Graph]:
    """The graph of an `EnergyHead`; of None none."""
    if head is None:
        return []
    c = head.config
    widths = {
        "z_g": c.latent_dim, "z_e": c.latent_dim, "state": c.hidden_dim, "call": c.call_dim,
        "expected": c.call_dim,
    }  # fmt: skip
    inputs = {name: torch.randn(3, width) for name, width in widths.items()}
    return [Graph("energy", head, inputs, ("energies",), dict.fromkeys(inputs, (0,)))]


def text_graph(name: str, encoder: Any) -> Graph:
    """The text projection of an encoder."""
    features = torch.from_numpy(encoder.features(["a", "b c", "d"]))
    return Graph(
        name,
        encoder.text,
        {"features": features},
        ("vectors",),
        {"features": (0,)},
        quantised=False,
    )


def execution_graphs(encoder: Any) -> list[Graph]:
    """The two graphs of an ExecutionEncoder."""
    from gatling_guard.encoders.calls import CALL_DIM, LEAF_DIM
    from gatling_guard.encoders.graph import POSITION_DIM, RELATIONS

    config = encoder.config
    h, text, calls, rows, total = config.hidden_dim, config.text_dim, 3, 5, 11
    call = {
        "name": torch.randn(calls, text),
        "description": torch.randn(calls, text),
        "scalars": torch.randn(calls, CALL_DIM),
        "keys": torch.randn(total, text),
        "texts": torch.randn(total, text),
        "leaves": torch.randn(total, LEAF_DIM),
        "place": torch.randint(0, total, (calls, rows)),
        "mask": torch.ones(calls, rows),
    }
    plans, new, past = 2, 4, 6
    plan = {
        "x0": torch.randn(plans, new, text),
        "position": torch.randn(plans, new, POSITION_DIM),
        "relation": torch.randint(0, RELATIONS, (plans, new, past + new)),
        "valid": torch.ones(plans, new),
        "past": torch.randn(1, 2 * config.blocks * config.heads, past, h // config.heads),
        "pool_max": torch.zeros(1, config.pool_heads),
        "pool_sum": torch.ones(1, config.pool_heads),
        "pool_acc": torch.randn(1, config.pool_heads, text // config.pool_heads),
    }
    return [
        Graph(
            "call", encoder.calls, call, ("x0", "own"),
            {name: (0, 1) if name in ("place", "mask") else (0,) for name in call},
        ),
        Graph(
            "plan", encoder.plan, plan,
            ("z_e", "states", "kept", "new_max", "new_sum", "new_acc"),
            {
                "x0": (0, 1), "position": (0, 1), "relation": (0, 1, 2), "valid": (0, 1),
                "past": (2,),
            },
        ),
    ]  # fmt: skip
