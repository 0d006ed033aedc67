// The frame and its caption: one picture, preview or sentence at a time, always in the same place. Draws what it is
// given; decides nothing.

import { all, byId, make, setText, setVar } from "../dom";
import type { Model } from "../types";
import { bytes, capital, duration, hour, ordinal } from "../words";
import { altOf, factsOf, troubleText } from "./facts";
import { placeInLine, type LiveJob, type Picture } from "./jobs";
import { created } from "../types";

type State = "first" | "idle" | "waiting" | "queued" | "running" | "error" | "mask";

export type View =
  | { kind: "first"; ratio: number }
  | { kind: "picture"; picture: Picture; of: number }
  | { kind: "job"; job: LiveJob }
  | { kind: "mask"; url: string; width: number; height: number };

export class Stage {
  private readonly studio = byId("main");
  private readonly frame = byId("frame");
  private readonly picture = byId<HTMLImageElement>("picture");
  private readonly parts = all<HTMLElement>("[data-when]");
  private spoken = "";

  constructor(private models: Model[]) {}

  setModels(models: Model[]): void {
    this.models = models;
  }

  draw(view: View): void {
    switch (view.kind) {
      case "first":
        this.show("first", view.ratio);
        this.picture.hidden = true;
        break;
      case "picture":
        this.drawPicture(view.picture, view.of);
        break;
      case "mask":
        this.show("mask", view.width / view.height);
        this.setPicture(view.url, "The reference picture", view.width, view.height);
        break;
      case "job":
        this.drawJob(view.job);
    }
  }

  private show(state: State, ratio: number): void {
    setVar(this.frame, "--ar", ratio);
    if (this.studio.dataset.state === state) return;
    this.studio.dataset.state = state;
    for (const part of this.parts) part.hidden = !part.dataset.when?.split(" ").includes(state);
  }

  private setPicture(url: string, alt: string, width: number, height: number): void {
    const { picture } = this;
    if (picture.getAttribute("src") !== url) picture.src = url;
    picture.alt = alt;
    picture.width = width;
    picture.height = height;
    picture.hidden = false;
    setVar(this.frame, "--native", `${width / devicePixelRatio}px`);
  }

  private drawPicture(picture: Picture, of: number): void {
    const { recipe } = picture;
    this.show("idle", picture.width / picture.height);
    this.setPicture(picture.url, altOf(recipe), picture.width, picture.height);
    this.picture.dataset.id = picture.id;
    setText(byId("title"), altOf(recipe));
    const facts = factsOf(this.models, recipe);
    if (of > 1) facts.push(`${picture.index + 1} of ${of} in this batch`);
    this.facts("recipe", facts);
    const download = byId<HTMLAnchorElement>("download");
    download.href = picture.url;
    download.ariaLabel = `Download ${recipe.format.toUpperCase()}, ${bytes(picture.bytes)}`;
  }

  private drawJob(job: LiveJob): void {
    const ratio = job.recipe.width / job.recipe.height;
    delete this.picture.dataset.id;
    if (job.state === "failed" || job.state === "parked") {
      this.drawTrouble(job, ratio);
      return;
    }
    // What was said of the job before is said again of this one.
    if (job.sending) this.say("");
    setText(byId("running-prompt"), altOf(job.recipe));
    this.facts("running-recipe", factsOf(this.models, job.recipe));
    if (job.state === "queued") this.drawQueued(job, ratio);
    else this.drawRunning(job, ratio);
  }

  private drawQueued(job: LiveJob, ratio: number): void {
    const place = placeInLine(job);
    if (place === null) {
      this.show("waiting", ratio);
      setText(byId("waiting-word"), job.sending ? "Sending" : "Starting");
      setText(byId("progress"), job.sending ? "Sending" : "Starting");
      setVar(byId("frame-bar"), "--p", 0);
      return;
    }
    this.show("queued", ratio);
    this.places(place);
    const ready = job.eta_s === null ? "" : `Ready in about ${duration(job.eta_s)}. `;
    const held = job.error ? `${troubleText(job.error)} ` : "";
    setText(byId("place-title"), job.error ? capital(job.error.what) : `${placeWord(place)} in the queue`);
    setText(byId("place-text"), `${held || ready}You can close this page: the picture will be in your gallery.`);
    setText(
      byId("progress"),
      `${placeWord(place)} in the queue${job.eta_s === null ? "" : `, about ${duration(job.eta_s)}`}`,
    );
    this.say(`${placeWord(place)} in the queue`);
  }

