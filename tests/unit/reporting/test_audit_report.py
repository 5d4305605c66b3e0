"""Reports of made-up audits: what they say, what they must not show, and that nothing breaks them."""

import base64
import hashlib
import io
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import report_examples as examples
from matplotlib.image import imread
from matplotlib.text import Text

from copylens.evaluation import transforms
from copylens.reporting.audit_report import (
    Restricted,
    bands,
    charts,
    glossary,
    numbers,
    paragraphs,
    pdf,
    tables,
    write_report,
)

WORDS = ("PASS", "FAIL", "NOT ABLE TO SAY")
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """A page's tags with their attributes, its text outside scripts and styles, and its tables' cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.open, self.texts, self.tables = [], [], [], []
        self.feed(html)
        assert not self.open, f"left open: {self.open}"
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)
            if {"td", "th"} & set(self.open):
                self.tables[-1][-1][-1] += data.strip()

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture
def write(tmp_path):
    """Writes a report from arguments; returns the page's text, and the PDF's bytes."""

    def write(arguments, name="report"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        write_report(**arguments, folder=folder)
        return (folder / "report.html").read_text(encoding="utf-8"), (folder / "report.pdf").read_bytes()

    return write


@pytest.fixture
def pages(monkeypatch):
    """Instead of being written, the PDF's pages are kept here, each as its texts."""
    kept = []

    def keep(figures, path, title):
        path.write_bytes(b"")
        kept.extend([text.get_text() for text in figure.findobj(Text)] for figure in figures)

    monkeypatch.setattr(pdf, "save", keep)
    return kept


def samples_of(html):
    return json.loads(re.search(r'id="samples-data">(.*?)</script>', html, re.DOTALL)[1])


@pytest.mark.parametrize("edition", ["public", "restricted"])
def test_the_same_results_give_the_same_bytes(edition, write):
    arguments = examples.arguments(edition=edition, n=12, n_copies=7)
    assert write(arguments, "one") == write(arguments, "two")


@pytest.mark.parametrize("word", WORDS)
def test_the_verdict_its_reasons_and_what_is_needed_come_first(word, write, pages):
    arguments = examples.arguments(word)
    html, _ = write(arguments)
    text = Page(html).text
    verdict = arguments["verdict"]
    said = [f"Verdict: {word}", *verdict["reasons"], *verdict["needed"], "The policy, line by line The policy's"]
    places = [text.index(sentence) for sentence in said]
    assert places == sorted(places)
    assert html.index(f"<title>{word} ") < html.index("<body>")
    first = " ".join(pages[0])
    for sentence in (word, *verdict["reasons"], *verdict["needed"], "Signature"):
        assert sentence in first


@pytest.mark.parametrize("edition", ["public", "restricted"])
@pytest.mark.parametrize("word", WORDS)
def test_page_one_says_what_may_be_released_and_where_it_lies(word, edition, write, pages):
    arguments = examples.arguments(word, edition)
    html, _ = write(arguments)
    n_left = int((~arguments["samples"]["withheld"]).sum())
    may = word == "PASS" or arguments["verdict"]["quarantine"]["verdict"] == "PASS"
    for text in (Page(html).text, " ".join(" ".join(pages[0]).split())):
        assert (f"The {n_left} samples in the folder restricted/rest/files" in text) == may
        assert (examples.SUMS in text) == may
        assert ("this audit gives no ground to release any of the samples" in text) != may


def test_numbers_are_those_of_the_verdict(write, pages):
    arguments = examples.arguments(n=12, n_copies=11)
    html, _ = write(arguments)
    verdict, shown = arguments["verdict"], Page(html).tables
    for line, (outcome, question, value, limit, explanation) in zip(verdict["lines"], shown[0][1:], strict=True):
        told = tables.OUTCOMES[line["outcome"]], line["question"], line["explanation"]
        assert (outcome, question, explanation) == told
        scale = 100 if line["unit"] == "share" else 1
        wanted = [line[key] for key in ("value", "low", "high") if line[key] is not None]
        found = [float(text) for text in re.findall(r"[\d.]+", value)]
        assert found[: len(wanted)] == pytest.approx([scale * number for number in wanted], abs=0.06)
        assert (limit == "none") == (line["limit"] == 0)
        assert value in " ".join(pages[0])
    for row, cells in zip(verdict["detectors"], shown[3][1:], strict=True):
        assert cells[0] == row["detector"].replace("_", " ")
        assert cells[1] == ("–" if row["tau"] is None else f"{row['tau']:.4g}")
        assert cells[2].startswith(f"{numbers.share(row['called'])} (")
        alone = row["alone"]
        assert cells[6] == (numbers.interval_of(alone, "true_copies") if alone else "–")
    assert sum(row["alone"] is not None for row in verdict["detectors"]) == 3
    for row, cells in zip(verdict["sensitivity"], shown[5][1:], strict=True):
        shares = [row["rule"], *(row["alone"][name] for name in examples.DETECTORS)]
        found = [float(re.match(r"[\d.]+", cell)[0]) for cell in cells[3:]]
        assert found == pytest.approx([100 * share for share in shares], abs=0.06)


