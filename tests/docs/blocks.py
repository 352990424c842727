"""The code in a text: its blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

FENCED = re.compile(r"^( *)```(\w*).*?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n|^[ \t]*\n(?=    ))+", re.MULTILINE)
ENDS = {"|", "||", "&&", ";", "&"}


@dataclass(frozen=True)
class Block:
    """Code as it stands in a text. language: as its fence says, '' of none."""

    language: str
    code: str


def blocks(text: str) -> list[Block]:
    """Return the code blocks of a text, the fenced ones first."""
    fenced = [Block(found[2], found[3]) for found in FENCED.finditer(text)]
    rest = FENCED.sub("", text)
    return fenced + [Block("", found[0]) for found in INDENTED.finditer(rest)]


def commands(text: str, program: str) -> list[list[str]]:
    """Return the words after a program's name, of each line of a shell that begins with it."""
    found = []
    for block in blocks(text):
        if block.language in ("", "sh", "console"):
            lines = block.code.replace("\\\n", " ").splitlines()
            found += [
                words(line.strip(), program) for line in lines if line.strip().startswith(program + " ")
            ]
    return found


def words(line: str, program: str) -> list[str]:
    """Return the words after the program's name, up to a pipe or the like."""
    lexer = shlex.shlex(line.removeprefix(program), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    given = []
    for word in lexer:
        if word in ENDS:
            break
        given.append(word)
    return given
