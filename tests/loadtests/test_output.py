"""Files of a run: refused early, replaced whole, kept elsewhere."""

import re
import sys
import tempfile
from pathlib import Path

import pytest

from loadtests import output
from loadtests.errors import LoadTestError
from loadtests.output import check_writable, save

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def kept(message: str) -> Path:
    found = re.search(r"is in (\S+)$", message)
    assert found is not None, message
    return Path(found[1])


def test_a_place_that_can_be_written_is_let_through_and_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "run.json"
    there.write_text("before")
    check_writable(there)
    check_writable(tmp_path / "new.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert there.read_text() == "before"


def test_a_folder_and_a_missing_folder_are_named_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match="it is a folder; give another --html"):
        check_writable(tmp_path, option="--html")
    with pytest.raises(LoadTestError, match="there is no folder"):
        check_writable(tmp_path / "missing" / "run.json")


@needs_full
def test_a_full_device_is_found_before_the_run() -> None:
    with pytest.raises(LoadTestError, match="cannot write /dev/full: No space left on device"):
        check_writable(FULL)


def test_a_disk_without_room_is_found_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_LEAST_FREE_BYTES", 10**18)
    with pytest.raises(LoadTestError, match=r"only [\d,]+ bytes are free there"):
        check_writable(tmp_path / "run.json")


@pytest.mark.skipif(sys.platform == "win32", reason="has no null device of that name")
def test_the_null_device_is_a_place_to_write() -> None:
    check_writable(Path("/dev/null"))
    save(Path("/dev/null"), "text")


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("before")
    path.chmod(0o600)
    save(path, "after")
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_link_still_points_where_it_did(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("before")
    (tmp_path / "link.json").symlink_to("real.json")
    save(tmp_path / "link.json", "after")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "after"


@needs_full
def test_what_finds_no_room_at_the_end_is_kept_elsewhere_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(LoadTestError, match="cannot write /dev/full: No space left") as caught:
        save(FULL, "the record")
    assert kept(str(caught.value)).read_text() == "the record"
    assert kept(str(caught.value)).parent == tmp_path


def test_where_the_folder_went_away_the_record_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(LoadTestError, match="No such file") as caught:
        save(tmp_path / "gone" / "run.json", "the record")
    assert kept(str(caught.value)).read_text() == "the record"


@needs_full
def test_with_room_nowhere_the_loss_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    with pytest.raises(LoadTestError, match="the record is lost"):
        save(FULL, "the record")
