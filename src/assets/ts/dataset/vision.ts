// Which vision model writes captions: an admin's dialog. The key goes to the server and never comes back.

import { chevronDown } from "easel:icons";
import { send } from "../api";
import { icon, make } from "../dom";
import { ask, field } from "../ask";
import { toast } from "../toasts";

export interface Vision {
  protocol: string;
  base_url: string;
  model: string;
  has_key: boolean;
}

const PROTOCOLS: [string, string][] = [
  ["anthropic", "Anthropic"],
  ["openai", "OpenAI and compatible"],
  ["gemini", "Gemini"],
];

export function askVision(present: Vision | null, homes: [string, string][], done: (vision: Vision | null) => void): void {
  const protocol = make("select", { class: "select", id: "vision-protocol", autofocus: true });
  for (const [value, word] of PROTOCOLS) protocol.append(make("option", { value, selected: value === present?.protocol }, word));
  const text = (id: string, value: string, more: Record<string, string> = {}): HTMLInputElement =>
    make("input", { class: "input", id, value, autocomplete: "off", spellcheck: "false", autocapitalize: "none", ...more });
  const url = text("vision-url", present?.base_url ?? "", { inputmode: "url", "aria-describedby": "vision-url-help" });
  const model = text("vision-model", present?.model ?? "");
  const key = text("vision-key", "", { type: "password", "aria-describedby": "vision-key-help" });
  const home = (): void => {
    url.placeholder = homes.find(([name]) => name === protocol.value)?.[1] ?? "";
  };
  const forget = make("button", { type: "button", class: "btn btn--ghost btn--bad" }, "Remove the vision model");
  const keyHelp = present?.has_key ? "One is kept. Leave this empty to keep it; for another server it is asked anew." : "Kept on this server, and shown to nobody.";
  protocol.addEventListener("change", () => {
    home();
    // Another service: the address of the one before means nothing there.
    if (homes.some(([, address]) => address === url.value)) url.value = "";
  });
  home();
  ask({
    title: "Vision model",
    text: "Artists can have it write captions; pictures are sent to it. What it costs is on this key.",
    body: make(
      "div",
      { class: "stack stack--wide" },
      field("Service", make("span", { class: "selectbox" }, protocol, icon(chevronDown))),
      field("Address", url, "The service's own, if empty. Public addresses only, unless easel.toml says otherwise."),
      field("Model", model),
      field("Key", key, keyHelp),
      present ? make("div", {}, forget) : null,
    ),
    confirm: "Save",
    run: async () => {
      const body = { protocol: protocol.value, base_url: url.value, model: model.value, ...(key.value === "" ? {} : { key: key.value }) };
      const { vision } = await send<{ vision: Vision }>("PUT", "/vision", body);
      done(vision);
      toast(vision.has_key ? "The vision model is set." : "The vision model is set, without a key.");
    },
    other: {
      button: forget,
      run: async () => {
        await send("DELETE", "/vision");
        done(null);
        toast("No vision model is used any more. Its key is gone.");
      },
    },
  });
}
