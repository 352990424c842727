"""The colours of repainted parts: which are wanted, and what is missing for them."""

import pytest
import torch

from tests.tiny_styles import tiny_model
from velatura.stylespace import colours, editgan


def portrait():
    """A picture of three parts, 32 x 32, and its labels: 0 is blue, 1 is brown, 2 has two colours."""
    y = torch.zeros(1, 32, 32, dtype=torch.int64)
    y[:, 8:24, 4:14] = 1
    y[:, 8:24, 18:28] = 2
    table = torch.tensor([[-0.8, -0.8, 0.8], [0.2, -0.2, -0.6], [0.9, 0.9, 0.9]])
    picture = table[y].movedim(-1, 1).clone()
    picture[:, :, 8:16, 18:28] = -0.9
    return picture, y


def grown(y, part, rows=slice(24, 30), columns=slice(2, 30)):
    y_edited = y.clone()
    y_edited[:, rows, columns] = part
    return y_edited


def test_a_part_gets_the_colour_that_it_has_in_the_layer():
    picture, y = portrait()
    found = colours.wanted(picture, y, grown(y, 1), None)
    changed = torch.zeros(32, 32, dtype=torch.bool)
    changed[24:30, 2:30] = True
    assert torch.equal(found.known[0, 0] > 0, changed)
    assert torch.allclose(found.wanted[0, :, changed].mean(1), torch.tensor([0.2, -0.2, -0.6]))
    assert (found.wanted[0, :, ~changed] == 0).all()


def test_a_part_of_many_colours_gets_none():
    picture, y = portrait()
    assert not colours.wanted(picture, y, grown(y, 2), None).known.any()


def test_a_part_that_the_layer_lacks_or_has_little_of_gets_none():
    picture, y = portrait()
    assert not colours.wanted(picture, y, grown(y, 5), None).known.any()
    y[y == 1] = 0
    y[:, 8:12, 4:8] = 1
    assert not colours.wanted(picture, y, grown(y, 1), None).known.any()


def test_paint_goes_before_all_other_colours_and_needs_no_new_part():
    picture, y = portrait()
    paint = torch.zeros(1, 4, 32, 32)
    paint[:, 0], paint[:, 3, 20:27, 4:14] = 0.7, 1.0
    found = colours.wanted(picture, y, grown(y, 1), paint)
    assert torch.allclose(found.wanted[0, :, 22, 8], torch.tensor([0.7, 0.0, 0.0]))
    assert torch.allclose(found.wanted[0, :, 26, 8], torch.tensor([0.7, 0.0, 0.0]))
    assert torch.allclose(found.wanted[0, :, 28, 8], torch.tensor([0.2, -0.2, -0.6]))
    assert found.tolerance[0, 0, 22, 8] == pytest.approx(colours.PAINTED)


def test_added_missing_colours_bring_the_means_within_the_tolerance_and_keep_detail():
    torch.manual_seed(0)
    picture, y = portrait()
    y_edited = grown(y, 1)
    found = colours.wanted(picture, y, y_edited, None)
    made = torch.rand(1, 3, 32, 32) * 0.4
    lacking = colours.missing(made, found)
    inside = (y_edited != y)[0]
    assert (lacking[0, :, ~inside] == 0).all()
    assert colours.loss(made + lacking, found) < 0.02 * colours.loss(made, found)
    detail = made - torch.nn.functional.avg_pool2d(made, 3, 1, 1)
    after = made + lacking
    kept = after - torch.nn.functional.avg_pool2d(after, 3, 1, 1)
    core = (0, slice(None), slice(26, 28), slice(8, 24))
    assert torch.corrcoef(torch.stack([detail[core].flatten(), kept[core].flatten()]))[0, 1] > 0.98


def test_colours_within_the_tolerance_are_right():
    picture, y = portrait()
    found = colours.wanted(picture, y, grown(y, 1), None)
    near = torch.tensor([0.2, -0.2, -0.6])[None, :, None, None].expand(1, 3, 32, 32) + 0.02
    assert colours.missing(near, found).abs().max() == 0.0


def test_an_edit_seeks_the_wanted_colours():
    """On a tiny generator: the fit with colours comes nearer to them than the fit without."""
    model = tiny_model()
    ws = model.wplus(model.sample([1])).clone()
    y = editgan.labels(model, ws)
    y_edited = y.clone()
    y_edited[:, 4:20, 4:20] = (y.mode().values.flatten()[0] + 1) % len(model.parts)
    paint = torch.ones(1, 4, model.size, model.size)
    paint[:, 1:3] = -1.0
    with torch.no_grad():
        source = model.synthesise(model.styles(ws)).pictures
    found = colours.wanted(source, y, y_edited, paint)
    reached = []
    for asked in (None, found):
        settings = editgan.Settings(steps=12)
        delta = editgan.edit_vector(model, ws, y, y_edited, settings, [], lambda i, x: None, None, asked)
        with torch.no_grad():
            made = model.synthesise(model.styles(ws + delta)).pictures
            reached.append(float(colours.loss(made, found)))
    assert reached[1] < 0.9 * reached[0]
