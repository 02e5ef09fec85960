"""MiniLM weights as an ONNX graph with int8 products, node by node.

Written by hand: an exported stock layer comes with frozen shapes. One sequence at a time goes
through (`words` `[t, DIM]` -> `mean` and `first`, `[DIM]` each), so nothing is padded or masked,
and the int8 scale of an activation depends on that sequence alone: the same texts always give the
same numbers.
Weights have a scale per output column; per tensor the cosine falls to .95 (attribution.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from gatling_guard.encoders.precise import DIM, HEADS, LAYERS
from gatling_guard.training.precise_model import EPS

OPSET = 20
IR_VERSION = 9

Array = NDArray[np.float32]


def int8_graph(weights: Mapping[str, Array]) -> bytes:
    """The graph of a state of `MiniLM`; the same weights give the same bytes."""
    return _Graph(weights).to_bytes()


class _Graph:
    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._count = 0
        x = self._norm(self._placed("words"), "start")
        for i in range(LAYERS):
            x = self._layer(x, f"layers.{i}")
        axis = self._constant("axis", np.array([0]))
        self._node("ReduceMean", x, axis, name="mean", keepdims=0)
        first = self._node("Slice", x, axis, self._constant("one", np.array([1])))
        self._node("Squeeze", first, axis, name="first")

    def to_bytes(self) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "precise",
            [helper.make_tensor_value_info("words", TensorProto.FLOAT, ["tokens", DIM])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [DIM])
                for name in ("mean", "first")
            ],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def _node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        return self._nodes_out(kind, inputs, 1, name, attributes)[0]

    def _nodes_out(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int,
        name: str,
        attributes: dict[str, Any],
    ) -> list[str]:
        self._count += 1
        names = [name or f"{kind}_{self._count}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _placed(self, words: str) -> str:
        """Plus the rows of the first t positions."""
        place = self._constant("place", self._weights["place"])
        zero, one = self._constant("zero", np.array([0])), self._constant("one", np.array([1]))
        size = self._node("Slice", self._node("Shape", words), zero, one)
        return self._node("Add", words, self._node("Slice", place, zero, size))

    def _norm(self, x: str, name: str) -> str:
        parts = [
            self._constant(f"{name}.{p}", self._weights[f"{name}.{p}"]) for p in ("weight", "bias")
        ]
        return self._node("LayerNormalization", x, *parts, epsilon=EPS)

    def _linear(self, x: str, name: str, *, factor: Array | None = None) -> str:
        """`x @ weight.T + bias`, each output column times its `factor`."""
        weight, bias = self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"]
        if factor is not None:
            weight, bias = weight * factor, bias * factor
        rows, scale = quantised(weight)
        small, its, zero = self._nodes_out("DynamicQuantizeLinear", [x], 3, "", {})
        product = self._node("MatMulInteger", small, self._constant(f"{name}.int8", rows), zero)
        scales = self._node("Mul", its, self._constant(f"{name}.scale", scale))
        scaled = self._node("Mul", self._node("Cast", product, to=TensorProto.FLOAT), scales)
        return self._node("Add", scaled, self._constant(f"{name}.bias", bias))

    def _layer(self, x: str, name: str) -> str:
        # The attention's scale is the queries'.
        factor = np.ones(3 * DIM, dtype=np.float32)
        factor[:DIM] = (DIM // HEADS) ** -0.5
        qkv = self._linear(x, f"{name}.qkv", factor=factor)
        parts = self._nodes_out("Split", [qkv], 3, "", {"axis": 1, "num_outputs": 3})
        heads = self._constant("heads", np.array([0, HEADS, DIM // HEADS]))
        q, k, v = (self._node("Reshape", part, heads) for part in parts)
        logits = self._node(
            "MatMul",
            self._node("Transpose", q, perm=[1, 0, 2]),
            self._node("Transpose", k, perm=[1, 2, 0]),
        )
        mixed = self._node(
            "MatMul",
            self._node("Softmax", logits, axis=-1),
            self._node("Transpose", v, perm=[1, 0, 2]),
        )
        whole = self._constant("whole", np.array([0, DIM]))
        mixed = self._node("Reshape", self._node("Transpose", mixed, perm=[1, 0, 2]), whole)
        x = self._norm(self._node("Add", x, self._linear(mixed, f"{name}.mix")), f"{name}.norm1")
        wide = self._node("Gelu", self._linear(x, f"{name}.wide"))
        narrow = self._linear(wide, f"{name}.narrow")
        return self._norm(self._node("Add", x, narrow), f"{name}.norm2")


def quantised(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Int8 `[in, out]` within +-63, and the scale of each column `[out]`.

    Seven bits: processors without VNNI add two products of a byte in 16 bits, and more would
    overflow there. The cosine with fp32 is .992 instead of .994.
    """
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / np.float32(63)
    return np.rint(weight / scale).astype(np.int8), scale
