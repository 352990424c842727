"""Velatura's GIMP 3 plug-in: standard library and gi only, Python 3.10.

It knows no method by name and no mathematics: procedures and dialogs come from the schemas in `methods.json`.

==============  =============================================================================================
``catalogue``   `methods.json`: the methods last known, so that GIMP's start never waits for the daemon
``form``        a schema's fields as names, labels and values of a procedure's arguments
``procedures``  registering the procedures; the edge that turns every failure into a sentence
``actions``     what the procedures do when they are run
``dialog``      the native dialog (the only module that imports GimpUi)
``formats``     GIMP's precisions as the wire's rasters
``capture``     pixels and selection of the source layer
``planes``      an RGBA raster taken apart into opaque pixels and a layer mask, bit for bit
``session``     the daemon: reach it or start it, submit, wait, fetch
``recipe``      the request, which is the recipe, and the parasite that keeps it
``insert``      the result as group, layers and masks in one undo step
``edit``        a run from beginning to end, and a run again
==============  =============================================================================================
"""
