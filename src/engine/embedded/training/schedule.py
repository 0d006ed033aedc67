"""The noise schedule that training, sampling and the exported scheduler share."""

import torch

SCHEDULER = dict(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.018,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    timestep_spacing="trailing",
    steps_offset=1,
)


def signal_and_noise():
    """How much of the picture and how much noise is left at each of the 1000 timesteps."""
    beta = torch.linspace(SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - beta, 0)
    return kept.sqrt().float(), (1 - kept).sqrt().float()
