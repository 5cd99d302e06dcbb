"""PyTorch (oneDNN): channels first, channels last, and weights reordered beforehand for either."""

import numpy as np
import torch
import torch.nn.functional as F

from . import suite, torch_networks


_no_gradients = torch.inference_mode()
_no_gradients.__enter__()


def prepare(layer, threads, models):
    """Ways to compute the layer: each a function without arguments, and how to read what it returns."""
    torch.set_num_threads(threads)
    if isinstance(layer, suite.Training | suite.Step):
        with torch.inference_mode(False):
            return _training(layer) if isinstance(layer, suite.Training) else torch_networks.steps(layer)
    first = torch.from_numpy(suite.channels_first_input(layer)).clone()  # to memory that it has aligned
    last = first.contiguous(memory_format=torch.channels_last)
    if isinstance(layer, suite.Network):
        raise NotImplementedError("it reads no ONNX files")
    ways = _conv(layer, first, last) if isinstance(layer, suite.Conv) else _pool(layer, first, last)
    return [(way, torch.Tensor.numpy) for way in ways]


def _conv(conv, first, last):
    kernel = torch.from_numpy(suite.filters_first_kernel(conv))
    kernel_last = kernel.contiguous(memory_format=torch.channels_last)
    bias = torch.from_numpy(suite.bias(conv))
    first, pad = _padded(conv, first)
    last, _ = _padded(conv, last)
    stride, dilation = [conv.stride] * 2, [conv.dilation] * 2
    ways = [
        lambda: F.conv2d(first, kernel, bias, stride, pad, dilation, conv.groups),
        lambda: F.conv2d(last, kernel_last, bias, stride, pad, dilation, conv.groups),
    ]
    if torch.backends.mkldnn.is_available():
        for x in (first, last):
            packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
                kernel.to_mkldnn(), pad, stride, dilation, conv.groups, list(x.shape)
            )
            ways.append(_prepacked(x, packed, bias, pad, stride, dilation, conv.groups))
    return ways


def _training(conv):
    return [_step(conv, order) for order in (torch.contiguous_format, torch.channels_last)]


def _step(conv, order):
    """Forward and all gradients, channels first or last."""

    def arranged(array):
        return torch.from_numpy(array).clone(memory_format=order)

    x, pad = _padded(conv, arranged(suite.channels_first_input(conv)))
    x = x.contiguous(memory_format=order).requires_grad_()
    kernel = arranged(suite.filters_first_kernel(conv)).requires_grad_()
    bias = torch.from_numpy(suite.bias(conv)).requires_grad_()
    grad = arranged(suite.channels_first_gradient(conv))

    def step():
        with torch.inference_mode(False), torch.enable_grad():
            y = F.conv2d(x, kernel, bias, [conv.stride] * 2, pad, [conv.dilation] * 2, conv.groups)
            return torch.autograd.grad(y, [x, kernel, bias], grad)

    def read(grads):
        dx, *others = grads
        if dx.shape[2] != conv.h:  # of the padded input
            dx = dx[:, :, conv.top : conv.top + conv.h, conv.left : conv.left + conv.w]
        return np.concatenate([of.numpy().ravel() for of in (dx, *others)])

    return step, read


def _prepacked(x, packed, bias, *window):
    """What a model compiled by TorchInductor calls."""
    return lambda: torch.ops.mkldnn._convolution_pointwise(x, packed, bias, *window, "none", [], "")


def _padded(conv, x):
    """The input and its symmetric padding; where the padding is not symmetric, the input with it, free of charge."""
    if (conv.top, conv.left) == (conv.bottom, conv.right):
        return x, [conv.top, conv.left]
    padded = F.pad(x, [conv.left, conv.right, conv.top, conv.bottom])
    return padded, [0, 0]


def _pool(pool, first, last):
    def both(function):
        return [lambda: function(first), lambda: function(last)]

    if pool.kind == "max":
        return both(lambda x: F.max_pool2d(x, pool.k, pool.stride, pool.pad))
    if pool.kind == "avg":
        return both(lambda x: F.avg_pool2d(x, pool.k, pool.stride, pool.pad, count_include_pad=False))
    if pool.kind == "global_avg":
        return both(lambda x: x.mean((2, 3))) + both(lambda x: F.adaptive_avg_pool2d(x, 1))
    return both(lambda x: x.amax((2, 3))) + both(lambda x: F.adaptive_max_pool2d(x, 1))
