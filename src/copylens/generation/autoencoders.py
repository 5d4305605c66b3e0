"""The loss of autoencoders, with or without a discriminator and a perceptual network."""

import torch
from torch.nn import functional

from copylens.jobs.lean_monai import losses, nets
from copylens.training.module import LatentSpace


class Autoencoder(LatentSpace):
    """L1 + the terms of a subclass's `reconstruct`, with optional patch-adversarial and perceptual terms.

    Subclasses set `self.network` and `self.latent_shape`, and write `reconstruct`, `encode` and `decode`.
    Images are [B, 1, *grid] in [0, 1].
    """

    network: torch.nn.Module

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        self.discriminator: nets.PatchDiscriminator | None = None
        # In a tuple, because this network is neither trained nor saved with the autoencoder.
        self._perceptual: tuple[torch.nn.Module, ...] = ()
        if settings["adversarial_weight"] > 0:
            self.discriminator = nets.PatchDiscriminator(
                len(grid), channels=settings["discriminator_channels"], in_channels=1, num_layers_d=2
            )
            self.adversarial = losses.PatchAdversarialLoss(criterion="least_squares")
        self.n_axes = len(grid)

    def reconstruct(self, image: torch.Tensor) -> tuple[torch.Tensor, dict[str, tuple[float, torch.Tensor]]]:
        """The image after encoder and decoder, and further terms of the loss: {name: (weight, term)}."""
        raise NotImplementedError

    def configure_optimizers(self):
        # Only training needs the perceptual network, which is downloaded on first use.
        if self.settings["perceptual_weight"] > 0:
            self._perceptual = (_perceptual_loss(self.n_axes).to(self.device),)
        optimizers, schedules = self.adamw(self.network.parameters())
        if self.discriminator is not None:
            more = self.adamw(self.discriminator.parameters())
            optimizers, schedules = optimizers + more[0], schedules + more[1]
        return optimizers, schedules

    def training_step(self, batch, step, descend):
        image = self.augmented(batch[0])
        reconstructed, terms = self.reconstruct(image)
        terms["reconstruction"] = 1.0, functional.l1_loss(reconstructed, image)
        for perceptual in self._perceptual:
            terms["perceptual"] = self.settings["perceptual_weight"], perceptual(reconstructed, image)
        discriminator = self.discriminator
        if discriminator is not None and step < self.settings["adversarial_start"]:
            discriminator = None
        if discriminator is not None:
            logits_fake = discriminator(reconstructed)[-1]
            fooled = self.adversarial(logits_fake, target_is_real=True, for_discriminator=False)
            terms["generator"] = self.settings["adversarial_weight"], fooled
        total = sum(weight * term for weight, term in terms.values())
        descend(total)
        losses = {"loss": total, **{name: term for name, (_, term) in terms.items()}}
        if discriminator is not None:
            losses["discriminator"] = self._discriminator_loss(discriminator, image, reconstructed.detach())
            descend(losses["discriminator"], which=1)
        return losses

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)

    def _discriminator_loss(self, discriminator, image, reconstructed):
        fake = self.adversarial(discriminator(reconstructed)[-1], target_is_real=False, for_discriminator=True)
        real = self.adversarial(discriminator(image)[-1], target_is_real=True, for_discriminator=True)
        return 0.5 * (fake + real)


def _perceptual_loss(spatial_dims: int):
    """MONAI's perceptual loss. Its pretrained network is downloaded on first use, so the term is off by default."""
    try:
        if spatial_dims == 2:
            return losses.PerceptualLoss(spatial_dims=2, network_type="radimagenet_resnet50")
        return losses.PerceptualLoss(spatial_dims=3, network_type="medicalnet_resnet10_23datasets", is_fake_3d=False)
    except Exception as error:
        raise ValueError(f"perceptual_weight: the pretrained network can't be loaded ({error}); set it to 0") from error
