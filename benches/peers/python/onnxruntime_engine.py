"""ONNX Runtime (MLAS): a session, its input and output bound beforehand."""

import onnxruntime

from . import suite


def prepare(layer, threads, models):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(models / f"{layer.name}.onnx", options, ["CPUExecutionProvider"])
    x = onnxruntime.OrtValue.ortvalue_from_numpy(suite.channels_first_input(layer))
    y = onnxruntime.OrtValue.ortvalue_from_shape_and_type(layer.output_shape, "float32")
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    return [(lambda: session.run_with_iobinding(binding), lambda _: y.numpy())]
