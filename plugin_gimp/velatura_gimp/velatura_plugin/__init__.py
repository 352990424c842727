"""Velatura's GIMP 3 plug-in: standard library and gi only, Python 3.10.

It knows no method by name and no mathematics: procedures and dialogs come from the schemas in `methods.json`.

=================  ==========================================================================================
``catalogue``      `methods.json`: the methods last known, so that GIMP's start never waits for the daemon
``form``           a schema's fields as names, labels and values of a procedure's arguments
``procedures``     registering the procedures; the edge that turns every failure into a sentence
``actions``        what the procedures do when they are run
``rerun``          running a result's recipe again, changed in its method's own form
``evidence``       which layer a result was made from, by the evidence there is
``sources``        the mark that a source bears, and the source found by it
``choosing``       the question where that is not certain
``keeping``        what was typed into a form, kept however its dialog ends
``dialog``         the native dialog; it and the modules of widgets it brings are imported with a window only
``running``        a dialog's form is run, and the dialog stays until there is a result
``word_strip``     the words as chips, and a strip for the chosen one
``word_editor``    a widget for one thing that can be set for a word
``word_form``      the words in a dialog: kept with its values, selected on demand
``flow``           chips in lines, as words are
``style``          how the plug-in's own widgets look
``caption``        the buttons at a field that says what the layer shows
``text_undo``      undo in a field of text
``history``        the texts that such a field has held
``side``           the column beside a form: preview, progress, what there is to say
``conversation``   what is asked of the daemon while a dialog is open, one question at a time
``selecting``      such a question: one word to be selected
``proposing``      another: what the layer shows
``drafting``       another: what the form would give, while something in it is moved
``formats``        GIMP's precisions as the wire's rasters
``capture``        pixels and selection of the source layer
``planes``         an RGBA raster taken apart into opaque pixels and a layer mask, bit for bit
``session``        the daemon: reach it or start it, submit, wait, fetch
``recipe``         the parasite that keeps the recipe on a result
``insert``         the result as group, layers and masks in one undo step
``masks``          masks that were found, as channels and selection, in one undo step
``edit``           a run from beginning to end, and a run again
=================  ==========================================================================================
"""
