"""`velatura show`: how a result was made, from the recipe in its file."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from velatura.cli import exits
from velatura.cli.methods import offered
from velatura.files.recipes import Made, read_recipes
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import state_dir
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Recipe
from velatura_protocol.schema import Field

_ROW = "  {:22} {}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a result of `velatura edit`, of any format")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each layer of the file with its recipe. Starts no daemon."""
    layers = read_recipes(options.file)
    if options.json:
        shown = [
            {"layer": number, "title": made.title, "digest": made.digest, "recipe": made.recipe}
            for number, made in enumerate(layers, 1)
        ]
        print(json.dumps({"ok": True, "exit": exits.OK, "file": str(options.file), "layers": shown}))
        return exits.OK
    known = Catalogue.from_wire(offered(state_dir(options.state_dir)))
    told = [_lines(number, made, known) for number, made in enumerate(layers, 1)]
    print("\n\n".join("\n".join(lines) for lines in told))
    print(f"\nTo run it again: velatura rerun {shlex.quote(str(options.file))}")
    return exits.OK


def _lines(number: int, made: Made, known: Catalogue) -> list[str]:
    """The lines about one layer. Settings that have the method's own value are left out."""
    try:
        recipe = Recipe.from_wire(made.recipe).of_layer()
    except VelaturaError as error:
        return [f"{number}. {made.title or made.name}", f"  {error.message}"]
    request = recipe.request
    method = next((method for method in known.methods if method.id == request.method), None)
    model = known.model(request.model) if request.model else None
    titles = {field.key: field for field in method.fields} if method else {}
    title = f"{method.title} ({method.id})" if method else request.method
    rows = [
        ("Method", f"{title}, version {request.method_version}"),
        ("Model", f"{model.title if model else request.model} ({request.model_digest})"),
        ("Prompt", request.prompt),
        ("Seed", str(request.seed)),
        *_settings(request.parameters, titles),
        *(
            (_input_title(name), _input(raster))
            for name, raster in request.inputs.items()
            if raster is not None
        ),
    ]
    head = f"{number}. {made.title or made.name}"
    return [head, *(_ROW.format(title + ":", value) for title, value in rows if value)]


def _settings(parameters: Mapping[str, object], fields: Mapping[str, Field]) -> list[tuple[str, str]]:
    """The titles and values of the settings that differ from the method's own."""
    rows: list[tuple[str, str]] = []
    for key, value in parameters.items():
        field = fields.get(key)
        if field is None:
            rows.append((key, _text(value)))
        elif value != field.default and not (value in ([], "") and not field.default):
            rows.append((field.title, dict(field.choices).get(str(value), _text(value))))
    return rows


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _input_title(name: str) -> str:
    return {"source": "Picture", "mask": "Selection"}.get(name, f"Input {name}")


def _input(raster: Raster) -> str:
    """The picture that was read, and the part of it that was sent."""
    (x, y, width, height), kind = raster.layer_rect, f"{raster.channels} {raster.dtype}"
    whole = f"{raster.layer or 'a picture without a name'}, {width} x {height}, {kind}"
    if raster.whole is None:
        return f"{whole} ({raster.digest})"
    told = f" ({raster.whole_digest})" if raster.whole_digest else ""
    x, y = raster.rect[0] - x, raster.rect[1] - y
    return f"{whole}{told}; read: {raster.width} x {raster.height} at {x}, {y} ({raster.digest})"