def test_weights_that_fail_alone_do_not_condemn_the_images(write, pages):
    arguments = examples.arguments("PASS")
    verdict = arguments["verdict"]
    assert paragraphs.sentence_of(verdict) == paragraphs.VERDICTS["PASS"][1]
    failed = next(line for line in examples.arguments("FAIL")["verdict"]["lines"] if line["name"] == "membership")
    html, _ = write({**arguments, "verdict": verdict | {"verdict": "FAIL", "lines": [*verdict["lines"], failed]}})
    assert "The weights break the policy" in Page(html).text and "The weights break the policy" in " ".join(pages[0])


def test_it_says_whether_weights_and_what_is_flagged_by_chance(write):
    text = Page(write(examples.arguments("PASS"))[0]).text
    assert "doesn't cover a release of the weights" in text
    assert "If none were copies, about 0 would be called so" in text
    arguments = examples.arguments("PASS")
    arguments["verdict"]["detectors"][-1]["control_rate"] = 0.04
    assert "If none were copies, about 12 would be called so" in Page(write(arguments)[0]).text


def test_every_transform_is_told_in_words():
    assert set(glossary.TRANSFORMS) == set(transforms.TRANSFORMS)


def test_rounding_never_makes_none_or_all_of_some():
    shares = (0, 0.0004, 0.0006, 0.05, 1 / 3, 0.9996, 1, None, np.nan)
    words = ("0 %", "<0.1 %", "0.1 %", "5 %", "33.3 %", ">99.9 %", "100 %", "not known", "not known")
    assert tuple(numbers.share(value).replace("\N{NO-BREAK SPACE}", " ") for value in shares) == words
    assert numbers.measured(0.93, 0.88, 0.97).split() == ["93", "%", "(88", "to", "97", "%)"]
    assert numbers.number(10000) == "10,000" and numbers.number(-1.23456) == "−1.235"


def test_a_public_report_refuses_all_that_is_said_of_single_samples(write):
    arguments = examples.arguments(n=12, n_copies=7)
    restricted = examples.arguments(edition="restricted", n=12, n_copies=7)
    for column in restricted["samples"].columns.drop(["sample", "withheld"]):
        with pytest.raises(ValueError, match=f"no {column}"):
            write({**arguments, "samples": restricted["samples"][["sample", "withheld", column]]})
    for pairs in ({}, examples.pairs([1])):
        with pytest.raises(ValueError, match="no images"):
            write({**arguments, "restricted": Restricted(pairs, None, [])})
    with pytest.raises(ValueError, match="no similarities"):
        write({**arguments, "scores": restricted["scores"]})
    with pytest.raises(ValueError, match="edition: secret"):
        write({**arguments, "edition": "secret"})
    with pytest.raises(ValueError, match="missing columns withheld"):
        write({**arguments, "samples": arguments["samples"].drop(columns="withheld")})
    with pytest.raises(ValueError, match="missing columns patient_copylens"):
        write({**restricted, "samples": restricted["samples"].drop(columns="patient_copylens")})


def test_a_public_report_counts_samples_in_few_bands(write, pages):
    arguments = examples.arguments("NOT ABLE TO SAY")
    html, _ = write(arguments)
    text = Page(html).text
    n = int(arguments["samples"]["withheld"].sum())
    for said in (f"{n} of 300 samples are withheld.", paragraphs.PUBLIC_SAMPLES):
        assert said in text and said in " ".join(" ".join(texts) for texts in pages)
    drawn = [shares for groups in arguments["scores"].values() for shares in groups.values()]
    assert {len(shares) for shares in drawn} == {len(bands.BOUNDS) + 1}
    assert all(share is None or round(100 * share, 6) % 1 == 0 for shares in drawn for share in shares)


