"""Samples that are one and the same image count once."""

import numpy as np

from copylens.auditing.repeats import groups_of_repeats


def blobs(n: int, seed: int) -> np.ndarray:
    """Smooth images [n, 24, 24] no two of which are alike."""
    generator = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(0, 1, 24)] * 2, indexing="ij")
    images = []
    for centres in generator.uniform(0, 1, (n, 4, 2)):
        images.append(sum(np.exp(-((axes[0] - y) ** 2 + (axes[1] - x) ** 2) / 0.01) for y, x in centres))
    return np.stack(images).astype(np.float32)


def test_repeated_samples_are_one_group_and_others_are_not():
    real, samples = blobs(40, 0), blobs(30, 1)
    noisy = samples[:10] + 0.01 * np.random.default_rng(2).normal(size=samples[:10].shape).astype(np.float32)
    group = groups_of_repeats(np.concatenate([samples, samples[:10], noisy]), real, np.arange(40))
    assert np.array_equal(group, np.r_[np.arange(30), np.arange(10), np.arange(10)])


def test_a_chain_of_likes_is_not_one_image():
    """Each image is like the one before, the last is unlike the first: a smooth path through many images."""
    first, last = blobs(2, 3)
    share = np.linspace(0, 1, 40, dtype=np.float32)[:, None, None]
    group = groups_of_repeats((1 - share) * first + share * last, blobs(40, 0), np.arange(40))
    assert len(set(group)) >= 3


def test_images_of_one_patient_do_not_say_how_alike_patients_are():
    real = blobs(40, 0)
    twice = np.concatenate([real, real])
    samples = np.concatenate([blobs(5, 1), blobs(5, 1)])
    assert np.array_equal(groups_of_repeats(samples, twice, np.tile(np.arange(40), 2)), np.tile(np.arange(5), 2))


def test_samples_no_more_alike_than_other_patients_are_do_not_repeat():
    """Where all images are alike, as those of one organ in one window are, 0.98 is nothing special."""
    generator = np.random.default_rng(0)
    common = blobs(1, 5)

    def alike(n: int) -> np.ndarray:
        return (common + 0.02 * blobs(n, int(generator.integers(2**31)))).astype(np.float32)

    samples = alike(30)
    rows = samples.reshape(30, -1)
    assert np.corrcoef(rows)[np.triu_indices(30, 1)].min() > 0.98
    assert len(set(groups_of_repeats(samples, alike(60), np.arange(60)))) >= 28
