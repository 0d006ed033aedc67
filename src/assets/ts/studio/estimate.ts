// What stands above the main action before it is pressed: tokens of the prompt, time of the job. Asks the server a
// moment after the last change; a later question makes an earlier answer void.

import { ApiError, send } from "../api";
import { byId, debounce, setText } from "../dom";
import type { Draft, Model } from "../types";
import { about, plural } from "../words";
import type { Form } from "./form";

const WAIT_MS = 250;
/** A count that failed, because the engine was starting or busy, is asked for again. */
const AGAIN_MS = 2_000;
const TRIES = 15;

interface Estimate {
  eta_s: number | null;
  starts_in_s: number | null;
}

export class Estimates {
  private tokensAsked: AbortController | null = null;
  private etaAsked: AbortController | null = null;
  private counted = "";
  private recount = 0;
  private again = 0;

  constructor(
    private readonly form: Form,
    private readonly device: string,
    private readonly draft: () => Draft,
    private readonly busy: () => boolean,
  ) {}

  readonly refresh = debounce(WAIT_MS, () => {
    void this.countTokens();
    void this.estimate();
  });

  private async countTokens(tries = TRIES): Promise<void> {
    const model = this.form.model;
    const prompt = this.form.prompt.value;
    clearTimeout(this.recount);
    this.tokensAsked?.abort();
    if (!model || this.counted === `${model.id}\n${prompt}`) return;
    const asked = (this.tokensAsked = new AbortController());
    try {
      const body = { model: model.id, prompt };
      const { tokens, chunks } = await send<{ tokens: number; chunks: number }>("POST", "/tokens", body, {
        signal: asked.signal,
      });
      this.counted = `${model.id}\n${prompt}`;
      setText(byId("tokens"), tokenWords(model, tokens, chunks));
    } catch (e) {
      const refused = e instanceof ApiError && e.status >= 400 && e.status < 500;
      if (asked.signal.aborted || refused || tries <= 1) return;
      this.recount = setTimeout(() => void this.countTokens(tries - 1), AGAIN_MS);
    }
  }

  private async estimate(): Promise<void> {
    this.etaAsked?.abort();
    clearTimeout(this.again);
    // Nobody can say before the engine has told its models; and what is plainly wrong needs no question.
    const wrong = this.form.check();
    if (!this.form.model || wrong) {
      const line = byId("before");
      line.toggleAttribute("data-bad", wrong);
      setText(line, wrong ? "Something above cannot be used as it is" : this.nothingYet());
      return;
    }
    const asked = (this.etaAsked = new AbortController());
    const line = byId("before");
    try {
      const answer = await send<Estimate>("POST", "/estimate", this.draft(), { signal: asked.signal });
      this.form.complain([]);
      delete line.dataset.bad;
      setText(line, this.words(answer));
      const first = document.getElementById("first-eta");
      if (first && answer.eta_s !== null) setText(first, `${about(answer.eta_s)} each on the ${this.device}`);
    } catch (e) {
      if (asked.signal.aborted || !(e instanceof ApiError)) return;
      // No answer is none for good: what it says of the connection would stay when that is back.
      if (e.unanswered) this.again = setTimeout(() => void this.estimate(), AGAIN_MS);
      const rest = e.fields.length > 0 ? this.form.complain(e.fields) : e.message;
      line.dataset.bad = "";
      setText(line, rest ?? "Something above cannot be used as it is");
    }
  }

  private nothingYet(): string {
    return this.device === ""
      ? "The engine is starting"
      : "No model is installed yet: put one under models/ in Easel's data folder";
  }

  private words({ eta_s, starts_in_s }: Estimate): string {
    if (this.busy() && starts_in_s !== null)
      return starts_in_s < 0.5 ? "The next one starts right after this one" : `Next one starts in ${about(starts_in_s)}`;
    if (eta_s === null) return "";
    const batch = this.draft().batch ?? 1;
    const start = starts_in_s !== null && starts_in_s > 1 ? `, starts in ${about(starts_in_s)}` : "";
    const time = about(eta_s);
    return `${time[0]?.toUpperCase()}${time.slice(1)} for ${plural(batch, "picture")} on the ${this.device}${start}`;
  }
}

function tokenWords(model: Model, tokens: number, chunks: number): string {
  return chunks > 1 ? `${tokens} tokens, ${chunks} chunks` : `${tokens} of ${model.chunk_tokens} tokens`;
}
