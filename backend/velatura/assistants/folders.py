"""The folders in which an assistant may read and write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from velatura_protocol.errors import VelaturaError


class Folders:
    """Folders that the person has named. A link that leads out of them is outside.

    Relative paths lie in the first folder.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises `bad-request` for no folder, and for one that is not there."""
        if not folders:
            raise VelaturaError("bad-request", "Name a folder for the assistant with --folder DIR.")
        for folder in folders:
            if not folder.is_dir():
                raise VelaturaError("bad-request", f"There is no folder {folder}; name one that is there.")
        self._folders = [folder.resolve() for folder in folders]

    def __str__(self) -> str:
        return ", ".join(map(str, self._folders))

    def reading(self, text: str) -> Path:
        """The file to read. Raises `bad-request` for one that is outside or not there."""
        path = self._inside(text)
        if not path.is_file():
            raise VelaturaError("bad-request", f"There is no file {text} in {self}; give the path of one.")
        return path

    def writing(self, text: str) -> Path:
        """The file to write. Raises `bad-request` for one that is outside, in no folder, or there already."""
        path = self._inside(text)
        if path.exists():
            raise VelaturaError("bad-request", f"{text} is there already; give the result another name.")
        if not path.parent.is_dir():
            raise VelaturaError(
                "bad-request", f"There is no folder {path.parent}; write into one that is there."
            )
        return path

    def _inside(self, text: str) -> Path:
        try:
            path = (self._folders[0] / text).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            sentence = f"{text!r:.200} is no path; give the path of a file in {self}."
            raise VelaturaError("bad-request", sentence) from error
        if not any(path.is_relative_to(folder) and path != folder for folder in self._folders):
            sentence = f"{text:.200} is outside of the folders that may be used: {self}."
            raise VelaturaError("bad-request", sentence)
        return path
