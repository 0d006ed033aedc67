#!/usr/bin/env python3
"""Records what the reference makes of Stable Diffusion 1.x with tiny networks.

    python make.py sd15 sd15-inpaint      # writes a folder for each name, beside itself

Needs diffusers, transformers and torch. Weights are not stored: each follows from its name. For an element i of the
tensor KEY of a component, four 16-bit words of splitmix64(fnv1a64("COMPONENT/KEY") + (i + 1) * 0x9e3779b97f4a7c15)
are added up; that sum, less 131070, over 37837, is about a standard normal deviate, which is multiplied by the
tensor's scale and added to its offset. Both are written into `weights.json`, with the extents. Large results are kept as
a digest: some elements, and sums of all elements under signs from the same generator. Each step and the decoded picture
also say how far the same run in f64 is away from it (`rounding`, a share of the largest value): no other program can
be expected to come closer. `halves` says the same of the reference's own f16 and bf16, measured as the engine measures
itself: a network by itself with what is recorded (`network`), a step or picture of a run whose latents are put right
after each step (`run`), and of one where nothing is (`alone`). How far the last one drifts is luck, so it is the
furthest of some runs, whose noise is moved by what the type rounds away.
"""
import copy, inspect, json, os, sys

import diffusers
import numpy as np
import PIL.Image
import torch
import transformers
from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = os.path.join(HERE, "..", "text")
WIDTH, HEIGHT = 80, 64          # 10 x 8 latents: odd extents further down
HALVES = {"f16": torch.float16, "bf16": torch.bfloat16}
RUNS = 8                        # of a half type, of which the furthest counts
FULL, SAMPLES, SUMS = 1300, 200, 12


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def words(name, n):
    """splitmix64 of a counter, n times."""
    with np.errstate(over="ignore"):
        x = np.uint64(fnv1a64(name)) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def deviates(name, n):
    w = words(name, n)
    total = sum((w >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(4))
    return (total.astype(np.int64) - 131070).astype(np.float64) / 37837.0


def generated(name, dims, scale=1.0, offset=0.0):
    values = (deviates(name, int(np.prod(dims))) * scale + offset).astype(np.float32)
    return torch.from_numpy(values.reshape(dims))


def fill(component, model, table):
    """Gives every parameter generated values, and writes down which."""
    table[component] = {}
    state = {}
    for key, old in model.state_dict().items():
        if not torch.is_floating_point(old):
            continue
        dims = list(old.shape)
        if old.ndim > 1:
            embedding = "embedding.weight" in key
            scale, offset = (0.6, 0.0) if embedding else ((1.0 / np.prod(dims[1:])) ** 0.5, 0.0)
        else:
            scale, offset = (0.2, 1.0) if "norm" in key and key.endswith("weight") else (0.1, 0.0)
        state[key] = generated(component + "/" + key, dims, scale, offset)
        table[component][key] = [dims, float(scale), float(offset)]
    model.load_state_dict(state, strict=False)
    return model.eval()


def networks(inpaint):
    table = {}
    with open(os.path.join(TEXT, "vocab.json"), encoding="utf-8") as file:
        vocab = json.load(file)
    with open(os.path.join(TEXT, "merges.txt"), encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:] if line]
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)
    text = CLIPTextConfig(vocab_size=len(vocab), hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, hidden_act="quick_gelu",
                          max_position_embeddings=77, projection_dim=16, bos_token_id=vocab["<|startoftext|>"], eos_token_id=2)
    down = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    up = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    unet = UNet2DConditionModel(sample_size=16, in_channels=9 if inpaint else 4, out_channels=4, down_block_types=down, up_block_types=up, block_out_channels=(8, 16, 24, 24),
                                layers_per_block=2, cross_attention_dim=16, attention_head_dim=2, norm_num_groups=4)
    vae = AutoencoderKL(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
                        block_out_channels=(8, 8, 16, 16), layers_per_block=2, latent_channels=4, norm_num_groups=4, sample_size=64, scaling_factor=0.18215)
    text_encoder = fill("text_encoder", CLIPTextModel(text), table)
    parts = dict(tokenizer=tokenizer, text_encoder=text_encoder, unet=fill("unet", unet, table), vae=fill("vae", vae, table))
    return parts, table, vocab


SCHEDULER = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
PROMPT, NEGATIVE = "a painting of two small boats, full moon over the sea", "fog, stone walls"


