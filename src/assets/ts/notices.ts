// What the studio has to say to its people: a pod about to stop, with its countdown, over every page; all of it in a list
// where a page has room. Asks again when the event stream says so. Knows no page.

import { circleAlert, hourglass } from "easel:icons";
import { get, send, wordsOf } from "./api";
import { icon, make, setText } from "./dom";
import { listen } from "./events";
import { whileSeen } from "./live";
import { toast } from "./toasts";
import { running } from "./words";

export interface Notice {
  id: string;
  bad: boolean;
  title: string;
  text: string;
  left?: number;
  action?: { words: string; post: string };
}

const fetchAll = async (): Promise<Notice[]> => (await get<{ items: Notice[] }>("/notices")).items;

/** One notice, as it stands in a page. `act` runs what it offers. */
export function notice(one: Notice, act: (path: string) => Promise<void>): HTMLElement {
  const words = make("p", {}, make("b", {}, one.title), ` ${one.text}`);
  const element = make(
    "div",
    { class: `notice ${one.bad ? "notice--bad" : "notice--warn"}`, "data-notice": one.id },
    icon(one.left !== undefined ? hourglass : circleAlert),
    words,
  );
  if (one.action) {
    const { words, post } = one.action;
    const button = make("button", { type: "button", class: "btn" }, words);
    button.addEventListener("click", () => {
      button.ariaBusy = "true";
      void act(post).finally(() => (button.ariaBusy = null));
    });
    element.append(button);
  }
  return element;
}

/** The countdown of a pod that nobody uses, above whatever page is open. */
class Countdown {
  /** Ticks, and is read when somebody goes there; what is read out by itself stands still. */
  private readonly left = make("span", { class: "num", role: "timer" });
  private readonly text = make("p", { role: "alert" });
  private readonly element: HTMLElement;
  private until = 0;

  constructor() {
    const keep = make("button", { type: "button", class: "btn btn--main" }, "Keep it running");
    keep.addEventListener("click", () => void this.keep(keep));
    const title = make("h2", {}, "This pod stops in ", this.left);
    this.element = make("aside", { class: "countdown", id: "countdown", hidden: true }, icon(hourglass), make("div", {}, title, this.text), keep);
    document.body.append(this.element);
    setInterval(() => this.tick(), 1_000);
  }

  show(notices: Notice[]): void {
    const told = notices.find((one) => one.left !== undefined);
    this.element.hidden = told?.left === undefined;
    if (told?.left === undefined) return;
    // A span and no time of day: the browser's clock may be wrong, but goes on while the machine sleeps.
    this.until = Date.now() + told.left;
    setText(this.text, `${told.title} ${told.text}`);
    this.tick();
  }

  private tick(): void {
    setText(this.left, running(Math.max(0, (this.until - Date.now()) / 1000)));
  }

  private async keep(button: HTMLElement): Promise<void> {
    button.ariaBusy = "true";
    try {
      await send("POST", "/pod/keep");
      this.element.hidden = true;
    } catch (e) {
      toast(wordsOf(e), { bad: true });
    } finally {
      button.ariaBusy = null;
    }
  }
}

/** On a pod that stops itself: every page shows the countdown. Elsewhere nothing is asked. */
export function startNotices(): void {
  if (!("pod" in document.body.dataset)) return;
  const countdown = new Countdown();
  const look = whileSeen(
    () => null,
    async () => countdown.show(await fetchAll()),
  );
  void look();
  listen(null, (event) => {
    if (event.type === "notices") void look();
  });
}

/** Keeps a section of a page in step with what there is to say. */
export class Notices {
  private drawn = "";

  constructor(
    private readonly section: HTMLElement,
    private readonly act: (path: string) => Promise<void>,
  ) {}

  draw(items: Notice[]): void {
    // A countdown floats above every page already.
    const shown = items.filter((one) => one.left === undefined);
    const wanted = JSON.stringify(shown);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.section.hidden = shown.length === 0;
    this.section.replaceChildren(...shown.map((one) => notice(one, this.act)));
  }

  async look(): Promise<void> {
    this.draw(await fetchAll());
  }
}
