"""Differential privacy of a training, for each patient: DP-SGD (Abadi et al. 2016, arXiv 1607.00133) by Opacus.

Each step takes every patient with the same probability, independently of the others, and one random image of each who
was taken. The gradient of each patient is clipped to a norm, their sum gets normally distributed noise, and an
accountant says what all steps together give away: whoever sees the weights, and everything made with them, can tell
whether a patient was trained on hardly better than by guessing, by epsilon and delta. Who knows the seed knows the
noise: it must stay secret.
"""

import torch

ACCOUNTANT = "prv"  # Gopi et al. 2021, arXiv 2106.02848
LEAST_NOISE, MOST_NOISE = 0.3, 1000.0  # less protects nobody; more leaves nothing to learn


def noise_multiplier(settings: dict, training: dict, n_patients: int) -> float:
    """The noise in units of the clipping norm with which `training.steps` steps spend exactly settings["epsilon"].

    Raises ValueError where that isn't possible.
    """
    from opacus.accountants import RDPAccountant
    from opacus.accountants.utils import get_noise_multiplier

    share = min(1.0, training["batch_size"] / n_patients)
    delta, accountant = delta_of(settings, n_patients), RDPAccountant()  # fast, and never below the other
    bounds = []
    for extreme in (MOST_NOISE, LEAST_NOISE):
        accountant.history = [(extreme, share, training["steps"])]
        bounds.append(accountant.get_epsilon(delta))
    if not bounds[0] < settings["epsilon"] < bounds[1]:
        raise ValueError(
            f"privacy.epsilon: {settings['epsilon']:g} can't be spent well in {training['steps']} steps of about "
            f"{training['batch_size']} patients; change it, training.steps or training.batch_size"
        )
    target = {"target_epsilon": settings["epsilon"], "target_delta": delta}
    noise = get_noise_multiplier(**target, sample_rate=share, steps=training["steps"], accountant=ACCOUNTANT)
    return float(noise)


def spent(settings: dict, training: dict, n_patients: int) -> dict[str, float]:
    """What `training.steps` steps gave away: epsilon and delta by the accountant, and the noise multiplier."""
    from opacus.accountants import create_accountant

    noise, accountant = noise_multiplier(settings, training, n_patients), create_accountant(ACCOUNTANT)
    accountant.history = [(noise, min(1.0, training["batch_size"] / n_patients), training["steps"])]
    delta = delta_of(settings, n_patients)
    return {"epsilon": float(accountant.get_epsilon(delta)), "delta": delta, "noise_multiplier": noise}


def delta_of(settings: dict, n_patients: int) -> float:
    """The probability with which epsilon may not hold: a tenth of 1 / patients where the settings name none."""
    return settings["delta"] if settings["delta"] is not None else 0.1 / n_patients


def private(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, settings: dict, training: dict, n_patients: int
) -> torch.optim.Optimizer:
    """The optimizer, its steps private: each patient's gradient clipped, noise added, divided by the expected batch.

    The loss must be the mean over a batch's patients. Raises ValueError for networks with statistics of a batch.
    """
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer

    refuse_batch_statistics(network)
    GradSampleModule(network, batch_first=True, loss_reduction="mean", strict=False)  # hooks gather each one's gradient
    share = min(1.0, training["batch_size"] / n_patients)
    return DPOptimizer(
        optimizer,
        noise_multiplier=noise_multiplier(settings, training, n_patients),
        max_grad_norm=settings["clip"],
        expected_batch_size=max(1, round(share * n_patients)),
        loss_reduction="mean",
    )


def refuse_batch_statistics(network: torch.nn.Module) -> None:
    """Raise ValueError if a layer normalises by a batch, which mixes patients."""
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            raise ValueError(f"privacy: the layer {name} uses statistics of a batch, which mix patients; leave it out")