def cases(inpaint):
    base = dict(prompt=PROMPT, negative_prompt=NEGATIVE, num_inference_steps=4, guidance_scale=7.5)
    size = dict(width=WIDTH, height=HEIGHT)
    image = np.clip(np.round(128 + 60 * deviates("image", HEIGHT * WIDTH * 3)), 0, 255).astype(np.uint8).reshape(HEIGHT, WIDTH, 3)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[16:48, 24:60] = 255
    ddim = dict(SCHEDULER, clip_sample=False, set_alpha_to_one=False)
    if inpaint:
        call = dict(base, **size, image=image, mask_image=mask, strength=1.0, num_inference_steps=3)
        yield "inpaint", StableDiffusionInpaintPipeline, diffusers.PNDMScheduler(**SCHEDULER, skip_prk_steps=True), call
        return
    yield "t2i_dpmpp2m_karras", StableDiffusionPipeline, diffusers.DPMSolverMultistepScheduler(**SCHEDULER, use_karras_sigmas=True), dict(base, **size)
    yield "t2i_euler_a_rescale", StableDiffusionPipeline, diffusers.EulerAncestralDiscreteScheduler(**SCHEDULER), dict(base, **size, guidance_rescale=0.7)
    yield "t2i_ddim_eta_no_guidance", StableDiffusionPipeline, diffusers.DDIMScheduler(**ddim), dict(base, **size, guidance_scale=1.0, eta=0.6, num_inference_steps=2)
    yield "img2img_euler", StableDiffusionImg2ImgPipeline, diffusers.EulerDiscreteScheduler(**SCHEDULER), dict(base, image=image, strength=0.75)
    yield "inpaint_ddim", StableDiffusionInpaintPipeline, diffusers.DDIMScheduler(**ddim), dict(base, **size, image=image, mask_image=mask, strength=0.75)


def digested(key, value):
    last = value.permute(0, 2, 3, 1) if value.ndim == 4 else value
    flat = last.reshape(-1).double().numpy()
    n = len(flat)
    at = words(key + "/samples", SAMPLES) % np.uint64(n)
    sums = []
    for k in range(SUMS):
        signs = 1.0 - 2.0 * (words("%s/signs %d" % (key, k), n) & np.uint64(1)).astype(np.float64)
        sums.append(float((flat * signs).sum()))
    return dict(dims=list(value.shape), largest=float(np.abs(flat).max()), mean=float(flat.mean()), deviation=float(flat.std()),
                samples=[float(np.float32(v)) for v in flat[at.astype(np.int64)]], sums=sums)


class Recording:
    def __init__(self):
        self.tensors, self.digests, self.trace = {}, {}, []

    def put(self, value):
        """A small tensor as it is, a large one as its digest; channels last where there are four extents."""
        value = value.detach().clone()
        if value.numel() <= FULL:
            return self.full(value)
        return self.digest("t%d" % (len(self.tensors) + len(self.digests)), value)

    def digest(self, key, value):
        self.digests[key] = digested(key, value)
        return key

    def distance(self, key, value):
        """How far a value is from the recorded one, as a share of the largest, as the engine measures it."""
        if key in self.tensors:
            wanted = self.tensors[key].double()
            return float((value.double() - wanted).abs().max() / wanted.abs().max())
        wanted, found = self.digests[key], digested(key, value)
        root = value.numel() ** 0.5
        apart = [abs(found[k] - wanted[k]) for k in ("largest", "mean", "deviation")]
        apart += [abs(a - b) for a, b in zip(found["samples"], wanted["samples"])]
        apart += [abs(a - b) / root for a, b in zip(found["sums"], wanted["sums"])]
        return max(apart) / wanted["largest"]

    def full(self, value):
        for key, tensor in self.tensors.items():
            if tensor.shape == value.shape and torch.equal(tensor, value):
                return key
        key = "t%d" % (len(self.tensors) + len(self.digests))
        self.tensors[key] = value.detach().clone().contiguous()
        return key


def cast(value, dtype):
    return value.to(dtype) if torch.is_tensor(value) and torch.is_floating_point(value) else value


