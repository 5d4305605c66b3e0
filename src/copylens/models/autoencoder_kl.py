"""Autoencoder with a KL-regularised latent space, 2D and 3D (Rombach et al. 2022, arXiv 2112.10752, section 3.1)."""

import torch
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import AutoencoderKL as Network
from monai.networks.nets import PatchDiscriminator
from torch.nn import functional

from copylens.spec import halve
from copylens.training import TrainedModule


class AutoencoderKL(TrainedModule):
    """L1 + KL, with optional patch-adversarial and perceptual terms. Images are [B, 1, *grid] in [0, 1]."""

    def __init__(self, settings: dict, grid: list[int]):
        super().__init__(settings)
        channels = settings["channels"]
        self.latent_shape = [settings["latent_channels"], *halve(grid, len(channels) - 1, "grid")]
        attention = settings["attention_levels"] or [False] * len(channels)
        self.network = Network(
            spatial_dims=len(grid),
            channels=channels,
            num_res_blocks=settings["res_blocks"],
            attention_levels=attention,
            latent_channels=settings["latent_channels"],
            norm_num_groups=settings["norm_groups"],
            with_encoder_nonlocal_attn=any(attention),
            with_decoder_nonlocal_attn=any(attention),
        )
        self.discriminator = self.perceptual = None
        if settings["adversarial_weight"] > 0:
            self.discriminator = PatchDiscriminator(
                len(grid), channels=settings["discriminator_channels"], in_channels=1, num_layers_d=2
            )
            self.adversarial = PatchAdversarialLoss(criterion="least_squares")
        if settings["perceptual_weight"] > 0:
            self.perceptual = _perceptual_loss(len(grid))

    def configure_optimizers(self):
        optimizers, schedules = self.adamw(self.network.parameters())
        if self.discriminator is not None:
            more = self.adamw(self.discriminator.parameters())
            optimizers, schedules = optimizers + more[0], schedules + more[1]
        return optimizers, schedules

    def training_step(self, batch, batch_index):
        (image,) = batch
        mean, deviation = self.network.encode(image)
        reconstructed = self.network.decode(self.network.sampling(mean, deviation))
        # Rombach et al. 2022, equation 25 and section G: KL to a standard normal, summed over a latent.
        kl_terms = mean**2 + deviation**2 - torch.log(deviation**2) - 1
        losses = {
            "reconstruction": functional.l1_loss(reconstructed, image),
            "kl": 0.5 * kl_terms.flatten(1).sum(1).mean(),
        }
        total = losses["reconstruction"] + self.settings["kl_weight"] * losses["kl"]
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual(reconstructed, image)
            total = total + self.settings["perceptual_weight"] * losses["perceptual"]
        adversarial = self.discriminator is not None and self.global_step >= self.settings["adversarial_start"]
        if adversarial:
            logits_fake = self.discriminator(reconstructed)[-1]
            losses["generator"] = self.adversarial(logits_fake, target_is_real=True, for_discriminator=False)
            total = total + self.settings["adversarial_weight"] * losses["generator"]
        self.descend(total)
        if adversarial:
            losses["discriminator"] = self._discriminator_loss(image, reconstructed.detach())
            self.descend(losses["discriminator"], which=1)
        self.log_dict({"loss": total.detach(), **losses}, on_step=False, on_epoch=True)

    def _discriminator_loss(self, image, reconstructed):
        fake = self.adversarial(self.discriminator(reconstructed)[-1], target_is_real=False, for_discriminator=True)
        real = self.adversarial(self.discriminator(image)[-1], target_is_real=True, for_discriminator=True)
        return 0.5 * (fake + real)

    def weights(self):
        return self.network.state_dict()

    def load_weights(self, weights):
        self.network.load_state_dict(weights)

    @torch.no_grad()
    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the posterior, [B, latent_channels, *latent grid] each."""
        return self.network.encode(image)

    @torch.no_grad()
    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Images [B, 1, *grid], clipped to [0, 1]."""
        return self.network.decode(latent).clamp(0, 1)


def build(settings: dict, grid: list[int], upstream: TrainedModule | None = None) -> AutoencoderKL:
    """An untrained autoencoder for images of shape `grid`; it has no upstream network."""
    return AutoencoderKL(settings, grid)


def _perceptual_loss(spatial_dims: int):
    """MONAI's perceptual loss. Its pretrained network is downloaded on first use, so the term is off by default."""
    from monai.losses import PerceptualLoss

    try:
        if spatial_dims == 2:
            return PerceptualLoss(spatial_dims=2, network_type="radimagenet_resnet50")
        return PerceptualLoss(spatial_dims=3, network_type="medicalnet_resnet10_23datasets", is_fake_3d=False)
    except Exception as error:
        raise ValueError(f"perceptual_weight: the pretrained network can't be loaded ({error}); set it to 0") from error
