"""A specification says all of its settings and nothing else: the same ones give the same text, others another."""

import copy
import functools
import tempfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from copylens.config import checks, spec
from copylens.jobs.files import read_yaml, write_yaml

CONFIG = checks.load_config(ROOT / "configs" / "tiny.yaml")
USED = {"sampling", "neighbours", "search"}  # keys for the use of a trained network
CHEST, LDM, NTXENT, TINY = ("datasets", "chest"), ("models", "ldm"), ("detectors", "ntxent"), ("studies", "tiny")
OF_PHANTOMS = {"reader", "anatomy", "n_patients", "size", "limits", "repeat_share", "noise", "seed"}
# Of each specification: the entry that it is made of, how, and which of the entry's keys it depends on.
SPECIFICATIONS = {
    "listing": (CHEST, spec.listing_settings, OF_PHANTOMS),
    "images": (CHEST, spec.image_settings, {"grid", "fit", "scaling"}),
    "split": (CHEST, spec.split_settings, {"split"}),
    "planted": (CHEST, spec.planted_settings, {"planted"}),
    "detector": (NTXENT, spec.detector_settings, set(CONFIG["detectors"]["ntxent"]) - USED),
    "search": (NTXENT, spec.search_settings, {"search"}),
    "training": (LDM, spec.training_settings, set(CONFIG["models"]["ldm"]) - USED),
    "sampling": (LDM, spec.sampling_settings, {"sampling"}),
    "intervals": (TINY, spec.interval_settings, {"intervals"}),
    "review": (TINY, spec.review_settings, {"review"}),
}
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def text_of(config: dict, name: str) -> str:
    """One of the specifications, as it is written."""
    (_, entry), settings, _ = SPECIFICATIONS[name]
    variant = ["base"] if settings in (spec.training_settings, spec.sampling_settings) else []
    return yaml.safe_dump(settings(config, entry, *variant), sort_keys=False)


def leaves_of(value, above=()) -> list[tuple]:
    """The paths of all settings that hold no others."""
    if isinstance(value, dict):
        return [path for key, part in value.items() for path in leaves_of(part, (*above, key))]
    return [above]


def part_of(config, path):
    return functools.reduce(lambda part, key: part[key], path, config)


def others(value) -> list:
    """Other values of the same type."""
    if isinstance(value, list):
        return [[*value, 1], value[:-1] or [2]]
    if isinstance(value, str):
        return [
            word
            for word in ("ddpm", "constant", "linear_beta", "v_prediction", "32-true", f"{value}_2")
            if word != value
        ]
    if isinstance(value, bool):
        return [not value]
    return [21] if value is None else [value * 2 + 1, value + 1]


def reordered(value, random):
    if isinstance(value, dict):
        return {key: reordered(value[key], random) for key in random.sample(list(value), len(value))}
    return [reordered(part, random) for part in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(max_size=8), values, max_size=5), st.randoms(use_true_random=False))
def test_a_specification_is_read_as_it_was_written_and_any_order_of_keys_is_one_text(settings, random):
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("one.yaml", "other.yaml")]
        for path, value in zip(paths, (settings, reordered(settings, random)), strict=True):
            write_yaml(value, path)
        assert read_yaml(paths[0]) == settings
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert repr(spec.with_sorted_keys(settings)) == repr(spec.with_sorted_keys(reordered(settings, random)))
    assert spec.with_sorted_keys(settings) == settings


BEFORE = {name: text_of(CONFIG, name) for name in SPECIFICATIONS}


@pytest.mark.parametrize("entry", [CHEST, LDM, NTXENT, TINY], ids="-".join)
def test_a_changed_setting_changes_the_specification_that_depends_on_it_and_no_other(entry):
    seen = set()
    for *above, key in leaves_of(part_of(CONFIG, entry)):
        top = [*above, key][0]
        value = part_of(CONFIG, [*entry, *above])[key]
        for other in others(value) if top != "duplicates" else ():
            config = copy.deepcopy(CONFIG)
            part_of(config, [*entry, *above])[key] = other
            try:
                after = {name: text_of(config, name) for name in SPECIFICATIONS}
            except ValueError:  # the model has no such setting
                continue
            seen.add(top)
            dependent = {name for name, (of, _, keys) in SPECIFICATIONS.items() if of == entry and top in keys}
            assert {name for name in SPECIFICATIONS if after[name] != BEFORE[name]} == dependent, (above, key, other)
    assert all(keys & seen for of, _, keys in SPECIFICATIONS.values() if of == entry)


@given(st.randoms(use_true_random=False))
def test_the_order_of_a_configurations_keys_changes_no_specification(random):
    turned = reordered(CONFIG, random)
    assert {name: text_of(turned, name) for name in SPECIFICATIONS} == BEFORE
