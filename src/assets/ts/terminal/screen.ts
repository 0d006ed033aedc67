// The screen of a terminal: xterm.js with its addons, fitted into its frame. Knows bytes and keys; no connection.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal, type ITheme } from "@xterm/xterm";
import { constructStyleSheets } from "./sheets";

/** Lines that can be scrolled back to. */
const SCROLLBACK = 20_000;

const THEME: ITheme = {
  background: "#0c0c0c",
  foreground: "#d6d6d6",
  cursor: "#d6d6d6",
  selectionBackground: "#3f5f58",
  black: "#1f1f1f",
  red: "#ff8f80",
  green: "#7ddc9a",
  yellow: "#f0c674",
  blue: "#8ab8ff",
  magenta: "#d8a6ff",
  cyan: "#7fdbe0",
  white: "#d6d6d6",
  brightBlack: "#8f8f8f",
  brightRed: "#ffb3a8",
  brightGreen: "#a5ebba",
  brightYellow: "#f7dba0",
  brightBlue: "#b3d1ff",
  brightMagenta: "#e8c9ff",
  brightCyan: "#aeeaee",
  brightWhite: "#ffffff",
};

export class Screen {
  private readonly fit = new FitAddon();
  private readonly search = new SearchAddon();
  private readonly terminal: Terminal;

  constructor(
    private readonly frame: HTMLElement,
    onKeys: (keys: Uint8Array) => void,
    label: string,
  ) {
    constructStyleSheets();
    const touch = matchMedia("(pointer: coarse)").matches;
    this.terminal = new Terminal({
      allowProposedApi: true,
      convertEol: false,
      cursorBlink: false,
      disableStdin: true,
      fontFamily: getComputedStyle(document.body).getPropertyValue("--mono"),
      fontSize: touch ? 12 : 13,
      lineHeight: 1.35,
      screenReaderMode: false,
      scrollback: SCROLLBACK,
      theme: THEME,
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(new WebLinksAddon((e, uri) => e.isTrusted && window.open(uri, "_blank", "noopener,noreferrer")));
    this.terminal.open(frame);
    this.terminal.textarea?.setAttribute("aria-label", label);
    this.useWebgl();
    const encoder = new TextEncoder();
    this.terminal.onData((text) => onKeys(encoder.encode(text)));
    this.terminal.onBinary((text) => onKeys(Uint8Array.from(text, (c) => c.charCodeAt(0))));
  }

  /** Drawn by the graphics card where there is one; the plain renderer stays where it is missing, lost, or only imitated
   * by the processor, which takes longer than drawing plainly. */
  private useWebgl(): void {
    if (!document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true })) return;
    try {
      const webgl = new WebglAddon();
      webgl.onContextLoss(() => webgl.dispose());
      this.terminal.loadAddon(webgl);
    } catch {
      // The plain renderer is on.
    }
  }

  write(bytes: Uint8Array, shown: () => void): void {
    this.terminal.write(bytes, shown);
  }

  /** A line of Easel's own between the program's. */
  note(text: string): void {
    this.terminal.write(`\r\n\u001b[90m[${text}]\u001b[0m\r\n`);
  }

  /** Cells that fit into the frame. */
  cells(): { cols: number; rows: number } | undefined {
    return this.fit.proposeDimensions();
  }

  resize(cols: number, rows: number): void {
    this.terminal.resize(cols, rows);
  }

  /** Whether keys are typed. */
  listen(on: boolean): void {
    this.terminal.options.disableStdin = !on;
    this.terminal.options.cursorBlink = on;
    if (on) this.terminal.focus();
    else this.terminal.blur();
  }

  focus(): void {
    this.terminal.focus();
  }

  clear(): void {
    this.terminal.clear();
  }

  /** The next or last place of a text; false where there is none. */
  find(text: string, back = false): boolean {
    return back ? this.search.findPrevious(text) : this.search.findNext(text);
  }

  /** Everything on the screen and above it, as text. */
  text(): string {
    const buffer = this.terminal.buffer.active;
    let text = "";
    for (let i = 0; i < buffer.length; i += 1) {
      const line = buffer.getLine(i);
      if (!line) continue;
      const wraps = buffer.getLine(i + 1)?.isWrapped ?? false;
      text += line.translateToString(!wraps) + (wraps ? "" : "\n");
    }
    return `${text.trimEnd()}\n`;
  }

  onResize(run: () => void): void {
    new ResizeObserver(run).observe(this.frame);
  }

  /** Called before a key goes to the program; false keeps it for the page. */
  intercept(keep: (e: KeyboardEvent) => boolean): void {
    this.terminal.attachCustomKeyEventHandler(keep);
  }
}
