"""Editing from Python: a session with the daemon, jobs, results as arrays. `import velatura` offers it."""

from velatura.client.jobs import Job, Progress
from velatura.client.results import Result, ResultLayer
from velatura.client.session import Session, connect

__all__ = ["Job", "Progress", "Result", "ResultLayer", "Session", "connect"]
