"""The form made from a schema, on Qt 6 without a screen."""

import pytest
from PyQt6 import QtCore, QtGui, QtWidgets

from tests.krita.schemas import DEFAULTS, METHOD
from velatura.methods.registry import describe, registry

pytestmark = pytest.mark.usefixtures("krita")


@pytest.fixture
def form():
    from velatura_krita.form import Form
    from velatura_krita.velatura_protocol.schema import fields_from_schema

    return Form(fields_from_schema(METHOD["parameters"]))


def field(form, name, kind=QtWidgets.QWidget):
    found = form.findChild(kind, name)
    assert found is not None, name
    return found


def test_it_starts_with_the_defaults(form):
    assert form.values() == DEFAULTS
    assert not field(form, "reset").isEnabled()


def test_every_field_bears_its_key_its_title_and_its_description(form):
    for key, schema in METHOD["parameters"]["properties"].items():
        if key == "unknown":
            assert form.findChild(QtWidgets.QWidget, key) is None
            continue
        assert field(form, key).accessibleName() == schema["title"]
        assert field(form, key).toolTip() == schema["description"]


@pytest.mark.parametrize(
    "values",
    [
        {
            "words": "twelve chars",
            "notes": "x",
            "steps": 100,
            "strength": 0.05,
            "shrink": False,
            "sampler": "heun",
        },
        {"strength": 0.37},
        {"concepts": [{"word": "beard", "weight": -0.5}, {"word": "hat", "weight": 2.0}]},
    ],
)
def test_values_come_back_as_they_were_set(form, values):
    form.set_values(values)
    assert form.values() == DEFAULTS | values


def test_a_value_that_the_schema_refuses_is_left_out(form):
    form.set_values({"steps": 5, "strength": float("nan"), "sampler": "euler", "words": "x"})
    assert form.values() == DEFAULTS | {"words": "x"}


def test_reset_takes_all_back(form):
    form.set_values({"steps": 40, "concepts": [{"word": "a", "weight": 0.0}]})
    field(form, "reset").click()
    assert form.values() == DEFAULTS


def test_slider_and_spin_box_agree(form):
    slider, spin = field(form, "strength.slider"), field(form, "strength")
    slider.setValue(slider.maximum())
    assert spin.value() == 1.0
    spin.setValue(0.3)
    assert slider.value() == 5


def test_a_slider_begins_where_its_number_is(form):
    """Also where that is the spin box's own first value, 0."""
    form.set_values({"concepts": [{"word": "a", "weight": 0.0}]})
    weight = form.basic.editors["concepts"].entries[0].rows.editors["weight"]
    assert weight.value() == 0.0 and weight.slider.value() * 2 == weight.slider.maximum()


def test_an_integer_keeps_to_its_multiples(form):
    field(form, "steps").setValue(30)
    assert form.values()["steps"] == 28
    field(form, "steps.slider").setValue(1)
    assert form.values()["steps"] == 8


def test_advanced_fields_are_folded_away(form):
    form.show()
    assert not field(form, "words").isVisible() and field(form, "steps").isVisible()
    field(form, "advanced").click()
    assert field(form, "words").isVisible()
    form.close()


def test_a_group_grows_and_shrinks_within_its_bounds(form):
    add = field(form, "concepts.add")
    add.click()
    add.click()
    assert not add.isEnabled()
    assert form.values()["concepts"] == [{"word": "hat", "weight": 1.0}] * 2
    remove = [b for b in form.findChildren(QtWidgets.QToolButton) if b.toolTip() == "Remove this entry"]
    remove[0].click()
    assert len(form.values()["concepts"]) == 1 and add.isEnabled()


def test_the_wheel_passes_by_a_field_without_focus(form, application):
    spin = field(form, "steps")
    middle = QtCore.QPointF(5, 5)
    wheel = QtGui.QWheelEvent(
        middle, middle, QtCore.QPoint(), QtCore.QPoint(0, 120), QtCore.Qt.MouseButton.NoButton,
        QtCore.Qt.KeyboardModifier.NoModifier, QtCore.Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    application.sendEvent(spin, wheel)
    assert form.values()["steps"] == 20


def test_too_long_texts_are_cut(form):
    field(form, "notes").setPlainText("n" * 99)
    field(form, "words").setText("w" * 99)
    values = form.values()
    assert len(values["notes"]) == 40 and len(values["words"]) == 12


def test_a_choice_that_is_longer_than_its_box_ends_in_dots(application):
    from velatura_krita.fields import Combo

    combo = Combo()
    combo.addItems(["Short", "With the layer's own detail, as it was before"])
    combo.resize(120, combo.sizeHint().height())
    shown = []
    for row in range(2):
        combo.setCurrentIndex(row)
        option = QtWidgets.QStyleOptionComboBox()
        combo.initStyleOption(option)
        shown.append(combo.fitting(option))
    assert shown[0] == "Short" and shown[1].startswith("With") and shown[1].endswith("…")
    assert combo.currentText() == "With the layer's own detail, as it was before"


@pytest.mark.parametrize("method", registry().values(), ids=registry().keys())
def test_no_form_is_wider_than_a_narrow_docker_and_no_two_titles_are_alike(application, method):
    from velatura_krita.form import Form
    from velatura_krita.velatura_protocol.catalogue import MethodInfo

    spec = MethodInfo.from_wire(describe(method))
    form = Form(list(spec.form))
    form.section.open(True)
    plain = [field.key for field in spec.form if field.kind == "group" and not (field.words or field.dials)]
    form.set_values({key: [{}] * 2 for key in plain})
    assert form.minimumSizeHint().width() <= 240
    for fields in (spec.form, *(field.fields for field in spec.form)):
        titles = [field.title for field in fields]
        assert len(set(titles)) == len(titles)