  /** Own place only: the others are blank squares, and far ones are not drawn. */
  private places(place: number): void {
    const shown = Math.min(place - 1, 4);
    const squares = Array.from({ length: shown }, (_, i) => {
      const first = i === 0;
      return make(
        "li",
        { class: first ? "now" : null },
        make("span", { class: "vh" }, first ? "Running, somebody else's: " : "Somebody else's: "),
        String(i + 1),
      );
    });
    if (place - 1 > shown) squares.push(make("li", { class: "more", "aria-hidden": "true" }, "…"));
    byId("places").replaceChildren(
      ...squares,
      make("li", { "aria-current": "true" }, make("span", { class: "vh" }, `${placeWord(place)}: `), "You"),
    );
  }

  private drawRunning(job: LiveJob, ratio: number): void {
    if (job.preview) {
      this.show("running", ratio);
      this.setPicture(job.preview, `Preview after step ${job.step}, still rough`, job.recipe.width, job.recipe.height);
    } else {
      this.show("waiting", ratio);
      setText(byId("waiting-word"), job.error ? "Waiting" : job.loading ? `Loading ${job.loading.model}` : "Starting");
    }
    const { loading } = job;
    const share = loading ? loading.done / Math.max(1, loading.total) : job.progress;
    setVar(byId("frame-bar"), "--p", share.toFixed(4));
    if (job.error) {
      setText(byId("progress"), `${capital(job.error.what)} ${troubleText(job.error)}`.trim());
      this.say(job.error.what);
    } else if (loading) {
      setText(byId("progress"), `Loading ${loading.model}, ${bytes(loading.done)} of ${bytes(loading.total)}`);
    } else if (job.step > 0) {
      const left = job.eta_s === null ? "" : `, ${duration(job.eta_s)} left`;
      setText(byId("progress"), job.step >= job.steps ? `Finishing${left}` : `Step ${job.step} of ${job.steps}${left}`);
    } else {
      setText(byId("progress"), "Starting");
    }
    const quarter = Math.floor(job.progress * 4) * 25;
    if (quarter > 0) this.say(`Picture ${quarter} % done`);
  }

  private drawTrouble(job: LiveJob, ratio: number): void {
    const trouble = job.error ?? { what: "It did not finish", place: "", remedy: "Try it again." };
    this.show("error", ratio);
    const parked = job.state === "parked";
    setText(byId("trouble-status"), parked ? "Parked" : "Not finished");
    setText(byId("trouble-what"), capital(trouble.what.replace(/\.$/, "")));
    setText(byId("trouble-text"), troubleText(trouble));
    setText(byId("trouble-again"), parked ? "Run it again" : "Try again");
    setText(byId("trouble-kept"), `Your prompt and settings are kept. Job ${job.id.slice(-6)}, ${hour(created(job))}`);
    setText(byId("failed-prompt"), altOf(job.recipe));
    this.facts("failed-recipe", factsOf(this.models, job.recipe));
    byId("trouble").setAttribute("role", "alert");
  }

  /** Spoken by screen readers: at quarters and at the end, not at every step. */
  say(text: string): void {
    if (this.spoken === text) return;
    this.spoken = text;
    setText(byId("said"), text);
  }

  private facts(id: string, facts: string[]): void {
    const line = byId(id);
    if ([...line.children].map((c) => c.textContent).join("\n") === facts.join("\n")) return;
    line.replaceChildren(...facts.map((f) => make("span", {}, f)));
  }
}

const placeWord = (place: number): string =>
  capital(["", "first", "second", "third", "fourth", "fifth"][place] ?? ordinal(place));
