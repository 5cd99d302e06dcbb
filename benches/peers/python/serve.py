"""Times one engine when asked, as `src/main.rs` does: `python -m python.serve ENGINE THREADS MODELS`.

`ready` imports the engine; an engine that is not installed answers with the error. `memory` answers with the most bytes
that the process has had in memory.
"""

import gc
import importlib
import resource
import statistics
import sys
import time
from pathlib import Path

from . import networks, suite

ENGINES = {
    "torch": "torch_engine",
    "onnxruntime": "onnxruntime_engine",
    "openvino": "openvino_engine",
    "litert": "litert_engine",
}
LEAST_CALLS = 3
WARM_UP = 0.2


class Server:
    def __init__(self, engine_name, threads, models):
        self.engine_name, self.threads, self.models = engine_name, threads, models
        self.layers = {layer.name: layer for layer in suite.layers() + suite.steps() + networks.networks()}
        self.engine = self.name = self.way = self.mean_square = None

    def answer(self, request):
        match request.split():
            case ["time", layer, milliseconds]:
                return self.time(layer, int(milliseconds) / 1e3)
            case ["ready"]:
                self.engine = importlib.import_module(f".{ENGINES[self.engine_name]}", __package__)
                return "ok ready"
            case ["memory"]:
                return f"ok {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}"
        raise ValueError(f"{request!r} is not a request")

    def time(self, name, budget):
        if name != self.name:
            self.prepare(self.layers[name], budget)
        minimum, median, calls = measure(self.way, budget)
        return f"ok {minimum} {median} {calls} {self.mean_square}"

    def prepare(self, layer, budget):
        """Keeps the fastest way, after a look at all outputs."""
        self.name = self.way = None
        ways = self.engine.prepare(layer, self.threads, self.models)
        squares = [suite.mean_square(read(way())) for way, read in ways]
        if max(squares) - min(squares) > 1e-3 * squares[0]:
            raise ArithmeticError(f"the ways to compute {layer.name} do not agree")
        self.mean_square = squares[0]
        self.way = min((way for way, _ in ways), key=lambda way: measure(way, budget)[0])
        self.name = layer.name


def measure(call, budget):
    """Calls for `budget` seconds; the fastest and the median call, in microseconds, and how many."""
    start = time.perf_counter()
    call()
    while time.perf_counter() - start < WARM_UP * budget:
        call()
    times = []
    gc.disable()
    while len(times) < LEAST_CALLS or time.perf_counter() - start < budget:
        before = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - before)
    gc.enable()
    return min(times) / 1e3, statistics.median(times) / 1e3, len(times)


def main():
    engine, threads, models = sys.argv[1:]
    server = Server(engine, int(threads), Path(models))
    for line in sys.stdin:
        try:
            answer = server.answer(line)
        except Exception as error:  # whatever an engine may raise is an answer, not the end
            answer = f"error {type(error).__name__}: {error}".replace("\n", " ")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
