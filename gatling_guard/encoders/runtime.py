"""An ONNX graph in onnxruntime: loaded from checked bytes, on an explicit number of threads."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gatling_guard.errors import ConfigurationError


class OnnxGraph:
    """One network: arrays in the order of its inputs -> arrays in the order of its outputs.

    Thread-safe.

    Args:
        data: the file's bytes, whose hash the caller has checked; a path could change underneath.
        threads: of one run. 1 is best for the small products of one call.
        name: for errors.

    Raises:
        ConfigurationError: the bytes are no graph that onnxruntime can run.
    """

    def __init__(self, data: bytes, *, threads: int = 1, name: str = "graph") -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        # Threads that spin for the next product would take the agent's second core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The fused SkipLayerNormalization takes five times the two operators it replaces.
        try:
            self._session = ort.InferenceSession(
                data,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # onnxruntime raises its own classes, all of them Exceptions
            raise ConfigurationError(f"{name}: onnxruntime cannot load it: {error}") from None
        self.inputs = tuple(each.name for each in self._session.get_inputs())

    def __call__(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the network."""
        found: list[NDArray[Any]] = self._session.run(
            None, dict(zip(self.inputs, arrays, strict=True))
        )
        return found
