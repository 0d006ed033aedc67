// The model's words as chips, "surprise me", and the last prompts. Knows the prompt field and nothing of jobs.

import { all, byId, make } from "../dom";
import { recall, remember } from "../settings";
import type { Form } from "./form";
import { hasWord, remembered, weigh, withoutWord, withWord } from "./prompt";

export class Words {
  private readonly prompts: string[];
  /** Where Alt ↑ has got to; -1 is what was typed. */
  private at = -1;
  private typed = "";
  private lastSurprise = "";

  constructor(private readonly form: Form) {
    this.prompts = recall<string[]>("prompts", []);
    byId("surprise").addEventListener("click", () => this.surprise());
    byId("word-groups").addEventListener("change", () => this.showChips());
    byId("chips").addEventListener("click", (e) => {
      const chip = (e.target as Element).closest<HTMLElement>(".chip");
      if (chip) this.toggle(chip.textContent ?? "");
    });
    this.showModel();
    this.listPrompts();
  }

  /** The chips of the chosen model; hidden where it knows the language at large. */
  showModel(): void {
    const model = this.form.model;
    const groups = model?.vocabulary ?? [];
    byId("words").hidden = groups.length === 0;
    byId("surprise").hidden = (model?.surprises.length ?? 0) === 0;
    byId("about").textContent = model?.about ?? "";
    const chosen = this.group;
    const kept = groups.some((g) => g.group === chosen) ? chosen : groups[0]?.group;
    byId("word-groups").replaceChildren(
      ...groups.map(({ group }) => {
        const input = make("input", { type: "radio", name: "words", value: group });
        input.checked = group === kept;
        return make("label", {}, input, group);
      }),
    );
    this.showChips();
  }

  /** Marks the chips whose words stand in the prompt. */
  refresh(): void {
    const prompt = this.form.prompt.value;
    for (const chip of all(".chip", byId("chips"))) chip.ariaPressed = String(hasWord(prompt, chip.textContent ?? ""));
  }

  surprise(): void {
    const surprises = (this.form.model?.surprises ?? []).filter((s) => s !== this.lastSurprise);
    const next = surprises[Math.floor(Math.random() * surprises.length)];
    if (next === undefined) return;
    this.lastSurprise = next;
    this.form.setPrompt(next);
  }

  /** A prompt was sent. */
  used(prompt: string): void {
    this.prompts.splice(0, this.prompts.length, ...remembered(this.prompts, prompt));
    remember("prompts", this.prompts);
    this.at = -1;
    this.listPrompts();
  }

  /** Alt ↑ goes back in time, Alt ↓ forward, at last to what was typed. */
  recallPrompt(direction: 1 | -1): void {
    if (this.at === -1) this.typed = this.form.prompt.value;
    const at = Math.max(-1, Math.min(this.prompts.length - 1, this.at + direction));
    if (at === this.at) return;
    this.at = at;
    this.form.setPrompt(at === -1 ? this.typed : (this.prompts[at] ?? ""));
    this.form.prompt.focus();
  }

  weigh(step: number): boolean {
    const field = document.activeElement === this.form.negative ? this.form.negative : this.form.prompt;
    if (document.activeElement !== field) return false;
    const { value, selectionStart, selectionEnd } = field;
    const next = weigh({ text: value, start: selectionStart, end: selectionEnd }, step);
    field.value = next.text;
    field.setSelectionRange(next.start, next.end);
    field.dispatchEvent(new Event("input"));
    return true;
  }

  private get group(): string {
    return all<HTMLInputElement>("input[name=words]").find((i) => i.checked)?.value ?? "";
  }

  private showChips(): void {
    const group = this.form.model?.vocabulary.find((g) => g.group === this.group);
    const chips = byId("chips");
    chips.ariaLabel = group?.group ?? "";
    chips.replaceChildren(
      ...(group?.words ?? []).map((w) => make("button", { type: "button", class: "chip", "aria-pressed": "false" }, w)),
    );
    this.refresh();
  }

  private toggle(word: string): void {
    const prompt = this.form.prompt.value;
    this.form.setPrompt(hasWord(prompt, word) ? withoutWord(prompt, word) : withWord(prompt, word));
  }

  private listPrompts(): void {
    if (this.prompts.length === 0) return;
    const menu = byId<HTMLDetailsElement>("last-prompts");
    byId("last-prompts-list").replaceChildren(
      ...this.prompts.slice(0, 8).map((prompt) => {
        const button = make("button", { type: "button" }, prompt);
        button.addEventListener("click", () => {
          menu.open = false;
          this.form.setPrompt(prompt);
          this.form.prompt.focus();
        });
        return button;
      }),
    );
  }
}
