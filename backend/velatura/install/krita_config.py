"""Changes one switch in Krita's kritarc and leaves every other byte.

    [python]
    enable_velatura_krita=true

Pure functions of the file's bytes. Krita may rewrite the file between install and uninstall, so `disable`
resets this one switch and does not restore a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUP = b"[python]"
KEY = b"enable_velatura_krita"


@dataclass(frozen=True)
class Undo:
    """The file before `enable`.

    line: the switch's line, None where there was none. group: whether the group existed. ended: whether the
    last line had a line ending.
    """

    line: str | None
    group: bool
    ended: bool = True


def is_enabled(content: bytes) -> bool:
    """Return whether the switch is on."""
    lines = content.splitlines(keepends=True)
    at = _find(lines)
    return at is not None and _value(lines[at]).lower() in ("true", "1", "yes", "on")


def enable(content: bytes) -> tuple[bytes, Undo]:
    """Return the file with the switch on, and the record that `disable` needs."""
    lines = content.splitlines(keepends=True)
    end = b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"
    ended = not lines or _ending(lines[-1]) != b""
    at = _find(lines)
    if at is not None:
        undo = Undo(lines[at].rstrip(b"\r\n").decode("utf-8", "surrogateescape"), True)
        if not is_enabled(content):
            lines[at] = KEY + b"=true" + _ending(lines[at])
        return b"".join(lines), undo
    group = _group(lines)
    if group is None:
        if lines and not _ending(lines[-1]):
            lines[-1] += end
        lines += [end] if lines else []
        lines += [GROUP + end, KEY + b"=true" + end]
    else:
        if not _ending(lines[group]):
            lines[group] += end
        lines.insert(group + 1, KEY + b"=true" + end)
    return b"".join(lines), Undo(None, group is not None, ended)


def disable(content: bytes, undo: Undo) -> bytes:
    """Return the file with the switch as it was before `enable`."""
    lines = content.splitlines(keepends=True)
    at = _find(lines)
    if at is None:
        return content
    if undo.line is not None:
        lines[at] = undo.line.encode("utf-8", "surrogateescape") + _ending(lines[at])
        return b"".join(lines)
    del lines[at]
    group = _group(lines)
    if not undo.group and group is not None and not _body(lines, group):
        del lines[group]
        if 0 < group == len(lines) and not lines[group - 1].strip():
            del lines[group - 1]  # the empty line that `enable` put before the group
    if lines and not undo.ended:
        lines[-1] = lines[-1].rstrip(b"\r\n")
    return b"".join(lines)


def _group(lines: list[bytes]) -> int | None:
    return next((i for i, line in enumerate(lines) if line.strip() == GROUP), None)


def _body(lines: list[bytes], group: int) -> list[bytes]:
    """Return the group's lines without the empty ones."""
    body: list[bytes] = []
    for line in lines[group + 1 :]:
        if line.lstrip().startswith(b"["):
            break
        if line.strip():
            body.append(line)
    return body


def _find(lines: list[bytes]) -> int | None:
    """Return the line of the switch: the last one, as KConfig reads it."""
    last, inside = None, False
    for i, line in enumerate(lines):
        text = line.strip()
        if text.startswith(b"["):
            inside = text == GROUP
        elif inside and text.partition(b"=")[0].strip() == KEY:
            last = i
    return last


def _value(line: bytes) -> str:
    return line.strip().partition(b"=")[2].strip().decode("utf-8", "replace")


def _ending(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]
