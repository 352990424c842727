"""The daemon: a broker that clients speak to, and the worker process that it keeps. DESIGN.md says why."""
