"""Run by Python as it starts: the package of methods then has a second folder."""

from pathlib import Path

from velatura import methods

methods.__path__.append(str(Path(__file__).parent.parent / "offered"))
