"""What every reader of files does with damaged files, links, odd names and tables: it works, or one error says why."""

import re

import numpy as np
import pytest
from reader_examples import EXAMPLES, STEMS, listing, pictures

from copylens.config.kinds import kinds
from copylens.data.listing import list_scans
from copylens.jobs.files import read_table

# medmnist has one file for all images, so there is nothing for a table to name.
OF_FILES = sorted(set(EXAMPLES) - {"medmnist"})


@pytest.fixture(params=EXAMPLES)
def reader(request) -> str:
    return request.param


def save(raw, reader, images=None, first=STEMS[0]):
    """Write a reader's example, its first file of another name; the path of its first file with pixels."""
    example = EXAMPLES[reader]
    example.save(raw, [first, *STEMS[1:]], pictures(example.axes) if images is None else images)
    return min(raw.glob(example.pattern))


def rows_of(raw, settings):
    list_scans(settings, raw.parent / "scans.tsv")
    return read_table(raw.parent / "scans.tsv")


def error_of(raw, settings) -> str:
    """What listing says is wrong, in one line and leaving no table."""
    with pytest.raises(ValueError) as error:
        list_scans(settings, raw.parent / "out" / "scans.tsv")
    assert "\n" not in str(error.value)
    assert not (raw.parent / "out").exists() or not list((raw.parent / "out").iterdir())
    return str(error.value)


def name(path) -> str:
    """What an error calls it: the file, or the folder of a series."""
    return path.name if path.suffix != ".dcm" else path.parent.name


def test_every_reader_of_files_has_an_example():
    assert set(EXAMPLES) == set(kinds("readers")) - {"phantom"}


def test_four_images_of_four_patients(raw, reader):
    save(raw, reader)
    table = rows_of(raw, listing(reader))
    assert list(table.columns) == ["scan", "patient", "shape", "checksum"]
    assert table["patient"].nunique() == table["checksum"].nunique() == len(table) == 4
    assert set(table["shape"]) == {"10x12" if EXAMPLES[reader].axes == 2 else table["shape"][0]}


@pytest.mark.parametrize("share", [0, 0.5, 0.8])
def test_a_file_that_is_cut_short_is_named(raw, reader, share):
    path = save(raw, reader)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert re.search(rf"{re.escape(path.name)}: .*(damaged|whole)", error_of(raw, listing(reader)))


def test_something_else_under_the_right_name_is_named(raw, reader):
    path = save(raw, reader)
    path.write_text("<html>404 not found</html>")
    assert path.name in error_of(raw, listing(reader))


def test_an_image_of_one_value_is_named(raw, reader):
    images = pictures(EXAMPLES[reader].axes)
    images[0] = 7
    path = save(raw, reader, images)
    assert name(path) in (message := error_of(raw, listing(reader))) and "same value, 7" in message


def test_a_link_out_of_the_folder_is_refused_unless_it_is_allowed(raw, reader):
    path = save(raw, reader)
    path.rename(raw.parent / "elsewhere")
    path.symlink_to(raw.parent / "elsewhere")
    message = error_of(raw, listing(reader))
    assert f"{path.name}: leads out of the folder" in message and "outside_links: true" in message
    assert len(rows_of(raw, listing(reader, outside_links=True))) == 4


def test_a_link_within_the_folder_is_followed(raw, reader):
    path = save(raw, reader)
    path.rename(raw / ".hidden")
    path.symlink_to(raw / ".hidden")
    assert len(rows_of(raw, listing(reader))) == 4


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - {"mrnet", "medmnist"}))
def test_a_file_that_links_list_twice_is_named(raw, kind):
    """A folder that contains itself would list every file forty times."""
    save(raw, kind)
    (raw / "loop").symlink_to(raw)
    pattern = {"pattern": "**/*.*"} if "pattern" in listing(kind) else {}
    assert re.match(r"loop/.*: a link to .*already", error_of(raw, listing(kind, **pattern)))


def test_a_link_that_leads_nowhere_is_named(raw, reader):
    path = save(raw, reader)
    path.unlink()
    path.symlink_to(raw / "nothing")
    assert f"{path.name}: a link that leads nowhere" in error_of(raw, listing(reader))


def test_an_empty_folder_and_none_are_said(raw, reader):
    assert "no file in" in error_of(raw, listing(reader))
    raw.rmdir()
    assert "set COPYLENS_DATA" in error_of(raw, listing(reader))


