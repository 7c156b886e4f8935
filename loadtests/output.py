"""Files that a run leaves: checked before it begins, kept whatever happens."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from loadtests.errors import LoadTestError

__all__ = ["check_writable", "save"]

_LEAST_FREE_BYTES = 16 * 1024 * 1024


def check_writable(path: Path, *, option: str = "--output") -> None:
    """Find out before the run, not after it; what is there already stays until then.

    It does not promise that there will be room: see `save`.

    Raises:
        LoadTestError: nothing can be written there; it says why.
    """
    if reason := _why_not(path):
        raise LoadTestError(f"cannot write {path}: {reason}; give another {option}")


def save(path: Path, text: str, *, what: str = "record") -> None:
    """Write a file in one step, or, if that fails, one in another place.

    Raises:
        LoadTestError: it could not be written here; it says where it is instead.
    """
    try:
        _replace(path, text)
    except OSError as error:
        kept = _keep_elsewhere(path, text)
        where = f"the {what} is in {kept}" if kept else f"and nowhere else: the {what} is lost"
        raise LoadTestError(f"cannot write {path}: {error.strerror}; {where}") from None


def _why_not(path: Path) -> str:
    folder = path.parent
    if path.is_dir():
        return "it is a folder"
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return "permission denied"
    return _no_room_on_device(path) if path.exists() and not path.is_file() else _no_room(folder)


def _no_room(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return str(error.strerror)
    if free >= _LEAST_FREE_BYTES:
        return ""
    return f"only {free:,} bytes are free there, and {_LEAST_FREE_BYTES:,} may be needed"


def _no_room_on_device(path: Path) -> str:
    if not stat.S_ISCHR(path.stat().st_mode):
        return ""
    try:
        with path.open("wb", buffering=0) as device:
            # To a terminal an empty line would show.
            if not device.isatty():
                device.write(b"\n")
    except OSError as error:
        return str(error.strerror)
    return ""


def _replace(path: Path, text: str) -> None:
    if (path.exists() and not path.is_file()) or not os.access(path.resolve().parent, os.W_OK):
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    # Beside it: a file that is there is only ever replaced by a whole one.
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        if target.exists():
            partial.chmod(stat.S_IMODE(target.stat().st_mode))
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _keep_elsewhere(path: Path, text: str) -> Path | None:
    for find in (tempfile.gettempdir, Path.home, Path.cwd):
        try:
            number, name = tempfile.mkstemp(prefix="flock-load-", suffix=path.suffix, dir=find())
        except (OSError, RuntimeError):  # RuntimeError: nobody's home is known
            continue
        try:
            with os.fdopen(number, "w", encoding="utf-8") as kept:
                kept.write(text)
        except OSError:
            Path(name).unlink(missing_ok=True)
            continue
        return Path(name)
    return None
