// The strip of the latest pictures: newest on top. A job takes its slot when it is submitted and becomes its pictures
// there. Keeps the elements that stay, so that nothing flickers and the focus holds.

import { triangleAlert } from "easel:icons";
import { byId, icon, make, setText, setVar } from "../dom";
import { duration, ordinal, plural } from "../words";
import { altOf } from "./facts";
import { placeInLine, type Jobs, type LiveJob, type Picture } from "./jobs";

export class Strip {
  private readonly list = byId("latest");
  private readonly items = new Map<string, HTMLLIElement>();
  /** What stands there while there is nothing. */
  private readonly none =
    document.getElementById("none-yet") ?? make("li", { id: "none-yet" }, make("p", { class: "meta" }, "Your pictures line up here"));

  constructor(private readonly jobs: Jobs) {
    for (const li of this.list.querySelectorAll<HTMLLIElement>("li[data-id]")) this.items.set(`p${li.dataset.id}`, li);
    this.list.addEventListener("click", (e) => this.click(e));
  }

  draw(): void {
    const { jobs, pictures, looking } = this.jobs;
    const slots = [...jobs.values()].map((job) => ({
      key: `j${job.id}`,
      job: job.sending ? "~" : job.id,
      element: () => this.slot(job),
    }));
    const cells = pictures.map((p) => ({ key: `p${p.id}`, job: p.job, element: () => this.cell(p) }));
    // Ids of jobs sort by time; one that is still being sent is the newest.
    const entries = [...slots, ...cells].sort((a, b) => (a.job === b.job ? 0 : a.job < b.job ? 1 : -1));
    const wanted = entries.length > 0 ? entries.map((e) => e.element()) : [this.none];
    const keys = new Set(entries.map((e) => e.key));
    for (const key of [...this.items.keys()]) if (!keys.has(key)) this.items.delete(key);
    const now = [...this.list.children];
    if (wanted.length !== now.length || wanted.some((li, i) => li !== now[i])) this.list.replaceChildren(...wanted);
    for (const { key } of entries) {
      const chosen = looking !== null && key === `${looking.kind === "job" ? "j" : "p"}${looking.id}`;
      const button = this.items.get(key)?.firstElementChild;
      if (chosen) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    }
  }

  /** Moves the look by one, newer or older; answers false at an end. */
  step(by: 1 | -1): boolean {
    const buttons = [...this.list.querySelectorAll<HTMLElement>(".cell, .slot")];
    const at = buttons.findIndex((b) => b.hasAttribute("aria-current"));
    const next = buttons[at + by];
    if (!next) return false;
    this.choose(next);
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    return true;
  }

  private click(e: MouseEvent): void {
    const target = (e.target as Element).closest<HTMLElement>(".cell, .slot");
    // A click with a modifier goes where the link goes: the picture's own page.
    if (!target || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    this.choose(target);
  }

  private choose(target: HTMLElement): void {
    const { id, job } = (target.closest("li") as HTMLElement).dataset;
    if (job) this.jobs.look({ kind: "job", id: job });
    else if (id) this.jobs.look({ kind: "picture", id });
  }

  private cell(picture: Picture): HTMLLIElement {
    const key = `p${picture.id}`;
    const known = this.items.get(key);
    if (known) return known;
    const image = make("img", { src: picture.thumb, width: picture.width, height: picture.height, alt: altOf(picture.recipe) });
    const li = make("li", { "data-id": picture.id }, make("a", { class: "cell", href: `/picture/${picture.id}` }, image));
    this.items.set(key, li);
    return li;
  }

  private slot(job: LiveJob): HTMLLIElement {
    const key = `j${job.id}`;
    let li = this.items.get(key);
    if (!li) {
      const bar = make("i");
      li = make(
        "li",
        { "data-job": job.id },
        make(
          "button",
          { type: "button", class: "slot" },
          make("b"),
          make("span"),
          make("span", { class: "vh" }),
          make("div", { class: "bar", "aria-hidden": "true" }, bar),
        ),
      );
      this.items.set(key, li);
    }
    const [head, word, said, bar] = [...(li.firstElementChild?.children ?? [])] as [Element, Element, Element, HTMLElement];
    const failed = job.state === "failed" || job.state === "parked";
    const running = job.state === "running";
    bar.hidden = failed;
    const how = failed ? "not finished" : running ? "generating" : "waiting";
    setText(said, `, ${how}: ${altOf(job.recipe)}`);
    if (failed) {
      if (!head.querySelector("svg")) head.replaceChildren(icon(triangleAlert));
      setText(word, job.state === "parked" ? "Parked" : "Not finished");
    } else {
      const place = placeInLine(job);
      setText(head, running ? `${Math.round((job.loading ? 0 : job.progress) * 100)} %` : place ? ordinal(place) : "…");
      setText(
        word,
        running
          ? job.error
            ? "Waiting"
            : job.loading
              ? "Loading"
              : plural(job.recipe.batch, "picture")
          : place && job.eta_s !== null
            ? `about ${duration(job.eta_s)}`
            : "Starting",
      );
      setVar(bar.firstElementChild as HTMLElement, "--p", running ? job.progress.toFixed(4) : 0);
    }
    return li;
  }
}
