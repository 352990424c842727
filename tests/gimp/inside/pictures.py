"""Pictures, pixels and procedures for the scripts that run inside GIMP."""

from gi.repository import Gegl, Gimp

FEATHER = 5.0


def picture(
    precision="U8_NON_LINEAR", gray=False, alpha=True, size=(64, 48), layer_size=None, offsets=(0, 0)
):
    """An image with one layer of all sorts of colours; returns both."""
    size = (64, 48)
    base = Gimp.ImageBaseType.GRAY if gray else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(*size, base, getattr(Gimp.Precision, precision))
    kind = ("GRAY" if gray else "RGB") + ("A" if alpha else "") + "_IMAGE"
    width, height = layer_size or size
    layer = Gimp.Layer.new(
        image, "source", width, height, getattr(Gimp.ImageType, kind), 100.0, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(layer, None, 0)
    layer.set_offsets(*offsets)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes((x * 4 % 256, y * 5 % 256, (x * y) % 256, 255))
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), "R'G'B'A u8", bytes(pixels))
    buffer.flush()
    layer.update(0, 0, width, height)
    return image, layer


def select(image, x, y, width, height, soft=True):
    """Selects an ellipse, soft by feathering."""
    Gimp.context_push()
    Gimp.context_set_feather(soft)
    Gimp.context_set_feather_radius(FEATHER, FEATHER)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, x, y, width, height)
    Gimp.context_pop()


def pixels(drawable, babl_format=None, rect=None):
    """A drawable's bytes, in its own format where none is named."""
    x, y, width, height = rect or (0, 0, drawable.get_width(), drawable.get_height())
    area = Gegl.Rectangle.new(x, y, width, height)
    return drawable.get_buffer().get(area, 1.0, babl_format, Gegl.AbyssPolicy.NONE)


def call(name, image, layer, **values):
    """Runs a procedure; returns its status' name, its group (or channel) and its error message."""
    result = returned(name, image, layer, **values)
    status = result.index(0)
    group = result.index(1) if status == Gimp.PDBStatusType.SUCCESS else None
    error = "" if status == Gimp.PDBStatusType.SUCCESS else Gimp.get_pdb().get_last_error()
    return status.value_nick, group, error


def returned(name, image, layer, **values):
    """Runs a procedure; returns its return values."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer] if layer else [])
    for key, value in values.items():
        config.set_property(key.replace("_", "-"), value)
    return procedure.run(config)


def recipe(layer):
    """A result layer's recipe as text."""
    return bytes(layer.get_parasite("velatura").get_data()).decode("ascii")


def fill(drawable, babl_format, pixel, rect=None):
    """Fills a drawable, or a part of it, with one pixel's bytes."""
    x, y, width, height = rect or (0, 0, drawable.get_width(), drawable.get_height())
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(x, y, width, height), babl_format, pixel * (width * height))
    buffer.flush()
    drawable.update(x, y, width, height)
