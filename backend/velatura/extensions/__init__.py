"""What packages outside ours add by entry points. One that cannot be used costs itself only.

| group | what it offers | read by |
|---|---|---|
| `velatura.methods` | a `Method` class, or a module with several | `velatura.methods.registry` |
| `velatura.generators` | a module that recognises and loads models of a kind | `velatura.generators.kinds` |
| `velatura.captioners` | what loads a captioner | `velatura.companions.blip` |
| `velatura.commands` | a command of `velatura` | `velatura.cli.commands` |
"""
