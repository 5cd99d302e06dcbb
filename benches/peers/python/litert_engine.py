"""LiteRT (XNNPACK): a model of one node, channels last.

Its padding is TensorFlow's `same` or none. With strides, `same` may pad elsewhere than the layer does: as many windows
over as many numbers, but not the same output.
"""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from . import suite, tflite_models


def prepare(layer, threads, _):
    models = tflite_models.models(layer)
    comparable = tflite_models.pads_as(layer)
    return [_way(model, layer, threads, comparable) for model in models]


def _way(model, layer, threads, comparable):
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], suite.channels_last_input(layer))
    output = interpreter.get_output_details()[0]["index"]
    return interpreter.invoke, lambda _: interpreter.get_tensor(output) if comparable else np.nan
