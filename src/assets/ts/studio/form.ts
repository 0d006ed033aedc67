// The composer's settings as a draft recipe, and back: models and their defaults, presets, shapes, seeds. Everything
// typed is remembered for the next visit. Knows neither jobs nor the reference picture.

import { lock, lockOpen } from "easel:icons";
import { byId, icon } from "../dom";
import { recall, remember } from "../settings";
import type { Draft, Format, Model, Preset, Recipe } from "../types";
import type { FieldProblem } from "../api";
import { complain, fill, Radios, Slider } from "./fields";
import { nativeSize, shapeOf, sizesFor, type Shape } from "./sizes";

const LARGEST_SEED = Number.MAX_SAFE_INTEGER;
/** Fresh seeds stay in the range that other programs take. */
const rollSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

interface Kept {
  draft: Draft;
  shape: Shape;
  locked: boolean;
}

/** Which sentence stands below which fields. */
const COMPLAINTS: Record<string, { line: string; inputs: string[] }> = {
  model: { line: "model-error", inputs: ["model"] },
  width: { line: "size-error", inputs: ["size", "width"] },
  height: { line: "size-error", inputs: ["size", "height"] },
  seed: { line: "seed-error", inputs: ["seed"] },
  steps: { line: "steps-error", inputs: ["steps-number"] },
  guidance: { line: "guidance-error", inputs: ["guidance-number"] },
  sampler: { line: "sampler-error", inputs: ["sampler"] },
  schedule: { line: "sampler-error", inputs: ["schedule"] },
  image: { line: "image-error", inputs: [] },
  mask: { line: "image-error", inputs: [] },
  strength: { line: "image-error", inputs: [] },
};

export class Form {
  readonly prompt = byId<HTMLTextAreaElement>("prompt");
  readonly negative = byId<HTMLTextAreaElement>("negative");
  private readonly modelSelect = byId<HTMLSelectElement>("model");
  private readonly sizeSelect = byId<HTMLSelectElement>("size");
  private readonly widthInput = byId<HTMLInputElement>("width");
  private readonly heightInput = byId<HTMLInputElement>("height");
  private readonly seedInput = byId<HTMLInputElement>("seed");
  private readonly samplerSelect = byId<HTMLSelectElement>("sampler");
  private readonly scheduleSelect = byId<HTMLSelectElement>("schedule");
  private readonly formatSelect = byId<HTMLSelectElement>("format");
  private readonly lockButton = byId<HTMLButtonElement>("seed-lock");
  private readonly preset = new Radios("preset", () => this.takePreset());
  private readonly shape = new Radios("shape", () => this.takeShape());
  private readonly batch = new Radios("batch", () => this.touched());
  private readonly steps = new Slider("steps", [1, 150], () => this.takeSteps());
  private readonly guidance = new Slider("guidance", [0, 30], () => this.touched());
  private readonly rescale = new Slider("rescale", [0, 1], () => this.touched());
  private readonly clip = new Slider("clip", [1, 12], () => this.touched());
  private readonly eta = new Slider("eta", [0, 1], () => this.touched());
  readonly strength = new Slider("strength", [0.01, 1], () => this.touched());
  private locked = false;
  /** After every change, by hand or by script. */
  changed: () => void = () => {};
  /** Another model was chosen. */
  modelChanged: () => void = () => {};

  constructor(private models: Model[]) {
    this.modelSelect.addEventListener("change", () => this.takeModel());
    this.sizeSelect.addEventListener("change", () => this.takeSize());
    this.samplerSelect.addEventListener("change", () => this.takeSampler());
    for (const e of [this.prompt, this.negative, this.widthInput, this.heightInput])
      e.addEventListener("input", () => this.touched());
    for (const e of [this.scheduleSelect, this.formatSelect]) e.addEventListener("change", () => this.touched());
    this.seedInput.addEventListener("input", () => this.setLock(true));
    byId("seed-roll").addEventListener("click", () => {
      this.seedInput.value = String(rollSeed());
      this.setLock(false);
    });
    this.lockButton.addEventListener("click", () => this.setLock(!this.locked));
    byId("defaults").addEventListener("click", () => this.takeModel());
    this.restore();
  }

  get model(): Model | undefined {
    return this.models.find((m) => m.id === this.modelSelect.value) ?? this.models[0];
  }

  /** Models came, went or changed. */
  setModels(models: Model[]): void {
    const draft = this.read();
    const had = this.models.length > 0;
    this.models = models;
    fill(
      this.modelSelect,
      models.map((m) => ({ name: m.id, label: m.name })),
      draft.model ?? "",
    );
    if (had) this.showModel(draft, this.shape.value as Shape);
    else this.restore();
    this.modelChanged();
    this.touched();
  }

