"""The engines that are compared: how each is started, its version, and how it is used."""

import subprocess
import tomllib
from dataclasses import dataclass
from importlib import metadata

from .process import FOLDER, Process, python, rust

STRIATE = "striate"


@dataclass(frozen=True)
class Engine:
    name: str
    #: Of the package or crate.
    package: str
    mode: str
    is_rust: bool

    def start(self, binary, threads, models) -> Process:
        """Fails with `Unavailable` if it does not run here."""
        process = rust(self.name, binary, threads, models) if self.is_rust else python(self.name, threads, models)
        process.ask("ready")
        return process

    @property
    def version(self):
        if not self.is_rust:
            return metadata.version(self.package)
        if self.name == STRIATE:
            return _own_version()
        lock = tomllib.loads((FOLDER / "Cargo.lock").read_text())
        return next(package["version"] for package in lock["package"] if package["name"] == self.package)


def _own_version():
    version = tomllib.loads((FOLDER.parents[1] / "Cargo.toml").read_text())["package"]["version"]
    git = ["git", "-C", FOLDER, "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version} ({commit})" if commit else version


OURS = Engine(STRIATE, STRIATE, "a built layer, channels last; in inference, the first call packs the weights; networks after `for_inference`", True)

PEERS = [
    Engine(
        "torch",
        "torch",
        "oneDNN; eager; the fastest of channels first, channels last and, in inference, weights prepacked for either",
        False,
    ),
    Engine("onnxruntime", "onnxruntime", "MLAS; all optimisations; input and output bound beforehand", False),
    Engine("openvino", "openvino", "compiled for latency, f32 precision; the faster of `infer` and `start_async`", False),
    Engine("litert", "ai-edge-litert", "XNNPACK; channels last, `same` padding", False),
    Engine("rten", "rten", "optimised ONNX model, prepacked weights", True),
    Engine("tract", "tract-onnx", "optimised ONNX model for the input's shape", True),
    Engine("candle", "candle-nn", "`Conv2d`, pooling and gradients of tensors", True),
    Engine("burn-flex", "burn-flex", "the backend's operations, AVX-512 switched on", True),
]
