"""The Velatura protocol: what a plugin, the command line and the daemon say to each other.

Standard library only, Python 3.10, relative imports: the installer copies this folder into the plugins. The
wire is described by ``protocol/SPEC.md``, which is normative.

====================  ====================================================================================
``errors``            `VelaturaError`, the one exception, and its stable codes
``messages``          frames to message objects and back; digests; canonical JSON
``reading``           JSON values with their types
``rasters``           the pixels a request names
``requests``          the request, which is the recipe: read, checked and built here alone
``catalogue``         what the daemon offers: methods and models
``schema``            a method's parameters: fields of a form, defaults, bounds
``words``             the words of a prompt, and a group's entries about them
``word_settings``     what is set for words of a prompt while it is typed, and their chips
``marks``             marks on words of a prompt, which ``following`` moves along with every edit
``amounts``           numbers as a person reads and moves them
``dials``             a group of dials: titles, adding, moving, the words that may become one
``drafts``            when a draft is asked for while something is moved, and what drafts share
``presets``           dials under a name, kept and shared in files
``paths``             the state directory, the connection file, the file `velatura install` leaves in a plugin
``endpoints``         where a socket of the daemon is, who answers there, the proofs of both sides
``zmtp``, ``parser``  a ZeroMQ DEALER over a plain socket, Unix or TCP
``session``           one connection: hello, pings, answers matched to requests
``transfers``         blobs up and down: credit, resume, verification
``upkeep``            one connection after the other: back-off, watching again, events
``client``            `Client`: what plugins and the command line use
``launch``            starting the daemon
====================  ====================================================================================

Errors. There is one class, since errors cross the wire; a caller decides by code, and the decisions are::

    VelaturaError
    ├── start or restart the daemon   not-running, unavailable
    ├── update or reinstall a part    protocol-version, wrong-token, unknown-message, bad-message
    ├── try again later (retryable)   busy, timeout, disk-full, out-of-memory, no-session
    ├── change the picture            bad-layer, too-large, unsupported-colour, empty-layer, empty-mask,
    │                                 mask-outside
    ├── change the request            bad-request, empty-prompt, prompt-too-long, unknown-method,
    │                                 unknown-model
    ├── know what became of a job     unknown-job, job-conflict, worker-lost, cancelled
    ├── send the bytes again          unknown-blob, blob-corrupt
    └── report a fault of ours        internal
"""
