"""Velatura's GIMP 3 plug-in: standard library and gi only, Python 3.10.

It has no method's name and no mathematics: procedures and dialogs come from the schemas in `methods.json`.

=================  ==========================================================================================
``catalogue``      `methods.json`: the last known methods, so that GIMP's start never waits for the daemon
``form``           a schema's fields as names, labels and values of a procedure's arguments
``manual``         the page behind GIMP's help buttons
``procedures``     registering the procedures; the edge that turns every failure into a sentence
``actions``        the runs of the procedures
``rerun``          running a result's recipe again, changed in its method's own form
``evidence``       the source layer of a result, by the available evidence
``sources``        the mark that a source bears, and the source found by it
``choosing``       the question for the source layer where it is uncertain
``keeping``        a form's values, kept for every end of its dialog
``dialog``         the native dialog; it and the widgets are imported with a window only
``running``        the run of a dialog's form; the dialog stays until there is a result
``word_strip``     the words as chips, and a strip for the chosen one
``word_editor``    a widget for one setting of a word
``word_form``      the words in a dialog: kept with its values, selected on demand
``flow``           chips in lines, like words
``choice_form``    a list to choose one value from
``seed_form``      a seed, as GIMP shows seeds
``style``          the style of the plug-in's own widgets
``caption``        the buttons at the caption field
``text_undo``      undo in a text field
``history``        the earlier texts of a text field
``side``           the column beside a form: preview, progress, sentences
``conversation``   questions to the daemon while a dialog is open, one at a time
``selecting``      a question: select one word
``proposing``      a question: caption the layer
``drafting``       a question: preview the form's result while something moves
``formats``        GIMP's precisions as the wire's rasters
``sight``          the pixels that a model is shown: the layer as it looks, or the visible picture
``capture``        pixels and selection of the source layer
``planes``         an RGBA raster taken apart into opaque pixels and a layer mask, bit for bit
``session``        the connection to the daemon: start, submit, wait, fetch
``recipe``         the parasite that keeps the recipe on a result
``insert``         the result as group, layers and masks in one undo step
``masks``          found masks as channels and selection, in one undo step
``edit``           a run from beginning to end, and a run again
``telling``        a sentence after a run
=================  ==========================================================================================
"""
