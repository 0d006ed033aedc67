// Files that somebody chose or dropped, whole folders too, as what a dataset takes: pictures with the text files beside
// them, and archives. Knows no upload.

export interface Wanted {
  file: File;
  caption: string;
}
export interface Sorted {
  wanted: Wanted[];
  /** Names of what is neither picture, caption nor archive. */
  others: string[];
}

export interface Found {
  path: string;
  file: File;
}

const PICTURE = /\.(png|jpe?g|webp)$/i;
const stem = (path: string): string => path.replace(/\.[^./]+$/, "").toLowerCase();

/** What was dropped. Folders are walked through; it must be asked for before the event ends. */
export async function dropped(data: DataTransfer): Promise<Found[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((e): e is FileSystemEntry => e !== null);
  const files = [...data.files];
  if (entries.length === 0) return files.map((file) => ({ path: file.name, file }));
  const found: Found[] = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: Found[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    found.push({ path: entry.fullPath, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // It answers with a hundred at a time, and with none at the end.
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return;
    for (const inner of some) await walk(inner, found);
  }
}

/** Pairs captions with their pictures. */
export async function sort(found: Found[]): Promise<Sorted> {
  const texts = new Map<string, File>();
  for (const { path, file } of found) if (/\.txt$/i.test(path)) texts.set(stem(path), file);
  const sorted: Sorted = { wanted: [], others: [] };
  for (const { path, file } of found) {
    if (/\.txt$/i.test(path) || /(^|\/)\./.test(path)) continue;
    if (PICTURE.test(path)) {
      const text = texts.get(stem(path));
      texts.delete(stem(path));
      sorted.wanted.push({ file, caption: text ? await text.text() : "" });
    } else if (/\.zip$/i.test(path)) sorted.wanted.push({ file, caption: "" });
    else sorted.others.push(file.name);
  }
  for (const text of texts.values()) sorted.others.push(text.name);
  return sorted;
}