  read(): Draft {
    const [width, height] = this.pixels();
    const seed = /^\d+$/.test(this.seedInput.value.trim()) ? Number(this.seedInput.value) : undefined;
    return {
      ...(this.model ? { model: this.model.id } : {}),
      prompt: this.prompt.value,
      negative_prompt: this.negative.value,
      width,
      height,
      steps: this.steps.value,
      guidance: this.guidance.value,
      sampler: this.samplerSelect.value,
      schedule: this.scheduleSelect.value,
      eta: this.samplerSelect.value === "ddim" ? this.eta.value : 0,
      guidance_rescale: this.rescale.value,
      clip_skip: this.clip.value,
      ...(seed === undefined ? {} : { seed }),
      batch: Number(this.batch.value || 1),
      format: this.formatSelect.value as Format,
    };
  }

  /** Fills the form with a recipe: its seed is kept, so that the same picture comes out again. Answers what could not be
   * taken, as sentences. */
  use(recipe: Draft): string[] {
    const known = this.models.some((m) => m.id === recipe.model);
    if (known && recipe.model) this.modelSelect.value = recipe.model;
    this.prompt.value = recipe.prompt ?? this.prompt.value;
    this.negative.value = recipe.negative_prompt ?? "";
    this.showModel(recipe, recipe.width && recipe.height ? shapeOf(recipe.width, recipe.height) : "1x1");
    if (recipe.strength) this.strength.value = recipe.strength;
    if (recipe.format) this.formatSelect.value = recipe.format;
    this.batch.value = String(recipe.batch ?? 1);
    if (recipe.seed !== undefined) this.seedInput.value = String(recipe.seed);
    this.setLock(recipe.seed !== undefined);
    this.modelChanged();
    const model = this.model;
    const replaced = recipe.model && !known ? [`They were made with “${recipe.model}”, which is not installed here${model ? `; ${model.name} is set` : ""}.`] : [];
    const chosen = this.samplerSelect.selectedOptions[0];
    if (recipe.sampler && chosen && chosen.value !== recipe.sampler)
      replaced.push(`This model has no sampler “${recipe.sampler}”; ${chosen.label} is set.`);
    return replaced;
  }

  setPrompt(text: string): void {
    this.prompt.value = text;
    this.touched();
  }

  setSize(width: number, height: number): void {
    this.shape.value = shapeOf(width, height);
    this.fillSizes(width, height);
    this.touched();
  }

  /** With a submission: a fresh seed for the next one, unless this one is kept. Answers how to take it back where nothing came
   * of the submission, as long as nobody has chosen another meanwhile. */
  nextSeed(): () => void {
    if (this.locked) return () => {};
    const [before, fresh] = [this.seedInput.value, String(rollSeed())];
    this.seedInput.value = fresh;
    this.touched();
    return () => {
      if (this.seedInput.value !== fresh) return;
      this.seedInput.value = before;
      this.touched();
    };
  }

  /** Looks at what was typed by hand, sizes as the server would; answers whether something is wrong. */
  check(): boolean {
    const problems = [...this.wrongSize(), ...this.wrongSeed()];
    if (problems.length > 0) this.complain(problems);
    return problems.length > 0;
  }

  /** An empty seed is a random one; another that is no number would become one without a word. */
  private wrongSeed(): FieldProblem[] {
    const text = this.seedInput.value.trim();
    if (text === "" || (/^\d+$/.test(text) && Number(text) <= LARGEST_SEED)) return [];
    return [{ field: "seed", message: `${text} is not a whole number between 0 and ${LARGEST_SEED}.` }];
  }

  private wrongSize(): FieldProblem[] {
    const model = this.model;
    if (!model || this.sizeSelect.value !== "other") return [];
    const [min, max] = model.side;
    return this.pixels().flatMap((value, i) => {
      if (Number.isInteger(value) && value % 8 === 0 && value >= min && value <= max) return [];
      const nearest = Math.min(max, Math.max(min, Math.round((value || min) / 8) * 8));
      const message = `${value || "Nothing"} is not a multiple of 8 between ${min} and ${max}; the nearest is ${nearest}.`;
      return [{ field: i === 0 ? "width" : "height", message }];
    });
  }

  /** Shows what the server does not take; answers what no field of this form is about. */
  complain(problems: FieldProblem[]): string | null {
    for (const { line, inputs } of Object.values(COMPLAINTS)) complain(line, inputs, null);
    const others: string[] = [];
    const lines = new Map<string, { inputs: string[]; says: string[] }>();
    for (const { field, message } of problems) {
      const place = COMPLAINTS[field];
      if (!place) others.push(message);
      else {
        const line = lines.get(place.line) ?? { inputs: [], says: [] };
        if (!line.says.includes(message)) line.says.push(message);
        lines.set(place.line, { inputs: [...line.inputs, ...place.inputs], says: line.says });
      }
    }
    for (const [line, { inputs, says }] of lines) complain(line, inputs, says.join(" "));
    return others.length > 0 ? others.join(" ") : null;
  }

  private pixels(): [number, number] {
    if (this.sizeSelect.value === "other") return [Number(this.widthInput.value), Number(this.heightInput.value)];
    const [width, height] = this.sizeSelect.value.split("x").map(Number);
    return [width ?? 0, height ?? 0];
  }

