"""The Velatura protocol between a plugin or the command line and the daemon.

Standard library only, Python 3.10, relative imports: the installer copies this folder into the plugins.
``protocol/SPEC.md`` describes the wire and is normative.

====================  ====================================================================================
``errors``            `VelaturaError`, the one exception, and its stable codes
``messages``          frames to message objects and back; digests; canonical JSON
``reading``           JSON values with their types
``kinds``             tables of the kinds of results and rasters
``rasters``           the pixels of a request
``requests``          the request, which is the recipe: the only module that reads and builds it
``catalogue``         the daemon's methods and models
``inputs``            the rasters that a method takes
``choices``           the person's choice of a layer or the selection for each raster
``results``           the layers or texts of a result
``candidates``        the variations of a run as they finish
``strip``             the strip of a run: the chosen candidate, and those that are kept, dropped, starred
``history``           the results of a document, within a budget; ``history_entries`` one of them and its line
``prompt_history``    earlier prompts, and words for the one that is being typed
``schema``            a method's parameters: fields of a form, defaults, bounds
``words``             the words of a prompt, and a group's entries about them
``word_settings``     the settings of a prompt's words while it is typed, and their chips
``marks``             marks on words of a prompt; ``following`` moves them along with every edit
``amounts``           numbers as a person reads and moves them
``dials``             a group of dials: titles, adding, moving, the words that may become one
``drafts``            when to ask for a draft while something moves; the seed and pixels of drafts
``presets``           dials under a name, kept and shared in files
``paths``             the state directory, the connection file, the plugin's `velatura.json`
``endpoints``         the daemon's sockets, the peer behind them, the proofs of both sides
``zmtp``, ``parser``  a ZeroMQ DEALER over a plain socket, Unix or TCP
``session``           one connection: hello, pings, answers matched to requests
``transfers``         blobs up and down: credit, resume, verification
``upkeep``            one connection after the other: back-off, watching again, events
``client``            `Client`, for plugins and the command line
``launch``            starting the daemon
====================  ====================================================================================

Errors. There is one class, since errors cross the wire; a caller decides by the code::

    VelaturaError
    ├── start or restart the daemon   not-running, unavailable
    ├── update or reinstall a part    protocol-version, wrong-token, unknown-message, bad-message
    ├── try again later (retryable)   busy, timeout, disk-full, out-of-memory, no-session
    ├── change the picture            bad-layer, too-large, unsupported-colour, empty-layer, empty-mask,
    │                                 mask-outside
    ├── change the request            bad-request, empty-prompt, prompt-too-long, unknown-method,
    │                                 unknown-model
    ├── learn the fate of a job       unknown-job, job-conflict, worker-lost, cancelled
    ├── send the bytes again          unknown-blob, blob-corrupt
    └── report a fault of ours        internal
"""
