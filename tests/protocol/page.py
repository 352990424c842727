"""A prompt with settings of its words, edited as a person does it in a host."""

from __future__ import annotations

from velatura_protocol.schema import Field
from velatura_protocol.word_settings import WordSettings
from velatura_protocol.words import find

TEXT = Field("text", "string", "Word", "", "", max_length=40)
WHICH = Field("which", "integer", "Which", "", 1, minimum=1, maximum=1000)
WEIGHT = Field("weight", "number", "Weight", "", 1.0, minimum=-2.0, maximum=100.0)
UNTIL = Field("until", "number", "Until", "", 1.0, minimum=0.0, maximum=1.0)
GROUP = Field(
    "words", "group", "Words", "", [], fields=(TEXT, WHICH, WEIGHT, UNTIL), max_items=3, words="prompt"
)
LIST = Field("words", "group", "Words", "", [], fields=(TEXT, WHICH), max_items=64, words="prompt")


class Page:
    """A prompt with a cursor, as a host's editor has it: every edit is one that the settings follow.

    Each of `weighed`, such as "cat" or "cat:2" (the second one), is set to `weight`.
    """

    def __init__(self, prompt, *weighed, field=GROUP, weight=2.0):
        self.settings = WordSettings(field, prompt)
        self.cursor = len(prompt)
        self.steps = []
        for word in weighed:
            text, _, which = word.partition(":")
            assert self.settings.set(find(prompt, text, int(which or 1)), {"weight": weight})

    def put(self, start, end, text):
        """Replace what is between `start` and `end`, in one edit."""
        old = self.settings.prompt
        self.steps.append((old, end))
        self.cursor = start + len(text)
        self.settings.follow(old[:start] + text + old[end:], self.cursor)
        return self

    def at(self, text):
        self.cursor = self.settings.prompt.index(text)
        return self

    def after(self, text):
        self.cursor = self.settings.prompt.index(text) + len(text)
        return self

    def type(self, text):
        for letter in text:
            self.put(self.cursor, self.cursor, letter)
        return self

    def paste(self, text):
        return self.put(self.cursor, self.cursor, text)

    def backspace(self, count):
        for _ in range(count):
            self.put(self.cursor - 1, self.cursor, "")
        return self

    def delete(self, text):
        """Select it and press Delete."""
        start = self.settings.prompt.index(text)
        return self.put(start, start + len(text), "")

    def type_over(self, old, new):
        """Select it and type: the first letter replaces, the others follow."""
        start = self.settings.prompt.index(old)
        return self.put(start, start + len(old), new[0]).type(new[1:])

    def paste_over(self, old, new):
        start = self.settings.prompt.index(old)
        return self.put(start, start + len(old), new)

    def undo(self):
        old, end = self.steps.pop()
        self.cursor = end
        self.settings.follow(old, end)
        return self

    @property
    def set(self):
        """What is set, as "beard ×2"."""
        return [f"{chip.word.text}{f'({chip.word.which})' if chip.word.which > 1 else ''} {chip.suffix}"
                for chip in self.settings.chips() if chip.is_set]  # fmt: skip
