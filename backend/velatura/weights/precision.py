"""Notices NaN and infinity in the results of any network, and computes them again in float32.

A network that overflows in half precision gives NaN, which every later step spreads and which ends as a black
patch. So each result is looked at where it leaves the network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_WIDE = "_velatura_wide"  # of a network that computes in float32 for good: the hooks that cast its inputs
_NARROW = (torch.float16, torch.bfloat16)
_CALLED = 2  # levels of modules below a network that other code calls, as CLIPSeg's `clip.vision_model`


def checked(call: Callable[[], _T], networks: Iterable[nn.Module], title: str, *given: object) -> _T:
    """The result of a call, all of whose values are finite.

    If one is not, the networks compute in float32 from then on, and the call is made again.

    Args:
        call: computes a result by the networks: a tensor, or a collection or dataclass with tensors.
        networks: that take part in it.
        title: of the model, for a person.
        given: the values that the call starts from, which are to blame if one of them is not finite.

    Raises:
        VelaturaError: `unknown-model` if float32 does not help either: the model, or its weights, are at
            fault. `bad-request` if a given value is not finite: a method's settings are.
    """
    result = call()
    if is_finite(result):
        return result
    if not is_finite(given):
        raise _of_settings()
    networks = list(networks)
    widened = [widen(network) for network in networks]
    if any(widened):
        log.warning("%s: a value that is no number; its network computes in float32 from now on", title)
        result = call()
        if is_finite(result):
            return result
    raise _of_model(title, networks)


def watch(network: nn.Module, title: str, *, repeat: bool = True) -> None:
    """Checks every result of a network whose parts are called from many places, as `checked` does.

    The part that is called from outside is the one that is called again; inner calls are not looked at.

    Args:
        network: all its modules are watched.
        title: for a person.
        repeat: whether such a call can simply be made again. It cannot while a text is generated, where a
            cache grows with each call: `Overflow` is raised then, after the network has been widened.
    """
    watched = _Watch(network, title, repeat)
    for module in network.modules():
        module.register_forward_pre_hook(watched.enter)
        module.register_forward_hook(watched.leave, with_kwargs=True, always_call=True)


class Overflow(Exception):
    """A value that is no number, from a network that computes in float32 now: make the call again."""


class _Watch:
    """The hooks of `watch`. depth: of calls within calls."""

    def __init__(self, network: nn.Module, title: str, repeat: bool) -> None:
        self._network, self._title, self._repeat = network, title, repeat
        self._depth = 0

    def enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._depth += 1

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        self._depth -= 1
        if self._depth or result is None or is_finite(result):  # None: the call has raised
            return None
        if not is_finite((args, kwargs)):
            raise _of_settings()
        if not widen(self._network):
            raise _of_model(self._title, [self._network])
        log.warning("%s: a value that is no number; it computes in float32 from now on", self._title)
        if not self._repeat:
            raise Overflow
        return module(*_in_float32(args), **_in_float32(kwargs))


def is_finite(value: object) -> bool:
    """Whether all numbers in all tensors of a value are finite. The device is waited for once."""
    tensors = [x for x in _tensors(value) if x.is_floating_point() and x.numel()]
    if not tensors:
        return True
    with torch.no_grad():
        return bool(torch.stack([torch.isfinite(x.detach()).all() for x in tensors]).all())


def check_finite(value: object) -> None:
    """Raises `bad-request` unless all numbers in all tensors of a method's result are finite."""
    if not is_finite(value):
        raise _of_settings()


def is_wide(network: nn.Module) -> bool:
    """Whether a network computes in float32 since `widen`."""
    return hasattr(network, _WIDE)


def widen(network: nn.Module) -> bool:
    """Makes a network compute in float32 for good, whatever its inputs' dtype.

    Returns False where it did so before, so that there is nothing to gain. Quantised weights stay as they are
    stored; they are multiplied in float32.
    """
    if is_wide(network):
        return False
    with torch.inference_mode(False):  # weights made in inference mode could take part in no gradient
        narrow = cast_to_float32(network)
    if not narrow:
        return False
    setattr(network, _WIDE, _cast_inputs(network))
    return True


def cast_to_float32(network: nn.Module) -> bool:
    """Casts all weights and buffers of a network to float32 in place. Returns whether any was narrower.

    Quantised weights (integers of GGUF, float8) stay, and their layers compute in float32 from then on.
    """
    narrow = False
    modules: list[Any] = list(network.modules())
    for module in modules:
        if getattr(module, "compute_dtype", None) in _NARROW:
            module.compute_dtype = torch.float32
            narrow = True
    for weight in [*network.parameters(), *network.buffers()]:
        if weight.dtype in _NARROW:
            weight.data = weight.data.float()  # the same object, which others may hold
            narrow = True
    return narrow


def _cast_inputs(network: nn.Module) -> list[Any]:
    """Casts the inputs of the modules that are called from outside: a caller may still use the old dtype."""

    def cast_them(
        _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return _in_float32(args), _in_float32(kwargs)

    called = [module for name, module in network.named_modules() if name.count(".") < _CALLED]
    return [module.register_forward_pre_hook(cast_them, with_kwargs=True) for module in called]


def _in_float32(value: Any) -> Any:
    """A value with its tensors of half precision, also those in tuples, lists and dictionaries, in
    float32."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in _NARROW else value
    if type(value) in (tuple, list):
        return type(value)(_in_float32(item) for item in value)
    if type(value) is dict:
        return {key: _in_float32(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, str | bytes):
        return []
    if isinstance(value, Mapping):  # the outputs of transformers and diffusers, too
        return [x for item in cast("Mapping[Any, Any]", value).values() for x in _tensors(item)]
    if isinstance(value, list | tuple):
        return [x for item in cast("list[Any]", value) for x in _tensors(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return [x for field in fields(value) for x in _tensors(getattr(value, field.name))]
    return []


def _of_model(title: str, networks: Iterable[nn.Module]) -> VelaturaError:
    damaged = not all(is_finite(list(network.parameters())) for network in networks)
    if damaged:
        sentence = f"The weights of {title} hold values that are no numbers; fetch its files again."
    else:
        sentence = f"{title} gives values that are no numbers, in full precision too; choose another model."
    return VelaturaError("unknown-model", sentence[:1].upper() + sentence[1:])


def _of_settings() -> VelaturaError:
    return VelaturaError(
        "bad-request",
        "This edit came to values that are no numbers; make its settings weaker, or choose another model.",
    )
