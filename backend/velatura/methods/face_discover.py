"""Find sliders: what a generator's pictures differ in, found without being asked, as sliders with names.

Abdal et al. 2022, CLIP2StyleGAN; see `velatura.stylespace.discovery`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import facing, fields, shelving
from .base import Compared, Context, Inputs, Legend, Method, MethodInputs, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from velatura.generators.styles import StyleGenerator
    from velatura.shelf import Dial
    from velatura.stylespace.discovery import Found, Samples

LOOKING = Stage("Looking at many faces", 0.6)
MOST = 16
PSI = 1.0
"""Truncation of the faces; below 1, rare things are rarer still."""


class FaceDiscoverParameters(facing.FaceParameters):
    count: int = fields.whole(8, 2, MOST, "Sliders", "How many sliders to find, the most striking first.")
    amount: float = fields.slider(
        1.0, -3.0, 3.0, 0.25, "Shown at", "How far each slider is turned in the picture that shows them."
    )
    keep: bool = Field(
        True, title="Keep them", description="Keeps the sliders for this model, to be used on any face."
    )
    words: str = Field(
        "",
        max_length=2000,
        title="Words",
        description="The words that may name a slider, separated by commas; empty: words about faces. A name "
        "is a guess.",
        json_schema_extra={**fields.ADVANCED, "x-multiline": True},
    )
    apart: bool = Field(
        True,
        title="One thing each",
        description="Each slider changes one thing. Off: each changes everything that varies together.",
        json_schema_extra=fields.ADVANCED,
    )
    faces: int = fields.whole(
        512,
        64,
        8192,
        "Faces",
        "How many faces of the model are looked at, once for each model.",
        advanced=True,
    )


class FaceDiscover(facing.OnFaces, Method):
    id = "face-discover"
    version = 1
    title = "Find sliders"
    summary = (
        "Looks at many faces that the model can make, finds what they differ in, and makes sliders of it."
    )
    source = "Abdal et al. 2022, CLIP2StyleGAN, arXiv:2112.05219"
    inputs = Inputs(source="required", mask="optional", prompt="none")
    needs: ClassVar = "clip"
    reads_prompt: ClassVar = "clip"
    drafts = False
    max_variations = 1
    place = 60
    Parameters = FaceDiscoverParameters

    def check(self, prompt: str, params: FaceDiscoverParameters) -> None:
        """Raises `bad-request` for a list with fewer words than sliders."""
        from velatura.stylespace.words import listed

        if params.words.strip() and len(listed(params.words)) < params.count:
            raise VelaturaError(
                "bad-request",
                f"Write at least {params.count} words to name {params.count} sliders, or none of your own.",
            )

    def compared_with(self, params: FaceDiscoverParameters) -> Compared:
        """See `Method`: a sheet is no edit of the layer."""
        return "nothing"

    def legend(self, context: Context) -> Legend | None:
        """See `Method`."""
        return Legend(
            "Sliders",
            "Each face shows one slider, and the names are guesses: go by the faces. “Sliders of a face”"
            " has the kept ones.",
        )

    def run(self, inputs: MethodInputs, params: FaceDiscoverParameters, context: Context) -> Tensor:
        import torch

        from velatura.stylespace.applying import applied
        from velatura.stylespace.sheets import sheet

        words = _words(params, context)
        if params.keep:
            context.shelf.check_room(self.title)
        found = _found(params, context, words)
        face = facing.face(inputs, params, context)
        dials = [_dial(one, face.model, params) for one in found]
        pictures = [face.unedited]
        for i, dial in enumerate(dials):
            made = face.model.synthesise(applied(face.model, face.ws, [(dial, params.amount)])).pictures
            pictures.append(made)
            context.step(i + 1, len(dials))
        titles = [dial.title for dial in dials]
        if params.keep:
            titles = [shelving.keep(context, dial, guessed=True) for dial in dials]
        return sheet(torch.cat(pictures).clamp(-1.0, 1.0), ["as it is", *titles], inputs.image, inputs.mask)


def _words(params: FaceDiscoverParameters, context: Context) -> tuple[str, ...]:
    """The words that can name sliders. Raises `bad-request` for too few."""
    from velatura.stylespace.words import FACES, known, listed

    tokenizer = context.clip.tokenizer
    words = known(lambda text: len(tokenizer(text).input_ids), listed(params.words) or FACES)
    if len(words) < params.count:
        raise VelaturaError(
            "bad-request",
            f"The model that reads words knows {len(words)} of these only; ask for fewer sliders, or write"
            " other words.",
        )
    return words


def _found(params: FaceDiscoverParameters, context: Context, words: Sequence[str]) -> list[Found]:
    """The directions of the model, made once a model. Raises `bad-request` where there are none."""
    import torch

    from velatura.cache.keys import key_of
    from velatura.stylespace import discovery

    model, clip = cast("StyleGenerator", context.generator), context.clip
    batches = -(-params.faces // discovery.BATCH)

    def look(begun: list[Tensor]) -> Samples:
        return discovery.looked_at(
            model, clip, params.faces, PSI, begun, lambda i, n: context.step(i, n, stage=LOOKING)
        )

    with torch.inference_mode(False), torch.no_grad():
        vectors = discovery.word_vectors(clip, words)
        key = key_of(model, discovery="samples", faces=params.faces, psi=PSI, clip=vectors[0])
        samples = context.kept(key, look, on_disk=True)
        context.step(batches, batches, stage=LOOKING)
        found = discovery.discovered(samples, words, vectors, params.count, apart=params.apart)
    if not found:
        raise VelaturaError(
            "bad-request",
            "The faces of this model hardly differ; look at more of them, or choose another model.",
        )
    return found


def _dial(found: Found, model: StyleGenerator, params: FaceDiscoverParameters) -> Dial:
    from velatura.shelf import Dial

    recipe = {
        "method": FaceDiscover.id,
        "word": found.word,
        "likeness": round(found.likeness, 3),
        "share": round(found.share, 4),
        "faces": params.faces,
    }
    ws = found.step.expand(model.num_ws, -1).contiguous()
    return Dial("", found.word, model.digest, "vector", {"ws": ws}, recipe)
