// Words in a prompt: chips in and out, weights up and down. Pure.

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const whole = (word: string): RegExp => new RegExp(`(^|[^\\p{L}\\p{N}])(${escaped(word)})(?=$|[^\\p{L}\\p{N}])`, "iu");

export const hasWord = (prompt: string, word: string): boolean => whole(word).test(prompt);

/** Puts a word at the end, after a comma. */
export function withWord(prompt: string, word: string): string {
  const text = prompt.trimEnd();
  if (text === "") return word;
  return text.endsWith(",") ? `${text} ${word}` : `${text}, ${word}`;
}

/** Takes a word out, with the comma that it leaves behind. */
export function withoutWord(prompt: string, word: string): string {
  return prompt
    .replace(whole(word), "$1")
    .replace(/\s+,/g, ",")
    .replace(/,(\s*,)+/g, ",")
    .replace(/^[\s,]+|[\s,]+$/g, "")
    .replace(/[^\S\n]{2,}/g, " ");
}

export interface Selection {
  text: string;
  start: number;
  end: number;
}

/** Weight of the selected words, or of the word at the caret, up or down by `step`: "fog" becomes "(fog:1.1)". */
export function weigh({ text, start, end }: Selection, step: number): Selection {
  let [from, to] = [start, end];
  if (from === to) {
    while (from > 0 && /[\p{L}\p{N}'-]/u.test(text[from - 1] ?? "")) from -= 1;
    while (to < text.length && /[\p{L}\p{N}'-]/u.test(text[to] ?? "")) to += 1;
  }
  while (from < to && /\s/.test(text[from] ?? "")) from += 1;
  while (to > from && /\s/.test(text[to - 1] ?? "")) to -= 1;
  if (from === to) return { text, start, end };
  const before = text.slice(0, from);
  const after = text.slice(to);
  const weight = /^:(\d+(?:\.\d+)?)\)/.exec(after);
  const inside = before.endsWith("(") && weight !== null;
  const value = Math.round((inside ? Number(weight[1]) + step : 1 + step) * 100) / 100;
  const words = text.slice(from, to);
  const head = inside ? before.slice(0, -1) : before;
  const tail = inside ? after.slice(weight[0].length) : after;
  if (value === 1 || value < 0.05) return { text: head + words + tail, start: head.length, end: head.length + words.length };
  return { text: `${head}(${words}:${value})${tail}`, start: head.length + 1, end: head.length + 1 + words.length };
}

/** The newest first, each once. */
export function remembered(prompts: string[], prompt: string, most = 30): string[] {
  const text = prompt.trim();
  return text === "" ? prompts : [text, ...prompts.filter((p) => p !== text)].slice(0, most);
}