def test_bands_are_bounded_by_calibration_images_and_hide_the_few():
    groups = {name: np.arange(1.0, 101) for name in bands.GROUPS} | {"synthetic": np.array([1.0] * 96 + [1e9] * 4)}
    shares = bands.shares_by_band(groups, np.percentile(groups["calibration"], 95))
    assert shares["calibration"] == [0.5, 0.3, 0.15, 0.05]
    assert shares["synthetic"] == [0.96, None, None, None]
    # Nothing depends on how large the largest is.
    further = groups | {"synthetic": np.array([1.0] * 96 + [2e9] * 4)}
    assert bands.shares_by_band(further, np.percentile(groups["calibration"], 95)) == shares
    assert "fewer than 5 images of synthetic, 5 % of calibration" in bands.sentence(shares)


def test_a_public_report_holds_no_image_and_asks_for_nothing(write):
    html, bytes_of_pdf = write(examples.arguments(n=12, n_copies=7))
    page = Page(html)
    assert not page.count("img") and not page.count("image") and not page.count("link") and "data:" not in html
    assert b"/Subtype /Image" not in bytes_of_pdf
    assert "RESTRICTED" not in html and not page.count("script") and "script-src" not in html
    assert "samples-table" not in html.split("</style>")[1]
    assert not page.values("src") and all(target.startswith("#") for target in page.values("href"))
    assert not re.search(r"@import|url\((?!#)", html)


def test_a_restricted_report_says_so_everywhere_and_shows_pairs(write, pages):
    html, _ = write(examples.arguments(edition="restricted", n=70, n_copies=66))
    page = Page(html)
    assert page.text.count(paragraphs.RESTRICTED) == page.count("section")
    assert all(paragraphs.RESTRICTED in texts for texts in pages)
    assert page.count("img") == 3 * 60 and "60 are shown; there are 6 more." in page.text
    assert "there are 6 more" in " ".join(text for texts in pages for text in texts)
    assert all(address.startswith("data:image/png;base64,") for address in page.values("src"))


def test_pairs_are_the_images_they_were(write):
    arguments = examples.arguments(edition="restricted", n=3, n_copies=3)
    html, _ = write(arguments)
    alt, address = next((attributes["alt"], attributes["src"]) for tag, attributes in Page(html).tags if tag == "img")
    number = int(re.match(r"Sample (\d+): synthetic", alt)[1])
    shown = imread(io.BytesIO(base64.b64decode(address.partition(",")[2])))[..., 0]
    np.testing.assert_allclose(shown, arguments["restricted"].pairs[number][0], atol=2 / 255)


@pytest.mark.parametrize("shape", [(32, 32), (4, 6, 8)])
def test_samples_of_another_kind_are_shown_as_they_lie_and_as_they_fit(shape, write, pages):
    arguments = examples.of_another_kind(shape)
    page = Page(write(arguments)[0])
    assert [alt for alt in page.values("alt") if "Sample" not in alt] == list(paragraphs.LYING)
    in_print = " ".join(" ".join(texts) for texts in pages)
    headings = "Orientation of the samples", "Held-out patients like training patients"
    for words in (*headings, "patient_00231", "patient_00011"):
        assert words in page.text and words in in_print
    kept = replace(arguments["restricted"], lying=None, alike=[])
    text = Page(write({**arguments, "restricted": kept})[0]).text
    assert "Orientation of the samples" not in text and "Held-out patients like" not in text


def test_rarer_thresholds_and_repeated_samples_are_told(write):
    arguments = examples.arguments("PASS")
    verdict = arguments["verdict"]
    verdict["exposure"]["rate"], verdict["counts"]["different_synthetic_images"] = 0.001, 20
    text = Page(write(arguments)[0]).text
    assert "which 0.1 % of new patients' images pass" in text
    assert "at the usual thresholds, rightly or by chance" in text
    assert "20 of them differ" in text
    verdict["exposure"]["rate"], verdict["counts"]["different_synthetic_images"] = None, 300
    text = Page(write(arguments)[0]).text
    assert "rarer thresholds, which" not in text and "of them differ" not in text


