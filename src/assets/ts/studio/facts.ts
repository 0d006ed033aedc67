// A recipe in words, for captions. Pure.

import type { Model, Recipe, Trouble } from "../types";
import { size } from "../words";

export function labelOf(models: Model[], recipe: Recipe): { sampler: string; schedule: string; model: string } {
  const model = models.find((m) => m.id === recipe.model);
  const every = models.flatMap((m) => m.samplers);
  const sampler =
    (model?.samplers ?? every).find((s) => s.name === recipe.sampler) ?? every.find((s) => s.name === recipe.sampler);
  const schedule = sampler?.schedules.find((s) => s.name === recipe.schedule);
  return {
    sampler: sampler?.label ?? recipe.sampler,
    schedule: schedule?.label ?? recipe.schedule,
    model: model?.name ?? recipe.model,
  };
}

/** "Seed 41882093", "20 steps", … in the order in which artists look for them. */
export function factsOf(models: Model[], recipe: Recipe): string[] {
  const { sampler, schedule } = labelOf(models, recipe);
  return [
    `Seed ${recipe.seed}`,
    `${recipe.steps} ${recipe.steps === 1 ? "step" : "steps"}`,
    `Guidance ${recipe.guidance}`,
    recipe.schedule === "plain" ? sampler : `${sampler} ${schedule}`,
    size(recipe.width, recipe.height),
    ...(recipe.strength ? [`Strength ${recipe.strength}`] : []),
  ];
}

/** Where it happened and what to do, as one paragraph. */
export function troubleText(trouble: Trouble): string {
  const sentence = (text: string): string => (text === "" || /[.!?]$/.test(text) ? text : `${text}.`);
  const place = trouble.place === "" ? "" : sentence(`It stopped at ${trouble.place}`);
  return [place, sentence(trouble.remedy)].filter(Boolean).join(" ");
}

/** What is read out for a picture without words. */
export const altOf = (recipe: Recipe): string => recipe.prompt.trim() || "A picture without a prompt";
