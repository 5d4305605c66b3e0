"""Which files a data set was listed from, in every format; what asks for it each time imports next to nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from reader_examples import EXAMPLES, STEMS, listing, pictures

from copylens.data import source_files
from copylens.data.listing import find_scans, list_scans
from copylens.jobs.checksums import digest


@pytest.mark.parametrize("reader", EXAMPLES)
def test_every_readers_files_are_recorded_and_looked_at(reader, raw):
    example, settings = EXAMPLES[reader], listing(reader)
    example.save(raw, STEMS, pictures(example.axes))
    table = raw.parent / "out" / "scans.tsv"
    assert source_files.state(settings, table) == ""
    list_scans(settings, table, "told")
    files = source_files.read(source_files.record_of(table))["files"]
    written = {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}
    # Labels that nobody asked for aren't read.
    assert set(files) == {path for path in written if not (reader == "mrnet" and path.endswith(".csv"))}
    assert source_files.state(settings, table) == "told", "the same files"
    for path in sorted(files):
        before = (raw / path).read_bytes()
        (raw / path).write_bytes(before + b"\n")
        assert source_files.state(settings, table) not in ("", "told"), path
        (raw / path).write_bytes(before)
        assert source_files.state(settings, table) == "told"


def test_a_table_says_which_files_are_of_the_data_set(raw):
    example, settings = EXAMPLES["image_folder"], listing("image_folder") | {"table": "patients.csv"}
    example.save(raw, STEMS, pictures(example.axes))
    names = sorted(scan.source for scan in find_scans(listing("image_folder"))[1])
    rows = [f"{name},{number}" for number, name in enumerate(names[:3])]
    (raw / "patients.csv").write_text("\n".join(["path,patient", *rows]))
    table = raw.parent / "out" / "scans.tsv"
    list_scans(settings, table)
    assert set(source_files.read(source_files.record_of(table))["files"]) == {"patients.csv", *names[:3]}
    (raw / names[3]).unlink()
    assert source_files.state(settings, table) == "", "nobody's"
    (raw / "patients.csv").write_text("\n".join(["path,patient", *rows[:2]]))
    assert source_files.state(settings, table) != ""


def test_a_digest_is_what_sha256sum_gives(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("a.png", "b/a.png", "B.png"):
        (tmp_path / name).write_text(name)
    files = source_files.take({"root": str(tmp_path)}, ["**/*.png"], [], "")["files"]
    command = "find . -name '*.png' -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert digest(files) == printed.split()[0]


def test_dates_alone_change_nothing_and_are_kept(tmp_path):
    settings, table = {"root": str(tmp_path / "raw")}, tmp_path / "scans.tsv"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.png").write_text("a")
    source_files.write(source_files.take(settings, ["*.png"], [], "told"), source_files.record_of(table))
    before = source_files.read(source_files.record_of(table))
    (tmp_path / "raw" / "a.png").write_text("a")
    assert source_files.state(settings, table) == "told"
    after = source_files.read(source_files.record_of(table))
    assert before["files"]["a.png"][:3] != after["files"]["a.png"][:3]
    assert not source_files.differing(before["files"], after["files"])


def test_what_each_run_asks_imports_no_numeric_library():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "src")!r})
import copylens.data.source_files
print([name for name in ("numpy", "pandas", "PIL", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_record_that_is_missing_is_named(tmp_path):
    missing = Path("results/data/made/restricted/files.json")
    with pytest.raises(ValueError, match=f"{missing}: isn't there"):
        source_files.freeze({"synthetic": missing}, tmp_path / "files.json")
