"""Downloads from a hub: one variant, after a question, going on where a download broke off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from tests.patience import patience
from tests.tiny import tiny_model
from velatura.models import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The answers of a hub to its client, for one repository."""

    folder: ClassVar[Path]
    sent: ClassVar[list[tuple[str, int]]] = []  # names, and where sending began
    breaks: ClassVar[str] = ""  # the file that breaks off in its middle

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/someone/tiny"):
            files = sorted(file for file in self.folder.rglob("*") if file.is_file())
            siblings = [
                {"rfilename": file.relative_to(self.folder).as_posix(), "size": file.stat().st_size}
                for file in files
            ]
            if "/tree/" in path:
                return self._json(
                    [
                        {"type": "file", "path": s["rfilename"], "size": s["size"], "oid": "0" * 40}
                        for s in siblings
                    ]
                )
            return self._json({"id": "someone/tiny", "sha": COMMIT, "siblings": siblings})
        name = path.partition(f"/someone/tiny/resolve/{COMMIT}/")[2]
        file = self.folder / name
        if not name or not file.is_file():
            self.send_error(404)
            return None
        data = file.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{name.replace("/", "-")}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.sent.append((name, start))
            broken = self.breaks == name and not start
            self.wfile.write(data[start : len(data) // 2] if broken else data[start:])
            if broken:
                self.close_connection = True
        return None

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def served(tmp_path) -> Iterator[tuple[str, Path]]:
    """The address of a hub with someone/tiny, which has two variants and pickles, and its folder."""
    folder = tiny_model(tmp_path / "served")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    for name in ("diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model.bin"):
        (folder / "unet" / name).write_bytes(weights.read_bytes())
    (folder / "whole.ckpt").write_bytes(b"x" * 1000)
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"x" * 1000)
    Hub.folder, Hub.sent, Hub.breaks = folder, [], ""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join(patience(10))


def velatura(address: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {"HF_ENDPOINT": address, "HF_HUB_CACHE": str(folder / "cache"), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "velatura", "models", "--state-dir", str(folder / "state"), *words],
        env={**os.environ, **own, "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=patience(120),
        check=False,
    )


def test_nothing_is_downloaded_without_a_yes(served, tmp_path):
    address, _ = served
    refused = velatura(address, tmp_path, "add", "tiny", "someone/tiny")
    assert refused.returncode != 0
    assert "someone/tiny was not downloaded; add --yes to download it." in refused.stderr
    assert Hub.sent == [] and not (tmp_path / "state" / "models.json").exists()


def test_one_variant_is_fetched_and_the_model_is_recognised(served, tmp_path):
    address, _ = served
    added = velatura(address, tmp_path, "add", "tiny", "someone/tiny", "--yes")
    assert added.returncode == 0, added.stderr
    assert "tiny: Stable Diffusion 1 and 2, 64 px" in added.stdout
    fetched = {name for name, _ in Hub.sent}
    assert {name for name in fetched if not name.endswith((".json", ".txt"))} == {
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }
    Hub.sent.clear()
    again = velatura("http://127.0.0.1:9", tmp_path, "add", "other", "someone/tiny")  # it is here now
    assert again.returncode == 0, again.stderr
    assert Hub.sent == []


def test_a_download_that_broke_off_goes_on(served, tmp_path):
    address, folder = served
    Hub.breaks = name = "tokenizer/notes.txt"
    (folder / name).write_bytes(bytes(range(256)) * 4 * 24 * 1024)  # the client writes pieces of 10 MiB
    added = velatura(address, tmp_path, "add", "tiny", "someone/tiny", "--yes")
    assert added.returncode == 0, added.stderr
    assert [start for sent, start in Hub.sent if sent == name] == [0, 10 * 1024 * 1024]
    (fetched,) = (tmp_path / "cache").rglob(f"snapshots/*/{name}")
    assert fetched.read_bytes() == (folder / name).read_bytes()


def test_a_download_that_lacks_a_file_is_fetched_on(served, tmp_path):
    address, folder = served
    name = "unet/diffusion_pytorch_model.safetensors"
    kept = (folder / name).read_bytes()
    Hub.breaks = name
    refused = velatura(address, tmp_path, "add", "tiny", "someone/tiny", "--yes")
    assert "could not be fetched; check name and connection" in refused.stderr
    Hub.breaks = ""
    Hub.sent.clear()
    added = velatura(address, tmp_path, "add", "tiny", "someone/tiny", "--yes")
    assert added.returncode == 0, added.stderr
    assert {sent for sent, _ in Hub.sent} == {name}
    (fetched,) = (tmp_path / "cache").rglob(f"snapshots/*/{name}")
    assert fetched.read_bytes() == kept


def test_a_hub_without_such_files(served, tmp_path):
    address, folder = served
    (folder / "model_index.json").unlink()
    refused = velatura(address, tmp_path, "add", "tiny", "someone/tiny", "--yes")
    assert "has no .safetensors files in diffusers' form" in refused.stderr
    gone = velatura(address, tmp_path, "add", "none", "someone/none", "--yes")
    assert "could not be fetched; check name and connection" in gone.stderr


def test_the_variant_of_each_part():
    names = [
        *("model_index.json", "unet/config.json", "tokenizer/vocab.json", "README.md", "v1-5.safetensors"),
        *("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors"),
        *("unet/diffusion_pytorch_model.non_ema.safetensors", "vae/diffusion_pytorch_model.safetensors"),
        *("text_encoder/model-00001-of-00002.safetensors", "text_encoder/model-00002-of-00002.safetensors"),
        *("text_encoder/model.safetensors.index.json", "safety_checker/model.fp16.safetensors"),
        "safety_checker/config.json",
    ]
    assert hub.chosen(names) == [
        *("model_index.json", "unet/config.json", "tokenizer/vocab.json"),
        *("unet/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.safetensors"),
        *("text_encoder/model-00001-of-00002.safetensors", "text_encoder/model-00002-of-00002.safetensors"),
        "text_encoder/model.safetensors.index.json",
    ]
