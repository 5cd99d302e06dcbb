"""Networks in training, as `striate::models` and the example `digits` have them."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import suite


def digits():
    layers = []
    for channels, filters in ((1, 32), (32, 64)):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10)
    )


def vgg11():
    layers, channels = [], 3
    for count, filters in ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    for inputs in (512 * 7 * 7, 4096):
        layers += [nn.Linear(inputs, 4096), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(4096, 10))


class BasicBlock(nn.Module):
    """Of ResNet-18 (He et al., 2015)."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = conv_norm(channels, filters, 3, stride)
        self.conv2 = conv_norm(filters, filters, 3, 1)
        self.shortcut = nn.Identity() if stride == 1 else conv_norm(channels, filters, 1, stride)

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


def conv_norm(channels, filters, size, stride):
    """A convolution, and batch normalisation, which has a bias."""
    conv = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(filters))


def resnet18():
    layers, channels = [conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for filters in (64, 128, 256, 512):
        for block in range(2):
            layers.append(BasicBlock(channels, filters, 2 if filters > 64 and block == 0 else 1))
            channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


NETWORKS = {"step_digits": digits, "step_resnet18": resnet18, "step_vgg11": vgg11}


def steps(step):
    """Ways to take the step: with pictures and kernels channels first, and channels last; or the one that is asked for, so
    that a process has the memory of that alone."""
    orders = {"first": torch.contiguous_format, "last": torch.channels_last}
    asked = os.environ.get("PEERS_ORDER")
    return [_step(step, order) for name, order in orders.items() if asked in (None, name)]


def _step(step, order):
    network = NETWORKS[step.name]().to(memory_format=order).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    x = torch.from_numpy(suite.channels_first_input(step)).contiguous(memory_format=order)
    labels = torch.arange(step.n) % 10

    def run():
        with torch.inference_mode(False), torch.enable_grad():
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(x), labels)
            loss.backward()
            optimizer.step()
            return loss

    weights = sum(parameter.numel() for parameter in network.parameters())
    return run, lambda _: np.full(1, weights, np.float32)
