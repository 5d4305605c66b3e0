"""Whatever is wrong with a configuration, it is accepted or refused by one line that begins with the key."""

import copy
import datetime
import json
import math

import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from copylens.config import checks
from copylens.config.schema import shown

NAMES = ("tiny", "msd_hippocampus", "classes_nih", "command_nih", "diffusers_nih", "audit_hippocampus")
TEXTS = {name: (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8") for name in NAMES}
GIVEN = {name: json.loads(json.dumps(yaml.safe_load(text))) for name, text in TEXTS.items()}  # without aliases
WITH_DEFAULTS = {f"{name} with defaults": checks.check(config) for name, config in GIVEN.items()}
SECTIONS = ("datasets", "models", "variants", "detectors", "studies", "audits")
DATE = datetime.date(2020, 2, 29)  # YAML reads dates, and no key may be one

numbers = st.sampled_from([0, -1, 2**63, 10**400, -(10**400), 0.0, 1e-320, 1e308, math.inf, -math.inf, math.nan])
words = st.sampled_from(
    ["", "a.b", "base", "base\n", "1e-4", "two\nlines", "\x1b[31m", "é\u202e", "x" * 3000, "(", "{}"]
)
scalars = st.one_of(numbers, words, st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just(DATE))
keys = st.one_of(words, st.text(max_size=8), st.integers(-1, 3), st.booleans(), st.none(), st.just(1.5), st.just(DATE))
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)


def places_in(value, above=()) -> list[tuple]:
    """The paths of all parts of a configuration."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, part in below for path in ((*above, key), *places_in(part, (*above, key)))]


def part_of(config, path):
    for key in path:
        config = config[key]
    return config


def drawn(data, configurations=GIVEN | WITH_DEFAULTS) -> dict:
    return copy.deepcopy(configurations[data.draw(st.sampled_from(list(configurations)), label="configuration")])


def mutate(data, config) -> None:
    """Make one mistake."""
    path = data.draw(st.sampled_from(places_in(config)), label="path")
    parent, key = part_of(config, path[:-1]), path[-1]
    change = data.draw(st.sampled_from(["drop", "replace", "swap", "add", "rename"]), label="change")
    if change == "drop":
        del parent[key]
    elif change == "replace":
        parent[key] = data.draw(junk)
    elif change == "swap":
        parent[key] = copy.deepcopy(part_of(config, data.draw(st.sampled_from(places_in(config)))))
    elif change == "add" and isinstance(parent[key], dict):
        parent[key][data.draw(keys)] = data.draw(junk)
    elif change == "rename" and isinstance(parent, dict):
        parent[data.draw(keys)] = parent.pop(key)


def refusal(config) -> str | None:
    """What a configuration is refused with, None where it is accepted."""
    try:
        checks.check(config)
    except ValueError as error:
        assert type(error) is ValueError
        return str(error)
    return None


def begins_with(message: str, path: tuple) -> bool:
    """Whether a message names this path, or the list that it is in; of a variant, laid over a model, itself."""
    paths = [path, path[:-1]] if path and type(path[-1]) is int else [path]
    starts = [f"{'.'.join(map(shown, path))}: " for path in paths]
    starts += [f"variants.{path[1]} (laid over models."] if path[:1] == ("variants",) and len(path) > 1 else []
    return message.startswith(tuple(starts))


@given(st.data())
def test_a_mutated_configuration_is_accepted_or_refused_in_one_line_that_begins_with_a_key(data):
    config = drawn(data)
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(data, config)
    message = refusal(config)
    tops = [*SECTIONS, *map(shown, config), "the configuration"]
    assert message is None or message.isprintable()
    assert message is None or message.startswith(tuple(f"{top}{end}" for top in tops for end in (".", ":", ",")))


@given(junk)
def test_what_is_no_configuration_at_all_is_refused(value):
    assert refusal(value)


@given(st.data())
def test_a_value_of_a_wrong_type_is_named_with_its_path(data):
    config = drawn(data)
    path = data.draw(st.sampled_from(places_in(config)), label="path")
    part_of(config, path[:-1])[path[-1]] = DATE
    assert begins_with(refusal(config), path)


@given(st.data())
def test_of_two_mistakes_the_first_one_is_named(data):
    config = drawn(data)
    paths = [path for path in places_in(config) if path[0] != "variants"]  # which are checked after all others
    one, other = sorted(data.draw(st.tuples(*[st.integers(0, len(paths) - 1)] * 2), label="positions"))
    if paths[other][: len(paths[one])] == paths[one]:
        other = one
    for path in (paths[one], paths[other]):
        part_of(config, path[:-1])[path[-1]] = DATE
    assert begins_with(refusal(config), paths[one])


@given(st.data())
def test_a_text_with_line_breaks_breaks_no_message(data):
    config = drawn(data)
    texts = [path for path in places_in(config) if isinstance(part_of(config, path), str)]
    path = data.draw(st.sampled_from(texts), label="path")
    part_of(config, path[:-1])[path[-1]] += data.draw(st.sampled_from(["\n", "\nline", "\x1b[31m"]), label="added")
    assert (refusal(config) or "accepted").isprintable()


def added_to(config, data, unknown) -> tuple:
    """Add a key to one of the maps of a configuration; the map's path."""
    maps = [(), *(path for path in places_in(config) if isinstance(part_of(config, path), dict))]
    path = data.draw(st.sampled_from(maps), label="path")
    part_of(config, path)[unknown] = DATE
    return path


@given(st.data(), st.sampled_from(["a_key", "two\nlines", "", "\x1b[31m"]))
def test_an_unknown_key_is_named_with_its_path(data, unknown):
    config = drawn(data)
    path = added_to(config, data, unknown)
    message = refusal(config)
    # A name that isn't one, and any key of the variant base, are told by the section.
    assert begins_with(message, (*path, unknown)) or (begins_with(message, path) and repr(unknown) in message)


@given(st.data(), st.sampled_from([True, 1, None, 1.5, DATE]))
def test_a_key_that_is_no_text_is_named_with_its_path(data, key):
    config = drawn(data)
    path = added_to(config, data, key)
    assert refusal(config) == f"{'.'.join(map(shown, (*path, key)))}: a key must be text; write it in quotes"


@given(st.data(), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_no_number_is_infinite_or_none(data, value):
    config = drawn(data, WITH_DEFAULTS)
    of_numbers = [path for path in places_in(config) if type(part_of(config, path)) in (int, float)]
    path = data.draw(st.sampled_from(of_numbers), label="path")
    part_of(config, path[:-1])[path[-1]] = value
    assert begins_with(refusal(config), path)
