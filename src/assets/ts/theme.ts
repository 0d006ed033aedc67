// Dark, light or the system's: shown at once, kept with the profile.

import { all } from "./dom";
import { toast } from "./toasts";

type Theme = "dark" | "light" | "system";

const root = document.documentElement;
const isLight = (): boolean =>
  root.dataset.theme === "light" || (root.dataset.theme === "system" && matchMedia("(prefers-color-scheme: light)").matches);

async function choose(theme: Theme): Promise<void> {
  root.dataset.theme = theme;
  for (const input of all<HTMLInputElement>("input[name=theme]")) input.checked = input.value === theme;
  const answer = await fetch("/profile/theme", {
    method: "POST",
    credentials: "same-origin",
    headers: { accept: "application/json" },
    body: new URLSearchParams({ theme }),
  }).catch(() => null);
  if (!answer?.ok) toast("The theme is shown, but could not be kept.", { bad: true });
}

export function startTheme(): void {
  for (const button of all("[data-theme-next]"))
    button.addEventListener("click", () => void choose(isLight() ? "dark" : "light"));
  for (const input of all<HTMLInputElement>("input[name=theme]"))
    input.addEventListener("change", () => void choose(input.value as Theme));
}
