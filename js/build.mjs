// Builds what a page without a bundler takes, into the Python package: node build.mjs [FOLDER]
//
// The core is one file, for which 5 KiB is the limit, compressed as servers do it. An entry that needs the core takes
// it from beside it, so that a page loads it once.

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const BUDGET = 5 * 1024;
const LICENCE = "/*! wsrequest, MIT */";

/** Members by which modules of the core speak with each other: nobody outside knows their names. */
const INNER =
  /^(address|authenticate|bare|begin|changed|choices|drop|enter|factory|fail|flow|handlers|hear|heard|link|maximum|opened|opening|owner|ready|repeats|say|sent|under|want)$/;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = process.argv[2] ?? here("../src/wsrequest/static/wsrequest");

async function bundled(source, options) {
  const { outputFiles } = await build({
    entryPoints: [here(source)],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    // (Fields need no declaration beside their assignment.)
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    write: false,
    ...options,
  });
  return outputFiles[0].text;
}

/** Hand what entries import of the core to the file beside them. */
const core = {
  name: "core",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: "./wsrequest.js", external: true }));
  },
};

const code = await bundled("src/index.ts", { mangleProps: INNER });
const terms = { ecma: 2022, passes: 3, unsafe: true, unsafe_arrows: true, unsafe_methods: true, sequences: false };
const { code: least } = await minify(code, { module: true, ecma: 2022, compress: terms });
const files = { "wsrequest.js": `${LICENCE}\n${least}\n` };
for (const entry of ["fragment", "http", "react", "shared", "stream"]) {
  files[`${entry}.js`] = `${LICENCE}\n${await bundled(`src/entries/${entry}.ts`, { plugins: [core], external: ["react"] })}`;
}
// A worker is a script of its own.
files["shared-worker.js"] = `${LICENCE}\n${await bundled("src/entries/shared-worker.ts", { format: "iife" })}`;

await mkdir(folder, { recursive: true });
for (const [name, text] of Object.entries(files)) {
  const size = gzipSync(text, { level: 9 }).length;
  await writeFile(`${folder}/${name}`, text);
  console.log(`${name}: ${text.length} bytes, ${size} compressed`);
  if (name === "wsrequest.js" && size > BUDGET) {
    console.error(`The core has ${size} bytes compressed, and ${BUDGET} is the limit.`);
    process.exitCode = 1;
  }
}
