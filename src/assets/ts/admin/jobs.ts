// Everybody's jobs, without their prompts: looked at anew while the page is seen; one can be cancelled.

import { get, send, wordsOf } from "../api";
import { byId, embedded, make, setText } from "../dom";
import { toast } from "../toasts";
import { about, duration, moment, plural, size } from "../words";
import { status } from "../status";
import { ask } from "../ask";
import { latest, whileSeen } from "../live";
import { Rows } from "../rows";
import { cell, choice } from "./parts";

interface Job {
  id: string;
  profile: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "parked";
  model: string;
  width: number;
  height: number;
  steps: number;
  batch: number;
  progress: number;
  place: number | null;
  eta_s: number | null;
  error: string | null;
  created: string;
  started: string | null;
  finished: string | null;
}
interface Page {
  items: Job[];
  next: string | null;
}

const EVERY_MS = 2_000;
let names: Record<string, string> = {};
let again: () => void = () => {};
const nameOf = (profile: string): string => names[profile] ?? profile;

function state(job: Job): HTMLElement {
  switch (job.state) {
    case "running":
      return status("busy", job.progress > 0 ? `Running, ${Math.round(job.progress * 100)} %` : "Running");
    case "queued":
      return status("off", job.place === null ? "Waiting" : `Waiting, place ${job.place}`);
    case "done":
      return make("span", { class: "quiet" }, "Done");
    case "cancelled":
      return status("off", "Cancelled");
    case "parked":
      return status("warn", "Parked");
    default:
      return status("bad", "Failed");
  }
}

function took(job: Job): string {
  if (job.started && job.finished) return duration((Date.parse(job.finished) - Date.parse(job.started)) / 1000);
  return job.eta_s !== null ? about(job.eta_s) : "–";
}

function cancel(job: Job): void {
  const whose = nameOf(job.profile);
  ask({
    title: `Cancel ${whose}'s job?`,
    text: `${plural(job.batch, "picture")} of ${size(job.width, job.height)}. Pictures that are finished stay; ${whose} can submit it again.`,
    confirm: "Cancel the job",
    keep: "Keep",
    bad: true,
    run: async () => {
      await send("DELETE", `/admin/jobs/${job.id}`);
      toast(`${whose}'s job is cancelled.`);
      again();
    },
  });
}

function row(job: Job): HTMLElement {
  const open = job.state === "running" || job.state === "queued";
  const button = open
    ? make("button", { type: "button", class: "btn btn--ghost" }, "Cancel", make("span", { class: "vh" }, ` ${nameOf(job.profile)}'s job`))
    : null;
  button?.addEventListener("click", () => cancel(job));
  const times = job.batch > 1 ? ` × ${job.batch}` : "";
  const about = job.error ? make("p", { class: "meta" }, job.error) : null;
  return make(
    "tr",
    {},
    cell(null, "", make("b", {}, nameOf(job.profile))),
    cell(null, "", state(job), about),
    cell("Model", "quiet wrap", job.model),
    cell("Size", "num quiet", `${size(job.width, job.height)}${times}`),
    cell("Steps", "num quiet", String(job.steps)),
    cell("Submitted", "quiet", make("time", { datetime: job.created }, moment(new Date(job.created)))),
    cell("Took", "num quiet", took(job)),
    cell(null, "wide", make("div", { class: "row end" }, button)),
  );
}

export function start(): void {
  const boot = embedded<{ page: Page; names: Record<string, string> }>("boot");
  names = boot.names;
  const [states, profiles, older] = [byId<HTMLSelectElement>("state"), byId<HTMLSelectElement>("profile"), byId<HTMLButtonElement>("older")];
  for (const [id, name] of Object.entries(names)) choice(profiles, id, name);
  const rows = new Rows<Job>(byId("jobs"), (j) => j.id, row);
  let first = boot.page;
  let rest: Job[] = [];
  let next = first.next;

  const query = (before: string | null): string => {
    const asked = new URLSearchParams();
    if (states.value) asked.set("state", states.value);
    if (profiles.value) asked.set("profile", profiles.value);
    if (before) asked.set("before", before);
    return `/admin/jobs?${asked}`;
  };
  const show = (): void => {
    const newest = new Set(first.items.map((j) => j.id));
    const items = [...first.items, ...rest.filter((j) => !newest.has(j.id))];
    rows.show(items);
    byId("none").hidden = items.length > 0;
    older.hidden = next === null;
    const open = items.filter((j) => j.state === "running" || j.state === "queued").length;
    // What the filters hide may wait too.
    const filtered = states.value !== "" || profiles.value !== "";
    const waits = open === 0 ? "Nothing waits" : `${plural(open, "job")} running or waiting`;
    setText(byId("count"), filtered ? `${plural(items.length, "job")} shown` : waits);
  };
  const load = async (): Promise<void> => {
    const path = query(null);
    const page = await get<Page>(path);
    // Other filters were chosen meanwhile, which are asked for next.
    if (path !== query(null)) return;
    first = page;
    if (rest.length === 0) next = first.next;
    show();
  };
  for (const select of [states, profiles]) {
    select.addEventListener("change", () => {
      rest = [];
      again();
    });
  }
  const more = latest((path: string) => get<Page>(path));
  older.addEventListener("click", () => {
    const last = rest.at(-1) ?? first.items.at(-1);
    if (!last) return;
    const path = query(last.id);
    older.ariaBusy = "true";
    more(path)
      .then((page) => {
        if (!page || path !== query(last.id)) return;
        rest.push(...page.items);
        next = page.next;
        show();
      })
      .catch((e: unknown) => toast(wordsOf(e), { bad: true }))
      .finally(() => (older.ariaBusy = null));
  });
  show();
  again = whileSeen(EVERY_MS, load);
}