def again(name, kind, scheduler, call, parts, dtype, instead=(), run=0):
    """Latents after each step, and decoded pictures, of the same call in another type. `instead` of the latents after a
    step, where there are any, the run goes on with these. Every `run` but the first has its noise moved by half a last place."""
    parts = {who: copy.deepcopy(part).to(dtype) if isinstance(part, torch.nn.Module) else part for who, part in parts.items()}
    pipe = kind(**parts, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    passed, draws, instead = [], [0], list(instead)

    def draw(shape, *_, **__):
        noise = generated("%s/draw %d" % (name, draws[0]), list(shape))
        if run:
            signs = torch.sign(generated("%s/draw %d, run %d" % (name, draws[0], run), list(shape)))
            noise = noise * (1 + signs * torch.finfo(dtype).eps / 2)
        draws[0] += 1
        return noise.to(dtype)

    def keep(owner, attribute, put_right):
        inner = getattr(owner, attribute)

        def outer(*args, **kwargs):
            out = inner(*args, **kwargs)
            passed.append(out[0].detach().clone())
            if put_right and instead:
                return (instead.pop(0).to(dtype),) + tuple(out[1:])
            return out

        outer.__signature__ = inspect.signature(inner)
        setattr(owner, attribute, outer)

    replace_draws(draw)
    keep(pipe.vae, "decode", False)
    keep(pipe.scheduler, "step", True)
    with torch.no_grad():
        pipe(**call, output_type="np")
    return passed


def replace_draws(draw):
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("diffusers") and "randn_tensor" in vars(module):
            module.randn_tensor = draw


def only(out):
    (key,) = out.values()
    return key


def own(event, half):
    return event.setdefault("halves", {}).setdefault(half, {})


def record(recording, name, kind, scheduler, call, parts):
    trace, draws, passed, networks = [], [0], [], []
    pipe = kind(**parts, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)

    def draw(shape, *_, **__):
        by = inspect.stack()[1].function
        noise = generated("%s/draw %d" % (name, draws[0]), list(shape))
        draws[0] += 1
        trace.append(dict(ev="rng", by=by, out=recording.full(noise)))
        return noise

    replace_draws(draw)
    calls, undo = {}, []

    def wrap(owner, attribute, who, event):
        inner = getattr(owner, attribute)

        def outer(*args, **kwargs):
            out = inner(*args, **kwargs)
            n = calls[who] = calls.get(who, -1) + 1
            found = event(n, args, kwargs, out)
            if found:
                trace.append(dict(dict(ev="call", who=who, n=n), **found))
                if "out" in found and who != "scheduler":
                    networks.append((trace[-1], owner, attribute, args, kwargs))
            return out

        outer.__signature__ = inspect.signature(inner)
        setattr(owner, attribute, outer)
        undo.append((owner, attribute))

    def text(n, args, kwargs, out):
        return {"in": dict(input_ids=recording.full(args[0])), "out": dict(last_hidden_state=recording.put(out[0]))}

    def unet(n, args, kwargs, out):
        # One call in full is enough by itself; the run goes through all of them.
        if n != 1 or name not in ("t2i_dpmpp2m_karras", "inpaint"):
            return None
        states = kwargs["encoder_hidden_states"]
        given = dict(sample=recording.full(args[0]), timestep=float(args[1]), encoder_hidden_states=recording.full(states))
        return {"in": given, "out": {"0": recording.put(out[0])}}

    def encode(n, args, kwargs, out):
        moments = out[0] if isinstance(out, tuple) else out.latent_dist
        return {"in": {"x": recording.full(args[0])}, "out": {"latent_dist.moments": recording.put(moments.parameters)}} if name == "img2img_euler" else None

    def decode(n, args, kwargs, out):
        passed.append(out[0].detach().clone())
        return {"in": {"z": recording.full(args[0])}, "out": {"0": recording.put(out[0])}}

    def step(n, args, kwargs, out):
        passed.append(out[0].detach().clone())
        return dict(ev="step", out=dict(prev_sample=recording.put(out[0])))

    wrap(pipe.text_encoder, "forward", "text_encoder", text)
    wrap(pipe.unet, "forward", "unet", unet)
    wrap(pipe.vae, "encode", "vae.encode", encode)
    wrap(pipe.vae, "decode", "vae.decode", decode)
    wrap(pipe.scheduler, "step", "scheduler", step)
    inputs = {}
    real = dict(call)
    for field in ("image", "mask_image"):
        if field in call:
            inputs[field] = recording.full(torch.from_numpy(call[field]))
            real[field] = PIL.Image.fromarray(call[field])
    with torch.no_grad():
        pipe(**real, output_type="np")
    for owner, attribute in undo:
        delattr(owner, attribute)
    told = [event for event in trace if event["ev"] == "step" or event.get("who") == "vae.decode"]
    exact = again(name, kind, type(scheduler).from_config(scheduler.config), real, parts, torch.float64)
    assert len(told) == len(passed) == len(exact)
    for event, single, double in zip(told, passed, exact):
        event["rounding"] = float((single.double() - double).abs().max() / single.abs().max())
    recorded = [value for event, value in zip(told, passed) if event["ev"] == "step"]
    for half, dtype in HALVES.items():
        for event, owner, attribute, args, kwargs in networks:
            network = copy.deepcopy(owner).to(dtype)
            with torch.no_grad():
                out = getattr(network, attribute)(*[cast(a, dtype) for a in args], **{k: cast(a, dtype) for k, a in kwargs.items()})
            first = out[0] if isinstance(out, tuple) else getattr(out, "latent_dist", out)
            found = first.parameters if hasattr(first, "parameters") else first if torch.is_tensor(first) else first[0]
            own(event, half)["network"] = recording.distance(only(event["out"]), found)
        for how, instead, runs in (("run", recorded, 1), ("alone", (), RUNS)):
            for run in range(runs):
                found = again(name, kind, type(scheduler).from_config(scheduler.config), real, parts, dtype, instead, run)
                for event, value in zip(told, found, strict=True):
                    far = recording.distance(only(event["out"]), value)
                    own(event, half)[how] = max(far, own(event, half).get(how, 0.0))
    config = {k: v for k, v in dict(scheduler.config).items() if not k.startswith("_") and v == v and v not in (float("inf"), -float("inf"))}
    plain = {k: v for k, v in call.items() if k not in inputs}
    return dict(scheduler=type(scheduler).__name__, scheduler_config=config, call=plain, inputs=inputs, trace=trace)


def weighted(recording, parts):
    """Hidden states of prompts with weights: the encoder's, with the weights of the second program for A1111's language."""
    sys.path.insert(0, TEXT)
    import prompt_weights

    tokenizer, vocab = prompt_weights.tokenizer()
    rows = []
    for prompt in ("a (red:1.4) boat and [dark] sea", "((full moon)) " * 9 + "BREAK (stone walls:0.6), fog"):
        states = []
        for ids, weights in prompt_weights.padded(prompt, tokenizer, vocab):
            with torch.no_grad():
                plain = parts["text_encoder"](torch.tensor([ids]))[0].double()
            heavy = plain * torch.tensor(weights, dtype=torch.float64)[None, :, None]
            states.append(heavy * (plain.mean() / heavy.mean()))
        rows.append(dict(prompt=prompt, out=recording.put(torch.cat(states, 1).float())))
    return rows


def probes(tokenizer):
    return [dict(text=text, ids=tokenizer(text).input_ids) for text in ("", PROMPT, "Boats, BOATS; caf\u00e9 \U0001F98A 12")]


def configuration(model):
    config = model.config.to_dict() if hasattr(model.config, "to_dict") else dict(model.config)
    return json.loads(json.dumps({k: v for k, v in config.items() if not k.startswith("_")}, default=str))


def main(family):
    torch.set_num_threads(1)
    parts, table, vocab = networks(family == "sd15-inpaint")
    recording = Recording()
    recorded = {name: record(recording, name, kind, scheduler, call, parts) for name, kind, scheduler, call in cases(family == "sd15-inpaint")}
    folder = os.path.join(HERE, family)
    os.makedirs(folder, exist_ok=True)
    heavy = weighted(recording, parts) if family == "sd15" else []
    versions = dict(diffusers=diffusers.__version__, transformers=transformers.__version__, torch=torch.__version__)
    configs = {who: configuration(parts[who]) for who in ("text_encoder", "unet", "vae")}
    reference = dict(family=family, versions=versions, tokenizers=dict(tokenizer=probes(parts["tokenizer"])), weighted=heavy, digests=recording.digests, cases=recorded)
    for name, value in (("reference.json", reference), ("weights.json", dict(configs=configs, scheduler=SCHEDULER, tensors=table))):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file, separators=(",", ":"))
            file.write("\n")
    save_file(recording.tensors, os.path.join(folder, "reference.safetensors"))
    os.chmod(os.path.join(folder, "reference.safetensors"), 0o644)


if __name__ == "__main__":
    for family in sys.argv[1:]:
        main(family)
