"""What a test reaches for, read from its code: hosts, processes and models make it one for the whole gate."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from types import CodeType, ModuleType

import pytest

MARKED = {"krita", "gimp", "slow"}
#: Modules whose functions and classes start a program or a daemon, or make or load a model.
HEAVY = {
    "subprocess",
    "installer.hosts",
    "tests.daemon_fixture",
    "tests.hosts.gimp",
    "tests.hosts.krita",
    "tests.tiny",
    "velatura.daemon.worker.runner",
    "velatura.models.store",
}
LIGHT = {"tiny_tokenizer", "patience", "wait_for"}  # of these modules, and yet quick


def needs_the_whole_gate(item: pytest.Function) -> bool:
    """Whether a test is marked for a host or as slow, or reaches for a heavy part, also by a fixture."""
    if {mark.name for mark in item.iter_markers()} & MARKED:
        return True
    known = item._fixtureinfo.name2fixturedefs
    fixtures = [fixture.func for name in item.fixturenames for fixture in known.get(name, ())]
    return any(_is_heavy(function) for function in (item.function, *fixtures))


@cache
def _is_heavy(thing: object) -> bool:
    """Whether this function or class of the tests, or one that it names, uses or imports a heavy module."""
    seen, todo = set(), [inspect.unwrap(thing)]
    while todo:
        function = todo.pop()
        if function in seen:
            continue
        seen.add(function)
        if inspect.isclass(function):
            todo += [f for f in vars(function).values() if inspect.isfunction(f)]
            continue
        for name in _names(function.__code__):
            found = function.__globals__.get(name)
            module = _module(found)
            if name in HEAVY or (module in HEAVY and getattr(found, "__name__", "") not in LIGHT):
                return True
            if module.startswith("tests.") and (inspect.isfunction(found) or inspect.isclass(found)):
                todo.append(found)
    return False


def _module(thing: object) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__
    return getattr(thing, "__module__", None) or ""


def _names(code: CodeType) -> Iterator[str]:
    """The global names, attributes and imported modules in some code and in the functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
