"""Sizes of latent grids."""


def halve(shape: list[int], times: int, name: str) -> list[int]:
    """`shape` after `times` halvings. ValueError that names fitting sizes if one can't be halved evenly."""
    factor = 2**times
    if any(size % factor for size in shape):
        fitting = [max(1, round(size / factor)) * factor for size in shape]
        raise ValueError(
            f"{name}: {'x'.join(map(str, shape))} can't be halved {times} times; "
            f"every size must be a multiple of {factor}, for example {'x'.join(map(str, fitting))}"
        )
    return [size // factor for size in shape]
