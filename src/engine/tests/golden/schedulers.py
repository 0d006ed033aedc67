#!/usr/bin/env python3
"""Records what the reference's samplers do with given predictions and given noise.

    python schedulers.py schedulers      # writes schedulers/reference.json and schedulers/reference.safetensors

Needs diffusers, torch and scipy. The predictions and the noise are the same for every case, so that the files
stay small: only the trajectories differ. `easel golden src/engine/tests/golden/schedulers` compares.
"""
import json, os, sys

import diffusers
import numpy as np
import torch
from safetensors.torch import save_file

SHAPE = (1, 2, 2, 3)
MODEL = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
SD1 = dict(MODEL, prediction_type="epsilon")
V = dict(MODEL, prediction_type="v_prediction")
LATENT = dict(clip_sample=False, set_alpha_to_one=False)


def cases():
    ddim = dict(SD1, **LATENT)
    for spacing in ("leading", "trailing", "linspace"):
        yield "ddim_" + spacing, "DDIM", dict(ddim, timestep_spacing=spacing), 6
        yield "euler_" + spacing, "EulerDiscrete", dict(SD1, timestep_spacing=spacing), 6
        yield "dpmpp2m_" + spacing, "DPMSolverMultistep", dict(SD1, timestep_spacing=spacing), 6
    yield "ddim_vpred", "DDIM", dict(V, **LATENT), 6
    yield "ddim_sample", "DDIM", dict(ddim, prediction_type="sample"), 6
    yield "ddim_zsnr", "DDIM", dict(V, **LATENT, rescale_betas_zero_snr=True, timestep_spacing="trailing"), 6
    yield "ddim_clip", "DDIM", dict(ddim, clip_sample=True, clip_sample_range=1.0), 6
    yield "ddim_thresh", "DDIM", dict(ddim, thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.5), 6
    yield "ddim_linear_cos", "DDIM", dict(ddim, beta_schedule="squaredcos_cap_v2"), 6
    yield "ddim_linear", "DDIM", dict(ddim, beta_schedule="linear", beta_start=0.0001, beta_end=0.02), 6
    yield "ddim_50_steps", "DDIM", ddim, 50
    yield "pndm_plms", "PNDM", dict(SD1, skip_prk_steps=True), 6
    yield "pndm_prk", "PNDM", dict(SD1, skip_prk_steps=False), 8
    yield "pndm_vpred", "PNDM", dict(V, skip_prk_steps=True), 5
    for flag in ("karras", "exponential", "beta"):
        for name, cls in (("euler", "EulerDiscrete"), ("heun", "HeunDiscrete"), ("dpmpp2m", "DPMSolverMultistep"), ("unipc", "UniPCMultistep")):
            yield name + "_" + flag, cls, {**SD1, "use_%s_sigmas" % flag: True}, 6
    yield "euler_vpred", "EulerDiscrete", V, 6
    yield "euler_vpred_zsnr", "EulerDiscrete", dict(V, rescale_betas_zero_snr=True, timestep_spacing="trailing"), 6
    yield "euler_final_min", "EulerDiscrete", dict(SD1, final_sigmas_type="sigma_min"), 6
    yield "euler_loglinear", "EulerDiscrete", dict(SD1, interpolation_type="log_linear"), 6
    yield "euler_a", "EulerAncestralDiscrete", SD1, 6
    yield "euler_a_vpred", "EulerAncestralDiscrete", dict(V, timestep_spacing="trailing"), 6
    yield "heun", "HeunDiscrete", SD1, 6
    yield "heun_leading", "HeunDiscrete", dict(SD1, timestep_spacing="leading"), 3
    multistep = "DPMSolverMultistep"
    for order in (1, 2, 3):
        yield "dpmpp_o%d" % order, multistep, dict(SD1, solver_order=order), 8
        yield "dpm_o%d" % order, multistep, dict(SD1, solver_order=order, algorithm_type="dpmsolver", final_sigmas_type="sigma_min"), 8
        yield "unipc_o%d" % order, "UniPCMultistep", dict(SD1, solver_order=order), 8
    yield "dpmpp2m_midpoint_off", multistep, dict(SD1, solver_type="heun"), 6
    yield "dpmpp2m_20steps", multistep, SD1, 20
    yield "dpmpp2m_euler_final", multistep, dict(SD1, euler_at_final=True), 6
    yield "dpmpp2m_no_lof", multistep, dict(SD1, lower_order_final=False, final_sigmas_type="sigma_min"), 6
    yield "dpmpp2m_lu", multistep, dict(SD1, use_lu_lambdas=True), 6
    yield "dpmpp2m_vpred", multistep, V, 6
    yield "dpmpp2m_thresh", multistep, dict(SD1, thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.5), 6
    yield "dpmpp2m_sde", multistep, dict(SD1, algorithm_type="sde-dpmsolver++"), 6
    yield "dpmpp2m_sde_karras", multistep, dict(SD1, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True), 6
    yield "dpmpp2m_sde_heun", multistep, dict(SD1, algorithm_type="sde-dpmsolver++", solver_type="heun"), 6
    yield "dpm_sde", multistep, dict(SD1, algorithm_type="sde-dpmsolver", final_sigmas_type="sigma_min"), 6
    yield "unipc_bh1", "UniPCMultistep", dict(SD1, solver_type="bh1", final_sigmas_type="sigma_min"), 6
    yield "unipc_x0_off", "UniPCMultistep", dict(SD1, predict_x0=False, final_sigmas_type="sigma_min"), 6
    yield "unipc_vpred_karras", "UniPCMultistep", dict(V, use_karras_sigmas=True), 6
    yield "lcm", "LCM", SD1, 4
    yield "lcm_vpred", "LCM", V, 7


