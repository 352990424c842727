"""The request (SPEC section 5), which is the recipe, and the parasite that keeps it on a result layer."""

from __future__ import annotations

import json
from collections.abc import Mapping

from velatura_protocol.errors import VelaturaError

PARASITE = "velatura"

#: What a recipe has besides the request; `gimp` is ours: see `origin`.
_ADDED = ("job", "variation", "rank", "score", "scores", "gimp", "lease")


def request(
    method: str, prompt: str, seed: int, variations: int, parameters: Mapping, *, model: str = ""
) -> dict:
    """A request without its inputs and canvas; the newest version of the method, the daemon's default model
    where `model` is empty."""
    return {
        "velatura": 1,
        "method": method,
        "method_version": 0,
        "model": {"id": model, "digest": ""},
        "prompt": prompt,
        "seed": seed,
        "variations": variations,
        "parameters": dict(parameters),
    }


def of_layer(recipe: Mapping) -> dict:
    """The recipe of one variation alone: its own seed, and nothing beside it."""
    index = recipe.get("variation")
    index = index if isinstance(index, int) and index >= 0 else 0
    return {**recipe, "seed": (recipe["seed"] + index) % 2**31, "variations": 1}


def model(recipe: Mapping) -> str:
    """The id of the recipe's model; empty where it names none."""
    named = recipe.get("model")
    return named["id"] if isinstance(named, dict) and isinstance(named.get("id"), str) else ""


def again(recipe: Mapping, changes: Mapping) -> dict:
    """The request of a recipe with some of its fields changed, to be submitted with new inputs.

    changes: any of prompt, seed, variations, model, parameters (only those that change).
    """
    changed = {**recipe, **changes}
    changed["parameters"] = {**recipe["parameters"], **changes.get("parameters", {})}
    return {key: value for key, value in changed.items() if key not in (*_ADDED, "inputs", "canvas")}


def to_parasite(recipe: Mapping, origin: Mapping) -> bytes:
    """The parasite's data: ASCII, because GIMP hands it out as signed bytes. origin: see `origin`."""
    return json.dumps({**recipe, "gimp": dict(origin)}).encode("ascii")


def from_parasite(data: bytes) -> dict:
    """Reads a parasite. Raises `bad-request` if it is no recipe that can be run."""
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise _damaged(str(error)) from None
    if not (isinstance(value, dict) and isinstance(value.get("method"), str)):
        raise _damaged("no method")
    kinds = {"prompt": str, "seed": int, "variations": int, "parameters": dict, "inputs": dict}
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            raise _damaged(key)
    return value


def origin(recipe: Mapping) -> dict:
    """What the plug-in knows of where the parasite was made; 0 or empty where it does not say.

    source, result: the tattoos of the source layer and of the result itself, in the image of then. mark: the
    one that the source bears.
    """
    own = recipe.get("gimp")
    own = own if isinstance(own, dict) else {}
    unknown = {"source": 0, "result": 0, "mark": ""}
    return {key: own[key] if type(own.get(key)) is type(none) else none for key, none in unknown.items()}


def _damaged(detail: str) -> VelaturaError:
    return VelaturaError(
        "bad-request", "This layer's recipe cannot be read; run the edit anew from its menu.", detail=detail
    )
