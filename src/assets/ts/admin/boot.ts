// How the studio started and how its repositories stand; sync, go to another commit, take a rewritten history, pin a host's key.
// Looked at anew while the page is seen.

import { get, send, wordsOf } from "../api";
import { byId, embedded, make, setText } from "../dom";
import { toast } from "../toasts";
import { moment } from "../words";
import { status, type Mark } from "../status";
import { ask } from "../ask";
import { whileSeen } from "../live";
import { Rows } from "../rows";

interface Commit {
  id: string;
  summary: string;
  author: string;
  time: number;
}
type Came =
  | { what: "cloned" | "up-to-date" }
  | { what: "forward"; from: string; commits: number }
  | { what: "rewritten"; offered: Commit }
  | { what: "went-back"; refused: Commit }
  | { what: "unknown-host" | "changed-host"; host: string; fingerprint: string; why: string }
  | { what: "failed"; why: string };
interface Report {
  at: number;
  commit: Commit | null;
  came: Came;
  put_aside: { branch: string; files: string[]; more: number }[];
}
interface Repo {
  name: string;
  url: string;
  branch: string;
  required: boolean;
  report: Report | null;
  behind: string | null;
}
interface Step {
  title: string;
  state: "waiting" | "running" | "done" | "degraded";
  words?: string;
  why?: string;
}
interface State {
  steps: Step[];
  over: boolean;
  repos: Repo[];
  syncing: string | null;
  last: string | null;
}

const EVERY_MS = 2_000;
const short = (id: string): string => id.slice(0, 10);
const inWords = (commit: Commit): string => `${short(commit.id)} ${commit.summary}`;

const MARKS: Record<Step["state"], [Mark, string]> = {
  waiting: ["off", "Waiting"],
  running: ["busy", "Running"],
  done: ["run", "Done"],
  degraded: ["warn", "With a fault"],
};

function stepRow(step: Step): HTMLElement {
  const [mark, word] = MARKS[step.state];
  return make("li", {}, make("b", {}, step.title), status(mark, word), make("p", { class: "quiet" }, step.why ?? step.words ?? ""));
}

function state(repo: Repo): HTMLElement {
  if (!repo.report) return status("off", "Not synced yet");
  if (repo.behind) return status(repo.report.commit ? "warn" : "bad", repo.report.commit ? "The last good copy runs" : "Not here");
  return status("run", "In step");
}

/** What an admin can do about how a repository stands. */
function acts(repo: Repo): Node[] {
  const out: Node[] = [];
  const button = (label: string, run: () => void | Promise<void>): void => {
    const made = make("button", { type: "button", class: "btn" }, label, make("span", { class: "vh" }, ` in ${repo.name}`));
    made.addEventListener("click", async () => {
      made.ariaBusy = "true";
      await Promise.resolve(run()).catch((e: unknown) => toast(wordsOf(e), { bad: true }));
      made.ariaBusy = null;
    });
    out.push(made);
  };
  const came = repo.report?.came;
  if (came?.what === "rewritten") {
    button("Take the rewritten history", () =>
      ask({
        title: "Take the rewritten history?",
        text: `The remote offers ${inWords(came.offered)}. What runs now stays on a branch of its own, and changed scripts wait until you have seen them.`,
        confirm: "Take it",
        run: () => move(repo, "rewritten", came.offered.id),
      }),
    );
  }
  if (came?.what === "unknown-host" || came?.what === "changed-host") {
    const changed = came.what === "changed-host";
    button("Pin the key", () =>
      ask({
        title: `Pin the key of ${came.host}?`,
        text: `${changed ? "It is another key than before: somebody may be listening in. " : ""}Compare this fingerprint with what the host's owner publishes. Only this key is believed from then on.`,
        body: make("p", { class: "mono" }, came.fingerprint),
        confirm: "It is the same, pin it",
        bad: changed,
        run: async () => {
          await send("POST", `/boot/repos/${repo.name}/pin`, { host: came.host, fingerprint: came.fingerprint });
          await syncNow();
        },
      }),
    );
  }
  if (repo.report?.commit) button("Another commit", () => choose(repo));
  return out;
}

