"""`snugnet` and `python -m snugnet`: run a command, and turn the user's mistakes into one line and status 2."""

from __future__ import annotations

import errno
import sys
from itertools import pairwise
from typing import Any

import typer

from search_space.errors import UserError
from snugnet.cli import app
from snugnet.progress import Interrupted

UsageError: Any = typer.BadParameter.__mro__[1]
"""A wrong option or argument. typer carries its own click, so its base class has no public name."""

WRITABLE, ROOM = "this command has to write there", "make room; what was complete before is kept"
FILE = "name a file in a folder"

OF_THE_SYSTEM = {
    errno.EACCES: WRITABLE,
    errno.EPERM: WRITABLE,
    errno.EROFS: WRITABLE,
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EEXIST: FILE,
    errno.EISDIR: FILE,
    errno.ENOTDIR: FILE,
}
"""What a user can mend outside of snugnet, and how."""


def main() -> None:
    """Status 0 for success, 2 for a mistake of the user's, 1 with a traceback for anything else."""
    try:
        sys.exit(app(args=sys.argv[1:] or ["--help"], standalone_mode=False))
    except UserError as error:
        _refuse(str(error))
    except UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "snugnet"
        options = getattr(getattr(error, "param", None), "opts", ())
        given = "".join(f", given {value!r}" for option, value in pairwise(sys.argv) if option in options)
        _refuse(f"{error.format_message().rstrip('.')}{given}; see {command} --help")
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or "alloc_cpu" in str(error) or "out of memory" in str(error)):
            raise
        _refuse(f"this needs more memory than there is ({error}); make the largest architecture or the batch smaller")
    except OSError as error:
        if error.errno not in OF_THE_SYSTEM:
            raise
        _refuse(f"{error.filename2 or error.filename or 'a file'}: {error.strerror}; {OF_THE_SYSTEM[error.errno]}")
    except Interrupted as interruption:
        print(f"snugnet: {interruption}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        print("snugnet: interrupted", file=sys.stderr)
        sys.exit(1)


def _refuse(message: str) -> None:
    print(f"snugnet: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
