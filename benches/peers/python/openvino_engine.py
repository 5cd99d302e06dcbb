"""OpenVINO: a compiled model of one node, held to single precision."""

import openvino
import openvino.properties.hint as hint

from . import suite


def prepare(layer, threads, models):
    model = openvino.Core().compile_model(
        models / f"{layer.name}.onnx",
        "CPU",
        {
            hint.inference_precision: openvino.Type.f32,
            hint.performance_mode: hint.PerformanceMode.LATENCY,
            openvino.properties.inference_num_threads: threads,
        },
    )
    request = model.create_infer_request()
    x = openvino.Tensor(suite.channels_first_input(layer))
    request.set_input_tensor(x)

    def start_and_wait():
        request.start_async()
        request.wait()

    def output(_):
        return request.get_output_tensor().data

    return [(lambda: request.infer(share_inputs=True, share_outputs=True), output), (start_and_wait, output)]
