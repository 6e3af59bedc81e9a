"""What a worker is: a process on some machine of the cluster that keeps its evaluator and answers batches.

Only the standard library is imported here, for this file travels by itself; all else that a worker needs follows.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any


class Worker:
    """Runs in the process of a Ray actor. `code` is an archive of packages to import first, or empty; `factory`, as
    pickled by Ray for the journey, builds the evaluator.
    """

    def __init__(self, code: bytes, factory: bytes) -> None:
        self._missing: dict[str, str] = {}
        try:
            if code:
                sys.path.insert(0, str(unpacked(code)))
            self._evaluate = pickle.loads(factory)()  # Ray's own message, from the process that called the search
        except Exception as error:
            kind = "refused" if type(error).__name__ == "UserError" else "broken"
            self._missing = {kind: str(error) if kind == "refused" else traceback.format_exc()}

    def missing(self) -> dict[str, str]:
        """Why there is no evaluator: `refused` when the user can mend it, `broken` with the traceback otherwise."""
        return self._missing

    def rows(self, texts: list[str]) -> list[dict[str, Any]]:
        """One for each architecture, given as JSON.

        When the batch fails, each architecture is tried alone, so that an error fills only the row it belongs to.
        """
        from search_space import Architecture

        start = time.perf_counter()
        try:
            rows = list(self._evaluate([Architecture.from_json(text) for text in texts]))
            if len(rows) != len(texts):
                raise ValueError(f"the evaluator returned {len(rows)} rows for {len(texts)} architectures")
        except Exception as error:
            if len(texts) > 1:
                return [row for text in texts for row in self.rows([text])]
            rows = [{"error": f"{type(error).__name__}: {error}"}]
        seconds = (time.perf_counter() - start) / len(texts)
        return [{**row, "seconds": seconds} for row in rows]


def unpacked(code: bytes) -> Path:
    """A folder, of this user alone, that holds the archive's files; the same one for the same archive."""
    home = Path(tempfile.gettempdir()) / f"snugnet-code-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    status = home.lstat()
    if home.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{home} must be a folder of the worker's user alone")
    folder = home / hashlib.sha256(code).hexdigest()
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=home) as there, zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(Path(there) / "code")
            try:
                (Path(there) / "code").rename(folder)
            except OSError:
                if not folder.exists():  # else another worker was first
                    raise
    return folder
