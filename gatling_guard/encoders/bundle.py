"""A model ready to use: both encoders, the predictor and the energies, of one set of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from gatling_guard.encoders import checkpoint, selftest
from gatling_guard.encoders.cache import GovernanceCache
from gatling_guard.encoders.calibration import Calibration
from gatling_guard.encoders.config import EncoderConfig
from gatling_guard.encoders.energies_onnx import OnnxEnergyHead
from gatling_guard.encoders.execution_onnx import OnnxExecutionEncoder
from gatling_guard.encoders.governance_onnx import OnnxGovernanceEncoder
from gatling_guard.encoders.manifest import Manifest, read_manifest, shipped
from gatling_guard.encoders.plans import PlanEncoder
from gatling_guard.encoders.prediction import OnnxPredictor
from gatling_guard.encoders.projected import ProjectedText
from gatling_guard.encoders.runtime import OnnxGraph
from gatling_guard.encoders.selftest import Precision
from gatling_guard.encoders.text import text_features
from gatling_guard.errors import ConfigurationError, GatlingError

if TYPE_CHECKING:
    from torch import nn

Backend = Literal["onnx", "torch"]


class Predicts(Protocol):
    """`Predictor` or `OnnxPredictor`."""

    def predict(
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        latest: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """`[B, latent_dim]`, `[B, latent_dim]`, `[B, h]` -> `[B, call_dim]`, unit length."""


class GivesEnergies(Protocol):
    """`EnergyHead` or `OnnxEnergyHead`."""

    def energies(
        self,
        z_g: NDArray[np.float32],
        z_e: NDArray[np.float32],
        state: NDArray[np.float32],
        call: NDArray[np.float32],
        expected: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Of M calls `[M, 4]`; see `EnergyHead.forward`."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """One model. Thread-safe but for the states that `execution.start()` makes."""

    config: EncoderConfig
    execution: PlanEncoder
    governance: GovernanceCache[Any]
    predictor: Predicts
    manifest: Manifest | None = None
    """None for weights that are in no folder yet."""
    energy: GivesEnergies | None = None
    """None where the model has no such part."""
    calibration: Calibration | None = None
    """From energies to the bands; None where the model was not calibrated."""


def create(config: EncoderConfig, seed: int) -> dict[str, nn.Module]:
    """Untrained networks, the same for the same seed; torch's own generator is left alone.

    Returns: `execution`, `governance`, `predictor`, `energy`.
    """
    import torch

    from gatling_guard.encoders.energies import EnergyHead
    from gatling_guard.encoders.execution import ExecutionEncoder
    from gatling_guard.encoders.governance import GovernanceEncoder
    from gatling_guard.encoders.predictor import Predictor

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {
            "execution": ExecutionEncoder(config),
            "governance": GovernanceEncoder(config),
            "predictor": Predictor(config),
            "energy": EnergyHead(config),
        }


def load_encoders(
    folder: Path | str | None = None,
    *,
    backend: Backend = "onnx",
    precision: Precision = "int8",
    threads: int = 1,
) -> Encoders:
    """Load a model, check it and let it prove itself.

    Only files whose size and hash the manifest gives are used, and the model must reproduce three
    stored cases before it is returned.

    Args:
        folder: a model folder; None: the weights that ship with this package.
        backend: `onnx` serves; `torch` is the reference (fp32, needs the extra `train`).
        precision: of the ONNX graphs.
        threads: of one product, in onnxruntime.

    Raises:
        ConfigurationError: no such model, made for another tokeniser, a part is missing, or the
            self-test fails; no such backend or precision, or no thread.
        InputError: a file is damaged or not the one that was saved.
        ModuleNotFoundError: `backend="torch"` without torch.
    """
    _require_one_of("backend", backend, Backend)
    _require_one_of("precision", precision, Precision)
    if type(threads) is not int or threads < 1:
        raise ConfigurationError(f"threads must be an int of 1 or more, not {threads!r}")
    folder = _chosen(folder)
    manifest = read_manifest(folder)
    checkpoint.require_tokenizer(manifest)
    if backend == "torch":
        loaded, precision = _torch(folder, manifest), "fp32"
    else:
        loaded = assemble(
            manifest.encoder_config,
            lambda graph: checkpoint.load_graph(folder, graph, precision, manifest),
            model=f"{manifest.digest[:16]}-{precision}",
            threads=threads,
            manifest=manifest,
            energy=checkpoint.graph_file("energy", precision) in manifest.files,
        )
    loaded = replace(loaded, calibration=checkpoint.load_calibration(folder, manifest))
    cases = checkpoint.load_cases(folder, manifest)
    try:
        selftest.run(loaded, cases, precision)
    except GatlingError:
        raise
    except Exception as error:  # graphs of another model: onnxruntime says it in its own classes
        raise ConfigurationError(f"{folder}: the self-test does not run: {error}") from None
    return loaded


def assemble(
    config: EncoderConfig,
    graph: Callable[[str], bytes],
    *,
    model: str,
    threads: int = 1,
    manifest: Manifest | None = None,
    energy: bool = True,
) -> Encoders:
    """The ONNX encoders from the bytes of `checkpoint.GRAPHS`, by name.

    Args:
        config: of the weights.
        graph: name -> bytes.
        model: names the weights.
        threads: of one product.
        manifest: of the folder they come from.
        energy: whether there is a graph of that name.
    """
    features = text_features(config.tokenizer, vocabulary=config.vocabulary)

    def network(name: str) -> OnnxGraph:
        return OnnxGraph(graph(name), threads=threads, name=name)

    def text(encoder: str) -> ProjectedText:
        return ProjectedText(features, network(f"{encoder}_text"))

    execution = OnnxExecutionEncoder(
        config, text("execution"), call=network("call"), plan=network("plan"), model=model
    )
    governance = OnnxGovernanceEncoder(
        config, text("governance"), policy=network("policy"), context=network("context"),
        model=model,
    )  # fmt: skip
    predictor = OnnxPredictor(config, network("predictor"))
    head = OnnxEnergyHead(network("energy")) if energy else None
    return Encoders(config, execution, GovernanceCache(governance), predictor, manifest, head)


def of_modules(modules: Mapping[str, Any], manifest: Manifest | None = None) -> Encoders:
    """Encoders over torch networks as `create` makes them; they no longer record gradients."""
    for module in modules.values():
        module.eval().requires_grad_(False)
    execution = modules["execution"]
    return Encoders(
        execution.config, execution, GovernanceCache(modules["governance"]),
        modules["predictor"], manifest, modules.get("energy"),
    )  # fmt: skip


def pretrained(
    network: Callable[[EncoderConfig], nn.Module],
    part: checkpoint.Part,
    folder: Path | str | None,
    *,
    backend: Backend,
    device: str,
) -> Any:
    """One encoder of a model folder: what `from_pretrained` of the encoders does.

    `torch`: the network with its weights, on `device`, ready to be trained on; `onnx`: the one that
    serves, from `load_encoders`.
    """
    _require_one_of("backend", backend, Backend)
    folder = _chosen(folder)
    if backend == "onnx":
        loaded = load_encoders(folder)
        return loaded.execution if part == "execution" else loaded.governance.encoder
    manifest = read_manifest(folder)
    checkpoint.require_tokenizer(manifest)
    module = network(manifest.encoder_config)
    checkpoint.load_into(module, folder, part, manifest)
    return module.to(device)


def _chosen(folder: Path | str | None) -> Path:
    if folder is None and (folder := shipped()) is None:
        raise ConfigurationError(
            "this version ships no weights; name a model folder (`gatling-guard model create` and"
            " `gatling-guard export` make an untrained one)"
        )
    return Path(folder)


def _require_one_of(what: str, value: object, allowed: object) -> None:
    if value not in get_args(allowed):
        names = " and ".join(repr(each) for each in get_args(allowed))
        raise ConfigurationError(f"no {what} {value!r}; there are {names}")


def _torch(folder: Path, manifest: Manifest) -> Encoders:
    try:
        modules = create(manifest.encoder_config, seed=0)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            'backend="torch" needs torch: pip install "gatling-guard[train]"', name="torch"
        ) from None
    modules = checkpoint.without_missing(modules, manifest)
    for part, module in modules.items():
        checkpoint.load_into(module, folder, part, manifest)  # type: ignore[arg-type]
    return of_modules(modules, manifest)
