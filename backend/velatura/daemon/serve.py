"""`velatura serve`: one daemon for a state directory, with its log."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path
from threading import Thread

import filelock

from velatura.daemon import ballast
from velatura.daemon.broker.broker import Broker, stop_on_signals
from velatura.daemon.broker.handles import raise_limit
from velatura.daemon.lock import held
from velatura.daemon.settings import load_settings
from velatura.daemon.watchdog import Watchdog, end_at_once
from velatura.models import finding
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import check_folder
from velatura_protocol.paths import state_dir as find_state_dir

log = logging.getLogger(__name__)

LOG_BYTES, LOG_FILES = 1_000_000, 3
CLOSE_S = 25.0  # for an end in good order; `velatura stop` waits longer


def main(state_dir: str | Path | None = None, device: str = "") -> int:
    """Runs a daemon until it is stopped.

    Returns the exit status: 1 with a sentence on stderr if it cannot run.

    device: "auto", "cpu", "cuda:0" ...; empty for that of settings.toml, else "auto".
    """
    os.umask(0o077)  # only the user may read prompts and pictures
    folder = find_state_dir(state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder, folder.stat())
        raise_limit()
        ballast.let_go(folder)
        with held(folder):
            _log_to(folder / "daemon.log")
            return _serve(folder, device)
    except VelaturaError as error:
        return _refuse(error.message)
    except filelock.Timeout:
        return _refuse(f"A daemon already runs for {folder}; stop it with `velatura stop` to start another.")
    except OSError as error:
        return _refuse(f"The daemon cannot use its directory {folder}: {error}.")


def _serve(folder: Path, device: str) -> int:
    broker, watchdog = None, Watchdog(CLOSE_S)
    try:
        settings = load_settings(folder, device)
        broker = Broker(folder, settings)
        if settings.find_models:
            Thread(target=_find_models, args=(folder,), name="models", daemon=True).start()
        stop_on_signals(broker, watchdog)
        broker.run()
    except VelaturaError as error:
        log.error("%s: %s %s", error.code, error.message, error.detail)
        return _refuse(error.message)
    except Exception:
        log.exception("the daemon ends")
        return _refuse(f"The daemon failed; {folder / 'daemon.log'} says why.")
    finally:
        watchdog.wake()
        if broker is not None and not broker.close():
            end_at_once("a part of the daemon does not end")
        log.info("the daemon has stopped")
        watchdog.rest()
    return 0


def _find_models(folder: Path) -> None:
    """Looks for the models of other programs; clients see the new list at their next look at it."""
    try:
        seen = finding.refresh(folder)
        log.info("%d models of other programs can edit", sum(not one.note for one in seen))
    except Exception:  # files of other programs must not end the daemon
        log.exception("the search for models of other programs failed")


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
