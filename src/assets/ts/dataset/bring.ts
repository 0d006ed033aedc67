// Files on their way into a dataset: a line for each with how far it is, a few at a time, and for what failed the reason
// and what to do.

import { circleAlert } from "easel:icons";
import { send, wordsOf } from "../api";
import { byId, icon, make, setText, setVar } from "../dom";
import { pieces, Queue } from "../uploads";
import { bytes, plural } from "../words";
import { toast } from "../toasts";
import { dropped, sort, type Found, type Sorted, type Wanted } from "./files";

/** Lines that are drawn; the others are counted. */
const LINES = 8;

interface Taken {
  offset: number;
  state: "more" | "added" | "already" | "unpacking";
}

export class Bringing {
  private readonly queue = new Queue<Wanted>(
    (wanted) => this.send(wanted),
    () => this.draw(),
  );
  private counts = { added: 0, already: 0, unpacking: 0, failed: 0, all: 0 };

  constructor(
    private readonly dataset: string,
    private readonly came: () => void,
  ) {
    const input = byId<HTMLInputElement>("files");
    for (const id of ["add", "drop"]) byId(id).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = [...(input.files ?? [])].map((file) => ({ path: file.name, file }));
      input.value = "";
      this.bring(Promise.resolve(files));
    });
    byId("bringing-close").addEventListener("click", () => this.close());
    this.listenToDrops();
    addEventListener("beforeunload", (e) => {
      if (this.queue.busy) e.preventDefault();
    });
  }

  private listenToDrops(): void {
    const cover = byId("dropall");
    const holdsFiles = (e: DragEvent): boolean => e.dataTransfer?.types.includes("Files") ?? false;
    addEventListener("dragenter", (e) => {
      if (holdsFiles(e)) cover.hidden = false;
    });
    addEventListener("dragover", (e) => {
      if (holdsFiles(e)) e.preventDefault();
    });
    cover.addEventListener("dragleave", () => (cover.hidden = true));
    addEventListener("drop", (e) => {
      cover.hidden = true;
      if (!e.dataTransfer || !holdsFiles(e)) return;
      e.preventDefault();
      this.bring(dropped(e.dataTransfer));
    });
  }

  /** What cannot be read on this computer, because it was moved or may not be looked at, is told. */
  private bring(found: Promise<Found[]>): void {
    found
      .then(sort)
      .then((sorted) => this.take(sorted))
      .catch((e: unknown) => toast(`This browser could not read them, so nothing was added. ${wordsOf(e)}`, { bad: true }));
  }

  private take({ wanted, others }: Sorted): void {
    if (!this.queue.busy) {
      this.counts = { added: 0, already: 0, unpacking: 0, failed: 0, all: 0 };
      byId("bringing-list").replaceChildren();
    }
    for (const name of others.slice(0, LINES)) this.complain(name, "is no PNG, JPEG, WebP or zip, and no caption of one. It was left out.");
    if (others.length > LINES) this.complain(`${others.length - LINES} more`, "were left out for the same reason.");
    this.counts.all += wanted.length;
    byId("bringing").hidden = wanted.length + others.length === 0;
    this.queue.add(wanted);
  }

  private async send(wanted: Wanted): Promise<void> {
    const bar = make("div", { class: "bar" }, make("i"));
    const words = make("span", { class: "meta" }, `0 of ${bytes(wanted.file.size)}`);
    const line = make("li", {}, make("span", { class: "wrap" }, wanted.file.name), words, bar);
    byId("bringing-list").append(line);
    try {
      const { file, caption } = wanted;
      const { id } = await send<{ id: string }>("POST", `/datasets/${this.dataset}/uploads`, { name: file.name, bytes: file.size, caption });
      const progress = (share: number): void => {
        setVar(bar, "--p", share);
        setText(words, `${bytes(share * file.size)} of ${bytes(file.size)}`);
      };
      const last = await pieces<Taken>({ path: `/dataset-uploads/${id}`, file, at: 0, isLast: (reply) => reply.state !== "more", progress });
      if (last.state !== "more") this.counts[last.state] += 1;
      this.came();
    } catch (e) {
      this.counts.failed += 1;
      this.complain(wanted.file.name, wordsOf(e), wanted);
    }
    line.remove();
  }

  private complain(name: string, why: string, again?: Wanted): void {
    const line = make("li", { class: "failed" }, make("p", { class: "error" }, icon(circleAlert), make("span", {}, make("b", {}, name), ` ${why}`)));
    if (again) {
      const retry = make("button", { type: "button", class: "btn" }, "Try again");
      retry.addEventListener("click", () => {
        line.remove();
        this.counts.failed -= 1;
        this.queue.add([again]);
      });
      line.append(retry);
    }
    byId("bringing-list").prepend(line);
  }

  private draw(): void {
    const { added, already, unpacking, failed, all } = this.counts;
    const done = added + already + unpacking + failed;
    const parts = [
      added > 0 || (already === 0 && unpacking === 0) ? `${plural(added, "picture")} added` : "",
      already > 0 ? `${already} there already` : "",
      unpacking > 0 ? `${plural(unpacking, "archive")} here` : "",
      failed > 0 ? `${failed} failed` : "",
    ].filter(Boolean);
    setText(byId("bringing-title"), this.queue.busy ? `${done} of ${plural(all, "file")}` : parts.join(", "));
    byId("bringing-close").hidden = this.queue.busy;
    // Nothing went wrong: the pictures themselves say so.
    if (!this.queue.busy && byId("bringing-list").childElementCount === 0 && already === 0) byId("bringing").hidden = true;
  }

  private close(): void {
    byId("bringing").hidden = true;
    byId("bringing-list").replaceChildren();
  }
}
