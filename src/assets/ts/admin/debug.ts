// The debug page is made by the server; here it only becomes text to paste into a report.

import { wordsOf } from "../api";
import { all, byId } from "../dom";
import { toast } from "../toasts";

/** The page's tables and lists as plain lines. */
function asText(): string {
  const lines: string[] = [];
  for (const section of all("section")) {
    lines.push(`## ${section.querySelector("h2")?.textContent ?? ""}`);
    for (const fact of all(".facts > div", section)) lines.push([...fact.children].map((c) => c.textContent?.trim()).join(": "));
    for (const row of all<HTMLTableRowElement>("tbody tr", section)) lines.push([...row.cells].map((c) => c.textContent?.trim()).join(" | "));
    for (const item of all("li", section)) lines.push(item.textContent ?? "");
    lines.push("");
  }
  return lines.join("\n");
}

export function start(): void {
  byId("copy").addEventListener("click", () => {
    navigator.clipboard
      .writeText(asText())
      .then(() => toast("The page is copied as text."))
      .catch((e: unknown) => toast(wordsOf(e), { bad: true }));
  });
}