@pytest.mark.parametrize("first", ["=1+1", "a\nb", "<script>alert(1)<", "-rf *", "p 'q\"", "ümlaut"])
def test_any_file_name_is_read_and_none_is_written(raw, reader, first):
    save(raw, reader, first=first)
    settings = {"file": f"{first}.npz"} if reader == "medmnist" else {}
    assert len(rows_of(raw, listing(reader, **settings))) == 4
    assert first not in (raw.parent / "scans.tsv").read_text()


@pytest.mark.parametrize("kind", ["npy_folder", "mrnet", "medmnist"])
def test_pickled_objects_are_never_loaded(raw, kind):
    path = save(raw, kind)
    objects = np.array([{"a": 1}], dtype=object)
    if kind == "medmnist":
        np.savez(path, train_images=objects)
    else:
        np.save(path, objects)
    assert f"{path.name}: holds pickled objects" in error_of(raw, listing(kind))


def test_a_reader_without_columns_says_so(raw, reader):
    save(raw, reader)
    assert "about: " in (message := error_of(raw, listing(reader, about=["site"])))
    assert "site" in message or "table" in message


def source_of(path, raw) -> str:
    """What a table calls a file, or a series."""
    return str((path.parent if path.suffix == ".dcm" else path).relative_to(raw))


def with_table(raw, reader, lines, **changes):
    """Settings of an example with a table of `lines`, in which {0} and {1} are its first and its last source."""
    save(raw, reader)
    sources = sorted({source_of(path, raw) for path in raw.glob(EXAMPLES[reader].pattern)})
    (raw / "patients.csv").write_text("".join(f"{line}\n" for line in lines).format(sources[0], sources[-1]))
    changes = changes | ({"patient": None} if "patient" in EXAMPLES[reader].settings else {})
    return listing(reader, table="patients.csv", **changes)


@pytest.mark.parametrize("kind", OF_FILES)
def test_a_table_says_which_files_are_used_and_whose_they_are(raw, kind):
    lines = ["path,patient,split,site", "{1},007,control,Bern", "./{0},007,unused,Basel"]
    table = rows_of(raw, with_table(raw, kind, lines, about=["site"]))
    assert list(table.columns) == ["scan", "patient", "shape", "checksum", "split", "about_site"]
    # In the reader's order, not the table's.
    assert list(table["split"]) == ["unused", "control"] and list(table["about_site"]) == ["Basel", "Bern"]
    assert table["patient"].nunique() == 1


def test_only_patients_whose_images_all_have_the_value_are_kept(raw):
    lines = ["path,patient,site", "{0},007,Bern", "{1},008,Basel"]
    settings = with_table(raw, "image_folder", lines, about=["site"], only={"site": "Bern"})
    assert list(rows_of(raw, settings)["about_site"]) == ["Bern"]
    mixed = with_table(raw, "image_folder", [*lines[:2], "{1},007,Basel"], about=["site"], only={"site": "Bern"})
    assert error_of(raw, mixed) == "only: no patient all of whose images have site 'Bern'; values are Basel, Bern"


@pytest.mark.parametrize("kind", OF_FILES)
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path;patient", "{0};1"], "patients.csv: needs the columns path and patient; it has path;patient"),
        (["path,person", "{0},1"], "patients.csv: needs the columns path and patient"),
        (["path,patient"], "patients.csv: has no rows"),
        ([], "patients.csv: can't be read as a table"),
        (["path,patient", "{0},1", "{0},1"], "twice"),
        (["path,patient", "{0},"], "no patient"),
        (["path,patient", "{0}"], "no patient"),
        (["path,patient", "nothing.png,1"], "names nothing.png, but there is no such file"),
        (["path,patient", "../scan.png,1"], "../scan.png: leads out of the folder"),
        (["path,patient", "/etc/hostname,1"], "/etc/hostname: leads out of the folder"),
        (["path,patient", "patients.csv,1"], "names patients.csv, which"),
        (["path,patient,split", "{0},1,test"], "the split 'test'; it must be one of train, calibration, control, un"),
        (["path,patient,split", "{0},1,"], "the split ''"),
    ],
)
def test_a_wrong_table_is_one_error(raw, kind, lines, message):
    assert message in error_of(raw, with_table(raw, kind, lines))


@pytest.mark.parametrize("column", ["sex", "patient", "path"])
def test_only_columns_that_name_nobody_are_shown(raw, column):
    settings = with_table(raw, "image_folder", ["path,patient,site", "{0},1,Bern"], about=[column])
    assert error_of(raw, settings) == f"about: no column '{column}' in patients.csv that may be shown; there are site"


def test_a_table_that_is_not_there_is_named(raw):
    save(raw, "image_folder")
    settings = listing("image_folder", table="none.csv", patient=None)
    assert error_of(raw, settings).startswith("table: no file none.csv in ")
