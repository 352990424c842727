"""Tiny networks of StyleGAN2 in the layouts of others, and their pictures by their own rules."""

from __future__ import annotations

import io
import math
import pickle
import sys
import types
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

from tests.models import style_reference as plain

CHANNELS, W, LAYERS = (8, 7, 6), 10, 2


def rosinality(channels=CHANNELS, w=W, layers=LAYERS, *, seed=0, noises=True):
    """The table of weights of a generator of stylegan2-pytorch by rosinality."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    table = {"input.input": normal(1, channels[0], 4, 4)}

    def modulated(name, inputs, outputs, k):
        table[f"{name}.conv.weight"] = normal(1, outputs, inputs, k, k)
        table[f"{name}.conv.modulation.weight"] = normal(inputs, w)
        table[f"{name}.conv.modulation.bias"] = 1.0 + 0.1 * normal(inputs)

    def convolution(name, inputs, outputs, *, up=False):
        modulated(name, inputs, outputs, 3)
        table[f"{name}.noise.weight"] = 0.1 * normal(1)
        table[f"{name}.activate.bias"] = 0.1 * normal(outputs)
        if up:
            table[f"{name}.conv.blur.kernel"] = plain.KERNEL * 4.0

    def colours(name, inputs, *, up=True):
        modulated(name, inputs, 3, 1)
        table[f"{name}.bias"] = 0.1 * normal(1, 3, 1, 1)
        if up:
            table[f"{name}.upsample.kernel"] = plain.KERNEL * 4.0

    for i in range(1, layers + 1):
        table[f"style.{i}.weight"], table[f"style.{i}.bias"] = normal(w, w) / 0.01, normal(w)
    convolution("conv1", channels[0], channels[0])
    colours("to_rgb1", channels[0], up=False)
    for i, (before, after) in enumerate(pairwise(channels)):
        convolution(f"convs.{2 * i}", before, after, up=True)
        convolution(f"convs.{2 * i + 1}", after, after)
        colours(f"to_rgbs.{i}", after)
    if noises:
        for i in range(2 * len(channels) - 1):
            side = 2 ** ((i + 5) // 2)
            table[f"noises.noise_{i}"] = normal(1, 1, side, side)
    return table


def rosinality_pictures(t, z, mean, psi, layers=LAYERS):
    """The pictures of z, with the stored noise."""

    def linear(name, x, lr):
        weight = t[f"{name}.weight"]
        return F.linear(x, weight * (lr / math.sqrt(weight.shape[1])), t[f"{name}.bias"] * lr)

    x = plain.unit(z)
    for i in range(1, layers + 1):
        x = plain.lrelu(linear(f"style.{i}", x, 0.01))
    w = mean + psi * (x - mean)

    def modulated(name, x, *, demodulate=True, up=False):
        """A transposed convolution in groups and then the filter, where it doubles the size."""
        weight = t[f"{name}.weight"]
        _, o, i, k, _ = weight.shape
        s = linear(f"{name}.modulation", w, 1.0)
        own = weight * s[:, None, :, None, None] / math.sqrt(i * k * k)
        if demodulate:
            own = own * torch.rsqrt(own.pow(2).sum([2, 3, 4]) + 1e-8)[:, :, None, None, None]
        n, _, h, width = x.shape
        rows = x.reshape(1, n * i, h, width)
        if up:
            own = own.transpose(1, 2).reshape(n * i, o, k, k)
            y = F.conv_transpose2d(rows, own, stride=2, groups=n)
            y = y.reshape(n, o, *y.shape[2:])
            return plain.filtered(F.pad(y, (1, 1, 1, 1)), 4.0)
        y = F.conv2d(rows, own.reshape(n * o, i, k, k), padding=k // 2, groups=n)
        return y.reshape(n, o, *y.shape[2:])

    def layer(name, x, noise, *, up=False):
        y = modulated(f"{name}.conv", x, up=up) + t[f"{name}.noise.weight"] * t[f"noises.noise_{noise}"]
        return plain.lrelu(y + t[f"{name}.activate.bias"][:, None, None])

    def colours(name, x):
        return modulated(f"{name}.conv", x, demodulate=False) + t[f"{name}.bias"]

    x = layer("conv1", t["input.input"].repeat(len(z), 1, 1, 1), 0)
    picture = colours("to_rgb1", x)
    for i in range(sum(name.endswith(".conv.blur.kernel") for name in t)):
        x = layer(f"convs.{2 * i}", x, 2 * i + 1, up=True)
        x = layer(f"convs.{2 * i + 1}", x, 2 * i + 2)
        picture = plain.doubled(picture) + colours(f"to_rgbs.{i}", x)
    return picture


class Module:
    """A module as stylegan2-ada-pytorch stores it: as a call that gets source code and state."""

    def __init__(self, name, **attributes):
        self.name, self.modules, self.parameters, self.buffers = name, {}, {}, {}
        self.attributes = attributes

    def __reduce__(self):
        table = sys.modules["dnnlib.util"].EasyDict
        state = {
            "training": False,
            "_parameters": self.parameters,
            "_buffers": self.buffers,
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": table(),
            "_modules": self.modules,
            "_init_args": (),
            "_init_kwargs": table(self.attributes),
            **self.attributes,
        }
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit('the source was run')",
            "class_name": self.name,
            "state": state,
        }
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,), None


def ada_module(table, about):
    """A tree of modules of a table of weights. about: attributes of modules by their names."""
    root = Module("Generator", **about.get("", {}))
    for name, value in table.items():
        *path, key = name.split(".")
        here = root
        for i, part in enumerate(path):
            full = ".".join(path[: i + 1])
            if part not in here.modules:
                kind = "FullyConnectedLayer" if part.startswith("fc") else "SynthesisLayer"
                here.modules[part] = Module(kind, **about.get(full, {}))
            here = here.modules[part]
        if key in ("noise_const", "w_avg", "resample_filter"):
            here.buffers[key] = value
        else:
            here.parameters[key] = torch.nn.Parameter(value)
    return root


def ada(network):
    """The table of weights of one of the networks here, as stylegan2-ada-pytorch stores it, with filters."""
    table = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for side in network.synthesis.sides:
        for place in ("", ".conv0", ".conv1"):
            if not (side == 4 and place == ".conv0"):
                table[f"synthesis.b{side}{place}.resample_filter"] = plain.KERNEL.clone()
    return table


def ada_about(network, **more):
    """The attributes that such a network's modules have."""
    shape = network.shape
    about = {"": {"z_dim": shape.z_dim, "c_dim": shape.c_dim, "img_channels": 3}}
    for i in range(shape.mapping_layers):
        about[f"mapping.fc{i}"] = {
            "activation": "lrelu",
            "weight_gain": shape.lr_multiplier / np.sqrt(np.float64(10)),  # a number of numpy's
            "bias_gain": shape.lr_multiplier,
        }
    for side in network.synthesis.sides:
        about[f"synthesis.b{side}"] = {"architecture": "skip", "resolution": side}
        for conv in ("conv0", "conv1"):
            about[f"synthesis.b{side}.{conv}"] = {"activation": "lrelu", "conv_clamp": shape.clamp, "up": 2}
            about[f"synthesis.b{side}.{conv}.affine"] = {"activation": "linear", "bias_gain": 1}
    for name, attributes in more.items():
        about[name.replace("__", ".")] = about.get(name.replace("__", "."), {}) | attributes
    return about


def pickled(content, protocol=4):
    """The bytes of a pickle of stylegan2-ada-pytorch; the names that it needs exist only meanwhile."""
    persistence, util, package = (
        types.ModuleType(name) for name in ("torch_utils.persistence", "dnnlib.util", "torch_utils")
    )
    dnnlib = types.ModuleType("dnnlib")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the function of the file was called")

    _reconstruct_persistent_obj.__module__ = persistence.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    modules = {
        "torch_utils": package,
        "torch_utils.persistence": persistence,
        "dnnlib": dnnlib,
        "dnnlib.util": util,
    }
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        content = content() if callable(content) else content
        file = io.BytesIO()
        pickle.dump(content, file, protocol)
        return file.getvalue()
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