class Recording:
    """Tensors by key; equal ones are stored once."""

    def __init__(self):
        self.tensors, self.keys = {}, {}

    def put(self, tensor):
        tensor = tensor.detach().to(torch.float32).contiguous()
        same = (tuple(tensor.shape), tensor.numpy().tobytes())
        if same not in self.keys:
            self.keys[same] = "%x" % len(self.keys)
            self.tensors[self.keys[same]] = tensor.clone()
        return self.keys[same]


def gaussians(seed):
    generator = np.random.default_rng(seed)
    while True:
        yield torch.from_numpy(generator.standard_normal(SHAPE).astype(np.float32))


def record(recording, cls, config, steps):
    module = sys.modules[getattr(diffusers, cls + "Scheduler").__module__]
    scheduler = getattr(diffusers, cls + "Scheduler")(**config)
    scheduler.set_timesteps(steps)
    trace, draws = [], gaussians(3)

    def drawn(*_, **__):
        noise = next(draws)
        trace.append(dict(ev="rng", out=recording.put(noise)))
        return noise

    if hasattr(module, "randn_tensor"):
        module.randn_tensor = drawn
    predictions = gaussians(2)
    clean = next(gaussians(1))
    x = clean * float(scheduler.init_noise_sigma)
    case = dict(cls=cls + "Scheduler", config=config, steps=steps, timesteps=recording.put(scheduler.timesteps),
                init_noise_sigma=float(scheduler.init_noise_sigma), trace=trace)
    if getattr(scheduler, "sigmas", None) is not None:
        case["sigmas"] = recording.put(scheduler.sigmas)
    for n, t in enumerate(scheduler.timesteps):
        scaled, out = scheduler.scale_model_input(x, t), next(predictions)
        step = dict(ev="step", n=n, timestep=float(t), sample=recording.put(x), scaled_input=recording.put(scaled), model_output=recording.put(out))
        trace.append(step)
        x = scheduler.step(out, t, x, return_dict=False)[0]
        assert torch.isfinite(x).all()
        step["prev_sample"] = recording.put(x)
    if hasattr(scheduler, "_begin_index"):
        scheduler._begin_index = scheduler._step_index = None
    middle = scheduler.timesteps[len(scheduler.timesteps) // 2:][:1]
    noise = next(gaussians(4))
    case["add_noise"] = dict(original=recording.put(clean), noise=recording.put(noise), out=recording.put(scheduler.add_noise(clean, noise, middle)))
    return case


def main(folder):
    recording = Recording()
    recorded = {name: record(recording, cls, config, steps) for name, cls, config, steps in cases()}
    os.makedirs(folder, exist_ok=True)
    versions = dict(diffusers=diffusers.__version__, torch=torch.__version__)
    with open(os.path.join(folder, "reference.json"), "w") as file:
        json.dump(dict(family="schedulers", versions=versions, cases=recorded), file, separators=(",", ":"))
    save_file(recording.tensors, os.path.join(folder, "reference.safetensors"))
    print("%d cases, %d tensors" % (len(recorded), len(recording.tensors)))


if __name__ == "__main__":
    main(sys.argv[1])
