// The small fields of the composer: sliders with numbers, radio groups, selects. Knows no recipe.

import { all, byId, make, setVar } from "../dom";
import type { Choice } from "../types";

/** A slider and its number, kept equal. The number may go beyond the slider, within its own limits. */
export class Slider {
  private readonly range: HTMLInputElement;
  private readonly number: HTMLInputElement;

  constructor(
    id: string,
    private limits: [number, number],
    private changed: () => void,
  ) {
    this.range = byId<HTMLInputElement>(id);
    this.number = byId<HTMLInputElement>(this.range.dataset.number ?? "");
    this.range.addEventListener("input", () => this.take(this.range.value));
    this.number.addEventListener("change", () => this.take(this.number.value));
    this.number.addEventListener("keydown", (e) => {
      const step = Number(this.range.step) * (e.shiftKey ? 10 : 1);
      if (e.ctrlKey || (e.key !== "ArrowUp" && e.key !== "ArrowDown")) return;
      e.preventDefault();
      this.take(String(this.value + (e.key === "ArrowUp" ? step : -step)));
    });
    this.paint();
  }

  /** For another use of the same fields: their limits, how far the slider goes, where it stands, who hears of changes. */
  use(limits: [number, number], end: number, value: number, changed: () => void): void {
    this.limits = limits;
    this.changed = changed;
    this.range.max = String(end);
    this.value = value;
  }

  get value(): number {
    return Number(this.number.value);
  }

  set value(value: number) {
    this.number.value = String(Math.round(value * 1000) / 1000);
    this.range.value = this.number.value;
    this.paint();
  }

  private take(text: string): void {
    const parsed = Number(text.replace(",", "."));
    const [min, max] = this.limits;
    const value = Number.isFinite(parsed) && text.trim() !== "" ? Math.min(max, Math.max(min, parsed)) : Number(this.range.value);
    this.value = this.range.step === "1" ? Math.round(value) : value;
    this.changed();
  }

  private paint(): void {
    const { value, min, max } = this.range;
    setVar(this.range, "--v", `${((Number(value) - Number(min)) / (Number(max) - Number(min))) * 100}%`);
  }
}

/** The chosen value of a radio group; an unknown value chooses none. */
export class Radios {
  constructor(
    private readonly name: string,
    changed: () => void,
  ) {
    addEventListener("change", (e) => {
      if (e.target instanceof HTMLInputElement && e.target.name === name) changed();
    });
  }

  get value(): string {
    return this.inputs.find((i) => i.checked)?.value ?? "";
  }

  set value(value: string) {
    for (const input of this.inputs) input.checked = input.value === value;
  }

  private get inputs(): HTMLInputElement[] {
    return all<HTMLInputElement>(`input[name="${this.name}"]`);
  }
}

/** Fills a select, keeping the chosen value where it is still offered. */
export function fill(select: HTMLSelectElement, choices: Choice[], chosen: string): void {
  select.replaceChildren(...choices.map((c) => make("option", { value: c.name }, c.label)));
  select.value = choices.some((c) => c.name === chosen) ? chosen : (choices[0]?.name ?? "");
}

/** A sentence below a field, or none. */
export function complain(line: string, fields: string[], sentence: string | null): void {
  const element = byId(line);
  element.hidden = sentence === null;
  const words = element.querySelector("span");
  if (words) words.textContent = sentence ?? "";
  for (const id of fields) {
    const field = byId(id);
    if (sentence === null) field.removeAttribute("aria-invalid");
    else field.setAttribute("aria-invalid", "true");
  }
}
