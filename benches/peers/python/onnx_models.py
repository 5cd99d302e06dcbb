"""Every layer as an ONNX model of one node with constant weights, for the engines that read such files."""

from onnx import TensorProto, checker, helper, numpy_helper, save

from . import suite


def write(layer, folder):
    """Writes `folder/NAME.onnx`."""
    node, weights = _conv(layer) if isinstance(layer, suite.Conv) else (_pool(layer), [])
    graph = helper.make_graph(
        [node],
        layer.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [layer.n, layer.cin, layer.h, layer.w])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, layer.output_shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, folder / f"{layer.name}.onnx")


def _conv(conv):
    node = helper.make_node(
        "Conv",
        ["x", "kernel", "bias"],
        ["y"],
        kernel_shape=[conv.kh, conv.kw],
        strides=[conv.stride] * 2,
        pads=[conv.top, conv.left, conv.bottom, conv.right],
        dilations=[conv.dilation] * 2,
        group=conv.groups,
    )
    kernel = numpy_helper.from_array(suite.filters_first_kernel(conv), "kernel")
    return node, [kernel, numpy_helper.from_array(suite.bias(conv), "bias")]


def _pool(pool):
    if pool.kind.startswith("global"):
        operation = {"global_avg": "GlobalAveragePool", "global_max": "GlobalMaxPool"}[pool.kind]
        return helper.make_node(operation, ["x"], ["y"])
    operation = {"max": "MaxPool", "avg": "AveragePool"}[pool.kind]
    window = dict(kernel_shape=[pool.k] * 2, strides=[pool.stride] * 2, pads=[pool.pad] * 4)
    return helper.make_node(operation, ["x"], ["y"], **window)