def test_what_the_policy_asks_is_told_of_every_line(write):
    verdict = examples.arguments("FAIL")["verdict"]
    cells = dict(zip((line["name"] for line in verdict["lines"]), tables.lines_table(verdict).rows, strict=True))
    plain = {name: (row[2].replace("\u00a0", " "), row[3].replace("\u00a0", " ")) for name, row in cells.items()}
    assert plain["identical_files"] == ("0 of 300 samples", "none")
    assert plain["kind"] == ("0 % (0 to 1.2 %) misoriented", "at most 50 % in every audit")
    assert plain["apart"] == ("0 of 420 held-out images", "none")
    assert plain["held_out"][0].endswith(" of samples") and plain["held_out"][1].startswith("at most ")
    assert plain["agreement"] == ("3 of 3 detectors", "none")


def test_volumes_are_shown_by_their_middle_slices(write):
    volume = np.random.default_rng(0).random((4, 6, 8))
    sheet = charts.flat(volume)
    assert sheet.shape == (6, 8 + 8 + 6 + 2)
    np.testing.assert_array_equal(sheet[:, :8], volume[2])
    np.testing.assert_array_equal(sheet[1:5, 9:17], volume[:, 3])
    np.testing.assert_array_equal(sheet[1:5, 18:], volume[:, :, 4])
    html, _ = write(examples.arguments(edition="restricted", n=4, n_copies=4, shape=(4, 6, 8)))
    assert Page(html).count("img") == 12


def test_hostile_names_stay_text(write, pages):
    arguments = examples.arguments(edition="restricted", n=12, n_copies=12)
    attack = "</script><script>alert(3)</script><b>"
    arguments["verdict"]["reasons"] = [attack]
    arguments["verdict"]["groups"][0]["value"] = attack
    arguments["verdict"]["provenance"]["config"]["name"] = attack
    arguments["samples"]["patient_copylens"] = attack
    html, _ = write(arguments)
    page = Page(html)
    assert page.count("script") == 2 and not page.values("onerror") and page.text.count(attack) == 2 + 12 + 1
    columns, rows = samples_of(html).values()
    at = [column["name"] for column in columns].index("File")
    assert [row[at] for row in rows] == 2 * [numbers.plain(name) for name in examples.HOSTILE]
    assert numbers.plain(examples.HOSTILE[3]) == r"line\nbreak\t\u202etxt.png"
    assert not any("\n" in text for texts in pages for text in texts)


@pytest.mark.parametrize("edition", ["public", "restricted"])
def test_nothing_known_and_nothing_flagged(edition, write, recwarn):
    arguments = examples.arguments("NOT ABLE TO SAY", edition, 12, 0)
    verdict = examples.without_numbers(arguments["verdict"])
    samples = arguments["samples"].copy()
    restricted = edition == "restricted"
    for name in examples.DETECTORS if restricted else []:
        samples[f"similarity_{name}"], samples[f"patient_{name}"] = np.nan, np.nan
    group = np.full(3, np.nan) if restricted else [None] * 4
    nothing = {name: dict.fromkeys(examples.GROUPS, group) for name in examples.DETECTORS}
    html, _ = write({**arguments, "verdict": verdict, "samples": samples, "scores": nothing})
    page = Page(html)
    assert "not known" in page.text and not re.search(r"\b(nan|None)\b", re.sub(r"None( of \d|\.)", "", page.text))
    assert not page.count("img")
    if restricted:
        assert samples_of(html)["rows"][0][-3:] == [None, "no", None]

    for key in ("sensitivity", "groups", "limits", "reasons", "needed"):
        verdict[key] = []
    verdict["exposure"]["curve"], verdict["quarantine"], verdict["membership"] = [], None, None
    html, _ = write({**arguments, "verdict": verdict, "samples": samples, "scores": {}})
    assert "No quarantine is needed" in html and "was not tested" in html
    assert not [warning.message for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_ten_thousand_samples(write, pages):
    html, _ = write(examples.arguments(edition="restricted", n=10_000, n_copies=3_000))
    data = samples_of(html)
    assert len(data["rows"]) == 10_000 and sum(row[1] == "copy" for row in data["rows"]) == 3_000
    assert len(html) < 3e6
    words = " ".join(itertools.chain(*pages))
    assert "3,000 of 10,000 samples are flagged." in words and "The first 100 are listed" in words


def test_a_page_is_well_made(write):
    html, _ = write(examples.arguments(edition="restricted", n=12, n_copies=7))
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for names in page.values("aria-labelledby") + page.values("for") + [a[1:] for a in page.values("href")]:
        assert set(names.split()) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
