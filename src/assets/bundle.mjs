// Bundles the front end: TypeScript and CSS through esbuild, fonts, icons and sample pictures, each under a name
// with its hash, with gzip and Brotli copies, and one index.json that build.rs turns into a table.
// Usage: node bundle.mjs OUT [--modules DIR] [--watch]   (--watch: plain names, no compression, for EASEL_ASSETS=OUT)
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const watch = args.includes("--watch");
const flag = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const modules = resolve(flag("--modules") ?? join(here, "../../target/assets/node_modules"));
const out = resolve(
  args.find((a, i) => !a.startsWith("--") && args[i - 1] !== "--modules") ?? join(here, "../../target/assets/dev"),
);
const esbuild = createRequire(pathToFileURL(join(modules, "_")))("esbuild");

const MIME = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
};
/** What is small already is not compressed again. */
const COMPRESSED = new Set([".css", ".js", ".svg"]);

/** Name of a constant for an icon: "trash-2" in Rust is TRASH_2, in TypeScript trash2. */
const camel = (name) => name.replace(/-(.)/g, (_, c) => c.toUpperCase());

/** The inside of a Lucide icon in this project's dress: 16 px, drawn with the text's colour. */
function icon(name) {
  const svg = readFileSync(join(modules, "lucide-static/icons", `${name}.svg`), "utf8");
  const inside = svg
    .replace(/<!--.*?-->/gs, "")
    .replace(/^\s*<svg[^>]*>/s, "")
    .replace(/<\/svg>\s*$/, "");
  const shapes = inside
    .replace(/\s*\n\s*/g, "")
    .replace(/\s*\/>/g, "/>")
    .trim();
  return `<svg class="i" viewBox="0 0 24 24" aria-hidden="true">${shapes}</svg>`;
}

const icons = JSON.parse(readFileSync(join(here, "icons.json"), "utf8"));

/** `import { x } from "easel:icons"` in TypeScript: only what is imported ends up in a bundle. */
const iconsPlugin = {
  name: "icons",
  setup(build) {
    build.onResolve({ filter: /^easel:icons$/ }, () => ({ path: "icons", namespace: "easel" }));
    build.onLoad({ filter: /.*/, namespace: "easel" }, () => ({
      contents: icons.map((n) => `export const ${camel(n)} = ${JSON.stringify(icon(n))};`).join("\n"),
    }));
  },
};

const css = readdirSync(join(here, "css")).filter((f) => f.startsWith("page-") || f === "easel.css");
const common = {
  bundle: true,
  minify: !watch,
  legalComments: "none",
  metafile: true,
  nodePaths: [modules],
  outdir: out,
  publicPath: "/assets/",
  loader: { ".woff2": "file", ".webp": "file" },
  assetNames: watch ? "[name]" : "[name]-[hash]",
  entryNames: watch ? "[name]" : "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  logLevel: "warning",
};
/** Runs before the first paint, as a plain script: it must not wait for modules. */
const early = { ...common, entryPoints: [join(here, "ts/early.ts")], format: "iife", target: "es2022" };
/** At a tool's address only what the gate hands out is there: one file, no chunks. */
const gate = { ...early, entryPoints: [join(here, "ts/gate.ts")], target: ["chrome123", "firefox121", "safari17.5"] };
const pages = {
  ...common,
  entryPoints: ["shell", "doors", "studio", "gallery", "picture", "terminal", "tools", "datasets", "dataset", "admin", "worker"].map((e) => join(here, `ts/${e}.ts`)),
  format: "esm",
  splitting: true,
  target: ["chrome123", "firefox121", "safari17.5"],
  plugins: [iconsPlugin],
};
const styles = {
  ...common,
  entryPoints: css.map((f) => join(here, "css", f)),
  target: ["chrome123", "firefox121", "safari17.5"],
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

if (watch) {
  for (const options of [early, gate, pages, styles]) await (await esbuild.context(options)).watch();
  for (const f of readdirSync(join(here, "files"))) writeFileSync(join(out, f), readFileSync(join(here, "files", f)));
  console.log(`watching; serve with EASEL_ASSETS=${out}`);
} else {
  const metas = [];
  for (const options of [early, gate, pages, styles]) metas.push((await esbuild.build(options)).metafile);
  writeIndex(metas);
}

/** One record a file: name in pages, name with hash, media type, files it imports at once, compressed copies. */
function writeIndex(metas) {
  const files = [];
  const add = (logical, file, imports = []) => {
    const extension = extname(file);
    const record = { logical, file, mime: MIME[extension], imports, gzip: false, brotli: false };
    if (!record.mime) throw new Error(`${file}: no media type known for it`);
    if (COMPRESSED.has(extension)) {
      const bytes = readFileSync(join(out, file));
      writeFileSync(join(out, `${file}.gz`), gzipSync(bytes, { level: 9 }));
      writeFileSync(join(out, `${file}.br`), brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
      record.gzip = record.brotli = true;
    }
    files.push(record);
  };
  const seen = new Set();
  for (const { outputs } of metas) {
    for (const [path, output] of Object.entries(outputs)) {
      const file = basename(path);
      if (seen.has(file)) continue;
      seen.add(file);
      const logical = output.entryPoint
        ? basename(file).replace(/-[A-Z0-9]{8}(?=\.)/, "")
        : file.replace(/-[A-Z0-9]{8}(?=\.)/, "");
      const imports = output.entryPoint ? eager(outputs, path) : [];
      add(logical, file, imports);
    }
  }
  for (const f of readdirSync(join(here, "files")).sort()) {
    const bytes = readFileSync(join(here, "files", f));
    const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 8);
    const file = `${basename(f, extname(f))}-${hash}${extname(f)}`;
    writeFileSync(join(out, file), bytes);
    add(f, file);
  }
  files.sort((a, b) => (a.file < b.file ? -1 : 1));
  const drawn = icons.map((name) => ({ constant: name.replace(/-/g, "_").toUpperCase(), name, svg: icon(name) }));
  writeFileSync(join(out, "index.json"), JSON.stringify({ files, icons: drawn }));
}

/** The chunks that an entry imports statically, however deep: a page asks for them at once, not one after another. */
function eager(outputs, entry, found = new Set()) {
  for (const { path, kind } of outputs[entry].imports) {
    if (kind === "import-statement" && !found.has(basename(path))) {
      found.add(basename(path));
      eager(outputs, path, found);
    }
  }
  return [...found];
}
