"""Reports of made-up audits: what they say, what they must not show, and that nothing breaks them."""

import base64
import hashlib
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import report_examples as examples
from matplotlib.image import imread
from matplotlib.text import Text

from copylens import transforms
from copylens.reports import content, figures, pdf, write_report

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
        paths = {kind: tmp_path / f"{name}.{kind}" for kind in ("html", "pdf")}
        write_report(**arguments, html_path=paths["html"], pdf_path=paths["pdf"])
        return paths["html"].read_text(encoding="utf-8"), paths["pdf"].read_bytes()

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
    said = [f"Verdict: {word}", *verdict["reasons"], *verdict["needed"], "The policy, line by line What the policy"]
    places = [text.index(sentence) for sentence in said]
    assert places == sorted(places)
    assert html.index(f"<title>{word} ") < html.index("<body>")
    first = " ".join(pages[0])
    for sentence in (word, *verdict["reasons"], *verdict["needed"], "Signature"):
        assert sentence in first


def test_numbers_are_those_of_the_verdict(write, pages):
    arguments = examples.arguments(n=12, n_copies=11)
    html, _ = write(arguments)
    verdict, tables = arguments["verdict"], Page(html).tables
    for line, (outcome, question, value, limit, explanation) in zip(verdict["lines"], tables[0][1:], strict=True):
        told = content.OUTCOMES[line["outcome"]], line["question"], line["explanation"]
        assert (outcome, question, explanation) == told
        scale = 100 if line["unit"] == "share" else 1
        wanted = [line[key] for key in ("value", "low", "high") if line[key] is not None]
        found = [float(text) for text in re.findall(r"[\d.]+", value)]
        assert found[: len(wanted)] == pytest.approx([scale * number for number in wanted], abs=0.06)
        assert (limit == "none") == (line["limit"] == 0)
        assert value in " ".join(pages[0])
    for row, cells in zip(verdict["detectors"], tables[2][1:], strict=True):
        assert cells[0] == row["detector"].replace("_", " ")
        assert cells[1] == ("–" if row["tau"] is None else f"{row['tau']:.4g}")
        assert cells[2].startswith(f"{content.share(row['called'])} (")
    for row, cells in zip(verdict["sensitivity"], tables[3][1:], strict=True):
        shares = [row["rule"], *(row["alone"][name] for name in examples.DETECTORS)]
        found = [float(re.match(r"[\d.]+", cell)[0]) for cell in cells[3:]]
        assert found == pytest.approx([100 * share for share in shares], abs=0.06)


def test_weights_that_fail_alone_do_not_condemn_the_images(write, pages):
    arguments = examples.arguments("PASS")
    verdict = arguments["verdict"]
    assert content.sentence_of(verdict) == content.VERDICTS["PASS"][1]
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
    assert set(content.glossary.TRANSFORMS) == set(transforms.TRANSFORMS)


def test_rounding_never_makes_none_or_all_of_some():
    shares = (0, 0.0004, 0.0006, 0.05, 1 / 3, 0.9996, 1, None, np.nan)
    words = ("0 %", "<0.1 %", "0.1 %", "5 %", "33.3 %", ">99.9 %", "100 %", "not known", "not known")
    assert tuple(content.share(value).replace("\N{NO-BREAK SPACE}", " ") for value in shares) == words
    assert content.measured(0.93, 0.88, 0.97).split() == ["93", "%", "(88", "to", "97", "%)"]
    assert content.number(10000) == "10,000" and content.number(-1.23456) == "−1.235"


def test_a_public_report_refuses_files_and_images(write):
    arguments = examples.arguments(n=12, n_copies=7)
    with pytest.raises(ValueError, match="no file names"):
        write({**arguments, "samples": arguments["samples"].assign(file="a.png")})
    for given in ({}, examples.pairs([1])):
        with pytest.raises(ValueError, match="no images"):
            write({**arguments, "pairs": given})
    with pytest.raises(ValueError, match="edition: secret"):
        write({**arguments, "edition": "secret"})
    with pytest.raises(ValueError, match="missing columns patient_copylens"):
        write({**arguments, "samples": arguments["samples"].drop(columns="patient_copylens")})


