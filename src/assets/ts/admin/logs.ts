// The log, live: new lines come every second while the page is seen, and the view follows them until it is scrolled.

import { get } from "../api";
import { byId, debounce, embedded, make, setText } from "../dom";
import { toast } from "../toasts";
import { bytes, moment, plural } from "../words";
import { whileSeen } from "../live";
import { cell, choice } from "./parts";

interface Line {
  seq: number;
  at: string;
  level: "error" | "warn" | "info" | "debug" | "trace";
  service: string;
  text: string;
}
interface Page {
  lines: Line[];
  last: number;
  lost: number;
  services: string[];
}
interface LogFile {
  name: string;
  bytes: number;
  written: string;
}

const EVERY_MS = 1_000;
/** Lines that the page holds; older ones are in the file. */
const MOST = 2_000;
/** Pixels from the end within which the view still follows. */
const NEAR = 40;

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const WORDS = { error: "Error", warn: "Warning", info: "Info", debug: "Debug", trace: "Trace" };

function draw(line: Line): HTMLLIElement {
  return make(
    "li",
    { class: `line line--${line.level}` },
    make("time", { datetime: line.at, title: line.at }, time.format(new Date(line.at))),
    make("span", { class: "line-level" }, WORDS[line.level]),
    make("span", { class: "line-service" }, line.service),
    make("span", { class: "line-text" }, line.text),
  );
}

const asText = (line: Line): string => `${line.at} ${line.level.toUpperCase().padEnd(5)} ${line.service}: ${line.text}`;

function startFiles(files: LogFile[]): void {
  for (const file of files) {
    const url = `/api/v1/logs/file?name=${encodeURIComponent(file.name)}`;
    const link = make("a", { class: "btn btn--ghost", href: url, download: file.name.replaceAll("/", "-") }, "Download", make("span", { class: "vh" }, ` ${file.name}`));
    byId("files").append(
      make(
        "tr",
        {},
        cell(null, "mono wrap", file.name),
        cell("Size", "num quiet", bytes(file.bytes)),
        cell("Last written", "quiet", moment(new Date(file.written))),
        cell(null, "wide", make("div", { class: "row end" }, link)),
      ),
    );
  }
}

export function start(): void {
  const boot = embedded<{ page: Page; files: LogFile[] }>("boot");
  const [box, list] = [byId("log"), byId("lines")];
  const form = byId<HTMLFormElement>("filters");
  const follow = byId<HTMLButtonElement>("follow");
  let lines: Line[] = [];
  let last = 0;
  let following = true;
  /** The filters that the lines on the page passed; none: they are made anew. */
  let passed: string | null = null;

  const setFollowing = (on: boolean): void => {
    following = on;
    follow.ariaPressed = String(on);
    if (on) box.scrollTop = box.scrollHeight;
  };
  const show = (page: Page, filters: string): void => {
    if (filters !== passed) {
      lines = [];
      list.replaceChildren();
    } else if (page.last < last) {
      // A number that went back is another start of Easel.
      passed = null;
      return void again();
    }
    passed = filters;
    last = page.last;
    lines.push(...page.lines);
    list.append(...page.lines.map(draw));
    const over = lines.length - MOST;
    if (over > 0) {
      lines.splice(0, over);
      for (let i = 0; i < over; i += 1) list.firstElementChild?.remove();
    }
    byId("none").hidden = lines.length > 0;
    for (const service of page.services) choice(byId<HTMLSelectElement>("service"), service, service);
    setText(byId("count"), `${plural(lines.length, "line")}${lines.length >= MOST ? `, the newest of more; the files have all` : ""}`);
    if (following) box.scrollTop = box.scrollHeight;
  };
  const chosen = (): string => {
    const which = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") which.set(name, String(value));
    return which.toString();
  };
  const again = whileSeen(EVERY_MS, async () => {
    const filters = chosen();
    const page = await get<Page>(`/logs?${filters}&after=${filters === passed ? last : 0}`);
    // Other filters were chosen meanwhile, which are asked for next.
    if (filters === chosen()) show(page, filters);
  });
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("change", () => void again());
  form.addEventListener("input", debounce(200, () => void again()));
  follow.addEventListener("click", () => setFollowing(!following));
  box.addEventListener("scroll", () => {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    if (atEnd !== following) {
      following = atEnd;
      follow.ariaPressed = String(atEnd);
    }
  });
  byId("copy").addEventListener("click", () => {
    navigator.clipboard
      .writeText(lines.map(asText).join("\n"))
      .then(() => toast(`${plural(lines.length, "line")} copied.`))
      .catch(() => toast("The browser did not let the lines be copied.", { bad: true }));
  });
  byId("save").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([`${lines.map(asText).join("\n")}\n`], { type: "text/plain" }));
    make("a", { href: url, download: `easel-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.log` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  startFiles(boot.files);
  show(boot.page, "");
}
