"""What a person is told when they go back to a result whose origin has changed since it was made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes since a result was made.

    Attributes:
        is_moved: the result lies elsewhere, with the same pixels.
        is_painted: it was painted on or erased.
        source: the name of the layer that it was made from; '' if that is gone.
        is_source_painted: that layer has other pixels.
        is_method_newer: the method has a newer version, which may give another picture.
        lacks_model: the model is not there any more.
    """

    is_moved: bool = False
    is_painted: bool = False
    source: str = ""
    is_source_painted: bool = False
    is_method_newer: bool = False
    lacks_model: bool = False

    @property
    def sentences(self) -> list[str]:
        """A sentence for each change; [] where a run would give the same picture again."""
        said = (
            (self.is_moved, "The result was moved since: the selection is where it lies now."),
            (
                self.is_painted,
                "The result was painted on or erased since: its present shape is selected.",
            ),
            (self.is_source_painted, f"'{self.source}' was changed since: Run takes it as it is now."),
            (
                self.is_method_newer,
                "The method is newer than the result, which may look different now.",
            ),
            (self.lacks_model, "Its model is not there any more: another one is chosen."),
        )
        return [sentence for holds, sentence in said if holds]
