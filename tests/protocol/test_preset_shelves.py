"""What the menus of presets do beside a form: dials, and whole settings."""

from dataclasses import replace

import pytest

from velatura_protocol.errors import VelaturaError
from velatura_protocol.preset_shelves import DialShelf, SettingsShelf, Shelf
from velatura_protocol.settings_presets import KEPT

from .test_dials import FIELD, entry
from .test_settings_presets import KNOWN, MINE


class Form:
    """A form: its settings and its dials."""

    def __init__(self, folder):
        self.settings, self.dials = MINE, [entry(more="hat")]
        self.of_dials: Shelf = DialShelf(folder, FIELD, lambda: self.dials, self.put_dials)
        self.whole: Shelf = SettingsShelf(folder, lambda: KNOWN, lambda: self.settings, self.put)

    def put_dials(self, dials):
        self.dials = dials

    def put(self, settings):
        self.settings = settings
        return ""


@pytest.fixture
def form(tmp_path):
    return Form(tmp_path)


def test_a_name_is_proposed_until_there_is_a_last_one(form):
    assert form.of_dials.proposed == "+ hat"
    assert form.whole.proposed == "a hat"
    form.settings = replace(MINE, prompt="")
    assert form.whole.proposed == "Compose"
    form.whole.save("Mine")
    form.of_dials.save("Hats")
    assert (form.whole.proposed, form.of_dials.proposed) == ("Mine", "Hats")
    form.dials = [entry()]
    assert not form.of_dials.can_save


@pytest.mark.parametrize("which", ["whole", "of_dials"])
def test_a_form_is_saved_changed_loaded_shared_and_deleted(form, which, tmp_path):
    shelf = getattr(form, which)
    before = form.settings.prompt, form.dials
    assert shelf.save("Mine") == shelf.kind.kept.format("Mine")
    assert shelf.export_to(tmp_path / "Other.json") == shelf.kind.exported.format("Other.json")
    form.settings, form.dials = replace(MINE, prompt="snow"), []
    assert shelf.load("Mine") == ""
    changed = {"whole": ("a hat", []), "of_dials": ("snow", before[1])}
    assert (form.settings.prompt, form.dials) == changed[which]
    assert shelf.add_from(tmp_path / "Other.json") == shelf.kind.kept.format("Other")
    assert shelf.names() == ["Mine", "Other"]
    assert shelf.delete("Mine") == shelf.kind.deleted.format("Mine")
    with pytest.raises(VelaturaError):
        shelf.load("Mine")


def test_what_a_preset_lost_is_said_with_what_was_done(form, tmp_path):
    form.settings = replace(MINE, model="gone")
    form.whole.export_to(tmp_path / "Mine.json")
    kept = KEPT.format("Mine")
    assert form.whole.add_from(tmp_path / "Mine.json") == f"{kept} Its model is not here; choose one."
    assert form.settings.model == ""