  private touched(): void {
    remember("draft", { draft: this.read(), shape: this.shape.value, locked: this.locked } satisfies Record<keyof Kept, unknown>);
    this.changed();
  }

  private restore(): void {
    const kept = recall<Partial<Kept>>("draft", {});
    const draft = kept.draft ?? {};
    if (draft.model && this.models.some((m) => m.id === draft.model)) this.modelSelect.value = draft.model;
    this.prompt.value = draft.prompt ?? "";
    this.negative.value = draft.negative_prompt ?? "";
    this.batch.value = String(draft.batch ?? 1);
    this.formatSelect.value = draft.format ?? "png";
    this.showModel(draft, kept.shape ?? "1x1");
    this.seedInput.value = String(kept.locked && draft.seed !== undefined ? draft.seed : rollSeed());
    this.setLock(kept.locked ?? false);
  }

  private setLock(locked: boolean): void {
    this.locked = locked;
    this.lockButton.ariaPressed = String(locked);
    this.lockButton.replaceChildren(icon(locked ? lock : lockOpen));
    this.touched();
  }

  /** Another model: its own defaults, the same words. */
  private takeModel(): void {
    this.showModel({}, this.shape.value as Shape);
    this.modelChanged();
    this.touched();
  }

  private showModel(draft: Draft, shape: Shape): void {
    const model = this.model;
    if (!model) return;
    const d = model.defaults;
    this.steps.value = draft.steps ?? d.steps;
    this.guidance.value = draft.guidance ?? d.guidance;
    this.rescale.value = draft.guidance_rescale ?? d.guidance_rescale;
    this.clip.value = draft.clip_skip ?? d.clip_skip;
    this.eta.value = draft.eta ?? 0;
    this.strength.value = draft.strength ?? d.strength;
    fill(this.samplerSelect, model.samplers, draft.sampler ?? d.sampler);
    this.fillSchedules(draft.schedule ?? d.schedule);
    this.shape.value = shape;
    const native = nativeSize(model, shape);
    this.fillSizes(draft.width ?? native.width, draft.height ?? native.height);
    this.showPreset();
  }

  private fillSizes(width: number, height: number): void {
    const model = this.model;
    if (!model) return;
    const sizes = sizesFor(model, this.shape.value as Shape);
    const value = `${width}x${height}`;
    fill(
      this.sizeSelect,
      [...sizes.map((s) => ({ name: `${s.width}x${s.height}`, label: s.label })), { name: "other", label: "Other size…" }],
      value,
    );
    if (this.sizeSelect.value !== value) this.sizeSelect.value = "other";
    this.widthInput.value = String(width);
    this.heightInput.value = String(height);
    byId("other-size").hidden = this.sizeSelect.value !== "other";
  }

  private takeShape(): void {
    const model = this.model;
    if (!model) return;
    const { width, height } = nativeSize(model, this.shape.value as Shape);
    this.fillSizes(width, height);
    this.touched();
  }

  private takeSize(): void {
    const other = this.sizeSelect.value === "other";
    byId("other-size").hidden = !other;
    if (other) this.widthInput.focus();
    this.touched();
  }

  private takeSampler(): void {
    this.fillSchedules(this.scheduleSelect.value);
    this.touched();
  }

  private fillSchedules(chosen: string): void {
    const sampler = this.model?.samplers.find((s) => s.name === this.samplerSelect.value);
    fill(this.scheduleSelect, sampler?.schedules ?? [], chosen);
    this.scheduleSelect.disabled = (sampler?.schedules.length ?? 0) < 2;
    byId<HTMLInputElement>("eta").disabled = byId<HTMLInputElement>("eta-number").disabled = this.samplerSelect.value !== "ddim";
  }

  private takePreset(): void {
    const steps = this.model?.presets.find(([name]) => name === (this.preset.value as Preset))?.[1];
    if (steps !== undefined) this.steps.value = steps;
    this.touched();
  }

  private takeSteps(): void {
    this.showPreset();
    this.touched();
  }

  private showPreset(): void {
    this.preset.value = this.model?.presets.find(([, steps]) => steps === this.steps.value)?.[0] ?? "";
  }
}

/** A recipe to show at once for a job that the server has not answered yet. */
export function recipeOf(draft: Draft): Recipe {
  return {
    model: draft.model ?? "",
    prompt: draft.prompt ?? "",
    negative_prompt: draft.negative_prompt ?? "",
    width: draft.width ?? 1,
    height: draft.height ?? 1,
    steps: draft.steps ?? 1,
    guidance: draft.guidance ?? 1,
    sampler: draft.sampler ?? "",
    schedule: draft.schedule ?? "plain",
    eta: draft.eta ?? 0,
    guidance_rescale: draft.guidance_rescale ?? 0,
    clip_skip: draft.clip_skip ?? 1,
    seed: Math.min(draft.seed ?? 0, LARGEST_SEED),
    batch: draft.batch ?? 1,
    strength: draft.strength ?? null,
    image: draft.image ?? null,
    mask: draft.mask ?? null,
    format: draft.format ?? "png",
  };
}