def test_a_public_report_holds_no_image_and_asks_for_nothing(write):
    html, bytes_of_pdf = write(examples.arguments(n=12, n_copies=7))
    page = Page(html)
    assert not page.count("img") and not page.count("image") and not page.count("link") and "data:" not in html
    assert b"/Subtype /Image" not in bytes_of_pdf
    assert "RESTRICTED" not in html and page.count("script") == 2
    assert not page.values("src") and all(target.startswith("#") for target in page.values("href"))
    assert not re.search(r"@import|url\((?!#)", html)


def test_a_restricted_report_says_so_everywhere_and_shows_pairs(write, pages):
    html, _ = write(examples.arguments(edition="restricted", n=70, n_copies=66))
    page = Page(html)
    assert page.text.count(content.RESTRICTED) == page.count("section")
    assert all(content.RESTRICTED in texts for texts in pages)
    assert page.count("img") == 3 * 60 and "60 are shown; there are 6 more." in page.text
    assert "there are 6 more" in " ".join(text for texts in pages for text in texts)
    assert all(address.startswith("data:image/png;base64,") for address in page.values("src"))


def test_pairs_are_the_images_they_were(write):
    arguments = examples.arguments(edition="restricted", n=3, n_copies=3)
    html, _ = write(arguments)
    alt, address = next((attributes["alt"], attributes["src"]) for tag, attributes in Page(html).tags if tag == "img")
    number = int(re.match(r"Sample (\d+): synthetic", alt)[1])
    shown = imread(io.BytesIO(base64.b64decode(address.partition(",")[2])))[..., 0]
    np.testing.assert_allclose(shown, arguments["pairs"][number][0], atol=2 / 255)


def test_volumes_are_shown_by_their_middle_slices(write):
    volume = np.random.default_rng(0).random((4, 6, 8))
    sheet = figures.flat(volume)
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
    assert [row[at] for row in rows] == 2 * [content.plain(name) for name in examples.HOSTILE]
    assert content.plain(examples.HOSTILE[3]) == r"line\nbreak\t\u202etxt.png"
    assert not any("\n" in text for texts in pages for text in texts)


@pytest.mark.parametrize("edition", ["public", "restricted"])
def test_nothing_known_and_nothing_flagged(edition, write, recwarn):
    arguments = examples.arguments("NOT ABLE TO SAY", edition, 12, 0)
    verdict = examples.without_numbers(arguments["verdict"])
    samples = arguments["samples"].copy()
    for name in examples.DETECTORS:
        samples[f"similarity_{name}"], samples[f"patient_{name}"] = np.nan, np.nan
    nothing = {name: {group: np.full(3, np.nan) for group in examples.GROUPS} for name in examples.DETECTORS}
    html, _ = write({**arguments, "verdict": verdict, "samples": samples, "scores": nothing})
    page = Page(html)
    assert "not known" in page.text and not re.search(r"\b(nan|None)\b", re.sub(r"None( of \d|\.)", "", page.text))
    assert not page.count("img")
    assert samples_of(html)["rows"][0][-3:] == [None, "no", None]

    for key in ("sensitivity", "groups", "limits", "reasons", "needed"):
        verdict[key] = []
    verdict["exposure"]["curve"], verdict["quarantine"], verdict["membership"] = [], None, None
    html, _ = write({**arguments, "verdict": verdict, "samples": samples, "scores": {}})
    assert "No quarantine is needed" in html and "was not tested" in html
    assert not [warning.message for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


def test_ten_thousand_samples(write, pages):
    html, _ = write(examples.arguments(n=10_000, n_copies=3_000))
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
