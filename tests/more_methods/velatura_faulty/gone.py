"""Needs what is not there."""

import velatura_this_is_not_there  # noqa: F401
