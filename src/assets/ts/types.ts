// The shapes that the API speaks, as the browser sees them. Knows no behaviour.

export interface Recipe {
  model: string;
  prompt: string;
  negative_prompt: string;
  width: number;
  height: number;
  steps: number;
  guidance: number;
  sampler: string;
  schedule: string;
  eta: number;
  guidance_rescale: number;
  clip_skip: number;
  seed: number;
  batch: number;
  strength?: number | null;
  image?: string | null;
  mask?: string | null;
  format: Format;
}
export type Format = "png" | "webp" | "jpeg";
export type Preset = "fast" | "balanced" | "quality";
export type Draft = Partial<Recipe> & { preset?: Preset };

export type Kind = "picture" | "video" | "sound";
export interface Artifact {
  id: string;
  job: string;
  index: number;
  /** Absent in events of a day when there were pictures only. */
  kind?: Kind;
  animated?: boolean;
  duration_ms?: number;
  url: string;
  thumb: string;
  width: number;
  height: number;
  mime: string;
  bytes: number;
  created: string | number;
  source: "easel" | "comfyui";
  prompt: string;
  workflow?: string;
  recipe?: Recipe;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled" | "parked";
export interface Trouble {
  what: string;
  place: string;
  remedy: string;
}
export interface Loading {
  model: string;
  done: number;
  total: number;
}
export interface Job {
  id: string;
  state: JobState;
  progress: number;
  step: number;
  steps: number;
  eta_s: number | null;
  place: number | null;
  error: Trouble | null;
  loading: Loading | null;
  created: string | number;
  recipe: Recipe;
  artifacts?: Artifact[];
}

/** A sampler as a form shows it, with the schedules it has. */
export interface SamplerChoice {
  name: string;
  label: string;
  schedules: Choice[];
}
export interface Choice {
  name: string;
  label: string;
}
export interface Model {
  id: string;
  name: string;
  family: string;
  bytes: number;
  embedded: boolean;
  about: string;
  native: [number, number];
  side: [number, number];
  defaults: {
    steps: number;
    guidance: number;
    sampler: string;
    schedule: string;
    clip_skip: number;
    guidance_rescale: number;
    strength: number;
  };
  presets: [Preset, number][];
  samplers: SamplerChoice[];
  chunk_tokens: number;
  inpaint_channels: boolean;
  vocabulary: { group: string; words: string[] }[];
  surprises: string[];
  examples: string[];
}

/** Events of the stream, as the worker hands them to a page. */
export type StreamEvent =
  | { type: "state"; seq: number; job: Job }
  | { type: "artifact"; seq: number; artifact: Artifact }
  | { type: "step"; job: string; step: number; steps: number; progress: number; eta_s: number | null }
  | { type: "loading"; job: string; model: string; done: number; total: number }
  | { type: "preview"; job: string; webp: string }
  | { type: "place"; job: string; place: number; eta_s: number | null }
  | { type: "held"; job: string; error: Trouble | null }
  | { type: "tools"; version: number }
  | { type: "notices"; version: number }
  | { type: "dataset"; dataset: string; version: number | null; task: DatasetTask | null };

/** What runs for a dataset, or ran last. */
export interface DatasetTask {
  number: number;
  kind: "unpack" | "caption" | "export" | "folder";
  state: "running" | "done" | "failed" | "cancelled";
  what: string;
  done: number;
  total: number;
  good: number;
  words: string;
  skipped: { why: string; count: number; first: string }[];
}

export const kindOf = (a: Artifact | undefined): Kind => a?.kind ?? "picture";

export const created = (noun: { created: string | number }): Date => {
  const value = noun.created;
  if (typeof value === "string") return new Date(value);
  return new Date(value < 1e12 ? value * 1000 : value);
};
