"""`velatura models teach` on a tiny generator whose pictures have two labelled sides."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny_styles import tiny_styles
from velatura.cli.main import main
from velatura.models import catalogue
from velatura.models.families import style_files
from velatura.models.families.style_generator import Styled
from velatura.shelf import Dial, Shelf
from velatura.shelf.listing import FOLDER
from velatura.stylespace import editgan, teaching

LEGEND = "202020 left\n#F0E020 right  side\n"
COLOURS = np.array([[0x20, 0x20, 0x20], [0xF0, 0xE0, 0x20]], np.uint8)


@pytest.fixture
def state(tmp_path):
    """A state directory with the generator "faces", whose folder is `tmp_path / "faces"`."""
    tiny_styles(tmp_path / "faces")
    catalogue.add(tmp_path / "state", "faces", str(tmp_path / "faces"))
    return tmp_path / "state"


def loaded(folder):
    return Styled("faces", "x", style_files.read(folder), torch.device("cpu"))


def test_a_generator_is_the_default_of_its_own_kind_only(state, capsys):
    assert main(["models", "--state-dir", str(state), "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line[0] != " "}
    assert lines["faces"].endswith("   (default of its kind)")
    assert lines["velatura-mini"].endswith("   (default)")
    assert "default" not in lines["velatura-face"]


def sides(pictures):
    """Two parts whose place is known to the features of any generator: the left and the right half."""
    n, _, height, width = pictures.shape
    return (torch.arange(width) >= width // 2).long().expand(n, height, width)


def labelled(folder, model, count):
    """Writes pictures of the generator with their parts."""
    folder.mkdir()
    (folder / "parts.txt").write_text(LEGEND)
    for seed in range(count):
        picture = model.decode(model.wplus(model.sample([seed])))
        rgb = ((picture[0].movedim(0, -1) + 1.0) * 127.5).round().byte().numpy()
        Image.fromarray(rgb).save(folder / f"p{seed}.png")
        Image.fromarray(COLOURS[sides(picture)[0].numpy()]).save(folder / f"p{seed}-parts.png")
    return folder


def teach(state, pictures, *words):
    return main(["models", "--state-dir", str(state), "teach", "faces", str(pictures), *words])


def test_a_generator_learns_parts_from_a_few_labelled_pictures(state, tmp_path, capsys):
    folder = tmp_path / "faces"
    pictures = labelled(tmp_path / "pictures", loaded(folder), 5)
    before = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    (entry,) = (e for e in catalogue.entries(state) if e.id == "faces")
    from velatura.cli.teaching import _digest

    ws = torch.ones(loaded(folder).num_ws, loaded(folder).w_dim)
    Shelf(state / FOLDER).keep(Dial("", "Older", _digest(entry), "vector", {"ws": ws}))
    assert teach(state, pictures, "--steps", "60", "--refine", "5", "--device", "cpu") == 0
    told = capsys.readouterr().out
    assert "faces knows 2 parts now. Its 1 sliders stay." in told
    assert "right side: " in told and "%" in told

    model = loaded(folder)
    assert model.parts == ("left", "right side")
    codes = model.wplus(model.sample(range(100, 108)))
    found = editgan.labels(model, codes)
    assert (found == sides(model.decode(codes))).float().mean() > 0.8
    changed = [name for name in before if (folder / name).read_bytes() != before[name]]
    assert changed == ["segmentation.safetensors"]
    (dial,) = Shelf(state / FOLDER).entries(_digest(entry))
    assert dial.title == "Older"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "parts.txt").unlink(), "is missing; write a line for each part"),
        (
            lambda f: (f / "parts.txt").write_text("red face\n00FF00 hair"),
            "line 1: write a colour and a name",
        ),
        (lambda f: (f / "parts.txt").write_text(LEGEND + "202020 grey"), "a part or a colour twice"),
        (lambda f: (f / "parts.txt").write_text("202020 left"), "names 1 parts; name 2 to 36"),
        (lambda f: (f / "parts.txt").write_text("00FFFF a\n00FF00 b"), "has hardly any of the colours"),
        (lambda f: [p.unlink() for p in f.glob("*-parts.png")], "has no labelled pictures"),
        (lambda f: Image.new("RGB", (32, 20)).save(f / "p0.png"), "squares of the same size"),
    ],
)
def test_what_cannot_be_learned_is_refused_and_changes_nothing(spoil, sentence, state, tmp_path, capsys):
    pictures = labelled(tmp_path / "pictures", loaded(tmp_path / "faces"), 1)
    before = (tmp_path / "faces" / "config.json").read_bytes()
    spoil(pictures)
    assert teach(state, pictures) != 0
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "faces" / "config.json").read_bytes() == before


def test_only_a_generator_of_ones_own_is_taught(state, tmp_path, capsys):
    assert main(["models", "--state-dir", str(state), "teach", "velatura-mini", str(tmp_path)]) != 0
    assert "There is no style-based generator 'velatura-mini'" in capsys.readouterr().err


def test_balanced_weights_are_their_formula():
    labels = torch.tensor([[[0, 0, 0, 1], [0, 0, 0, -1]]])
    shares = torch.tensor([6 / 7, 1 / 7])
    raw = shares**-0.5
    expected = raw / (raw * shares).sum()
    assert torch.allclose(teaching.balance([labels], 2), expected)
    assert torch.isclose((teaching.balance([labels], 2) * shares).sum(), torch.tensor(1.0))


def test_unlabelled_pixels_count_for_nothing():
    branch = torch.nn.Module()
    branch.forward = lambda features, picture: picture
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]]])
    one = teaching.Lesson([], logits, torch.tensor([[[0, -1]]]))
    first, second = teaching.agreement(branch, [one], 2)
    assert first == 1.0 and second != second  # NaN: it is nowhere
