"""Makes the reference pages: guides, a page for every method, the Python reference, decisions.

`python -m docs.generate --out FOLDER` from the top level; `velatura docs` runs it. No method and no module is
named here: methods come from the registry, modules from the packages' folders, texts from the repository.
"""
