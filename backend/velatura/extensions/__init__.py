"""Additions of other packages, by entry points. One that cannot be used does not disturb the others.

| group | it offers | read by |
|---|---|---|
| `velatura.methods` | a `Method` class, or a module with several | `velatura.methods.registry` |
| `velatura.generators` | a module that recognises and loads models of a kind | `velatura.generators.kinds` |
| `velatura.captioners` | a loader of a captioner | `velatura.companions.captioners` |
| `velatura.commands` | a command of `velatura` | `velatura.cli.commands` |
"""