/** Work on repositories goes on in a terminal, whoever looks. */
async function work(path: string, body?: unknown): Promise<void> {
  const { session } = await send<{ session: string }>("POST", path, body);
  location.assign(`/sessions/${session}`);
}

const move = (repo: Repo, how: "commit" | "rewritten", commit: string): Promise<void> => work(`/boot/repos/${repo.name}/${how}`, { commit });
const syncNow = (): Promise<void> => work("/boot/sync");

/** Lets an admin choose a commit of the history to go to. */
async function choose(repo: Repo): Promise<void> {
  const { items } = await get<{ items: Commit[] }>(`/boot/repos/${repo.name}/commits`);
  const row = (commit: Commit, i: number): HTMLElement => {
    const here = commit.id === repo.report?.commit?.id;
    const box = make("input", { type: "radio", name: "commit", value: commit.id, id: `commit-${i}`, checked: here, autofocus: here });
    const words = [make("b", {}, commit.summary), make("span", { class: "quiet" }, `${commit.author}, ${moment(new Date(commit.time * 1000))}`)];
    return make("li", {}, box, make("label", { for: `commit-${i}` }, ...words), make("span", { class: "meta mono" }, here ? "runs now" : short(commit.id)));
  };
  const list = make("ul", { class: "choices" }, ...items.map(row));
  ask({
    title: `Go to another commit of ${repo.name}?`,
    text: "It stays there until the remote has something newer than what you leave. Edits made here are kept on a branch of their own.",
    body: list,
    confirm: "Go there",
    run: async () => {
      const chosen = list.querySelector<HTMLInputElement>("input:checked")?.value;
      if (chosen && chosen !== repo.report?.commit?.id) await move(repo, "commit", chosen);
    },
  });
}

function card(repo: Repo): HTMLElement {
  const { report } = repo;
  const lines: Node[] = [];
  if (report?.commit) {
    const { commit } = report;
    lines.push(make("p", {}, make("span", { class: "mono" }, short(commit.id)), ` ${commit.summary}`));
    lines.push(make("p", { class: "meta" }, `${commit.author}, ${moment(new Date(commit.time * 1000))}`));
  }
  if (repo.behind) lines.push(make("p", { class: "quiet" }, repo.behind));
  for (const aside of report?.put_aside ?? []) {
    const more = aside.more > 0 ? ` and ${aside.more} more` : "";
    lines.push(make("p", { class: "quiet" }, `Edited here and kept on branch ${aside.branch}: ${aside.files.join(", ") || "commits"}${more}.`));
  }
  if (report) lines.push(make("p", { class: "meta" }, `Asked ${moment(new Date(report.at))}`));
  const head = make("div", { class: "row between row--wrap" }, make("h2", {}, repo.name), state(repo));
  const from = make("p", { class: "meta" }, `${repo.url}, branch ${repo.branch}${repo.required ? ", required" : ""}`);
  const buttons = make("div", { class: "row row--wrap" }, ...acts(repo));
  return make("section", { class: "card repo", "data-repo": repo.name }, head, from, make("div", {}, ...lines), buttons);
}

export function start(): void {
  const steps = new Rows<Step>(byId("steps"), (step) => step.title, stepRow);
  const repos = new Rows<Repo>(byId("repos"), (repo) => repo.name, card);
  const show = (now: State): void => {
    steps.show(now.steps);
    repos.show(now.repos);
    byId("none").hidden = now.repos.length > 0;
    byId<HTMLButtonElement>("sync").hidden = now.repos.length === 0;
    const session = now.syncing ?? now.last;
    const link = byId<HTMLAnchorElement>("session");
    link.hidden = session === null;
    if (session) link.href = `/sessions/${session}`;
    setText(link, now.syncing ? "Watch the sync" : "The last sync");
  };
  show(embedded<State>("boot"));
  whileSeen(EVERY_MS, async () => show(await get<State>("/boot")));
  byId("sync").addEventListener("click", () => {
    byId("sync").ariaBusy = "true";
    syncNow().catch((e: unknown) => {
      byId("sync").ariaBusy = null;
      toast(wordsOf(e), { bad: true });
    });
  });
}
