"""The model that runs a method: the person's own choice, or another one where that cannot.

A model may lack a method (SPEC section 4, `lacks`). A host then takes the first model that can run it, says
so, and returns to the person's own choice with the next method.
"""

from __future__ import annotations

from dataclasses import dataclass

from .catalogue import Catalogue, MethodInfo

NO_MODEL = "No model here can do this; run it to read what is missing."
INSTEAD = "“{}” cannot do this, so “{}” does it."


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model of a request.

    Attributes:
        model: its id; empty: the daemon's default model.
        note: a sentence for the person where it is not their own choice, or where no model can run the
            method; else ''.
    """

    model: str
    note: str = ""


def choose_model(known: Catalogue, method: MethodInfo, own: str) -> ModelChoice:
    """The model that runs the method.

    It is the person's own model if that can, else the first that can. If none can, it remains the person's
    own: the daemon refuses the request with a sentence that names what is missing.

    Args:
        known: the daemon's methods and models.
        method: to be run.
        own: the id of the person's own model; empty: the daemon's default model.
    """
    if not known.lacks(own, method):
        return ModelChoice(own)
    able = able_models(known, method)
    if not able:
        return ModelChoice(own, NO_MODEL)
    mine = known.model(own)
    return ModelChoice(able[0], INSTEAD.format(mine.title if mine else own, _title(known, able[0])))


def first_able(known: Catalogue, method: MethodInfo | None, *models: str) -> str:
    """The first of these models that can run the method, else the first of all. For a method that serves
    another one, such as a caption: no further model is worth loading for it.

    Args:
        known: the daemon's methods and models.
        method: to be run; None where there is none.
        models: ids, at least one; empty: the daemon's default model.
    """
    able = (model for model in models if method is not None and not known.lacks(model, method))
    return next(able, models[0])


def able_models(known: Catalogue, method: MethodInfo) -> tuple[str, ...]:
    """The ids of the models that can run the method, in the daemon's order."""
    return tuple(model.id for model in known.models if method.id not in model.lacks)


def _title(known: Catalogue, identifier: str) -> str:
    model = known.model(identifier)
    return model.title if model else identifier
