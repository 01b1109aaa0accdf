// Builds the client: node scripts/build.mjs [FOLDER]
//
// Without a folder, what npm publishes goes to dist/, and what Django serves to the package's static files, which are
// committed: a test builds them again and compares.

import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execFileSync } from "node:child_process";
import { build } from "esbuild";

const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
const STATIC = join(HERE, "../src/wsrequest/static/wsrequest");

/** What a page can load as it is; hooks for React go with a page's own build only. */
const SERVED = ["http", "stream", "shared", "fragment"];

/** Entries don't bring the core along: they import the one that lies beside them. */
const core = {
  name: "core",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: "./wsrequest.js", external: true })),
};

const settings = (outdir) => ({
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/*! django-websocket-request, MIT License */" },
  outdir,
});

export async function buildInto(outdir, entries = SERVED) {
  const modules = Object.fromEntries(entries.map((name) => [name, `src/entries/${name}.ts`]));
  await Promise.all([
    build({ ...settings(outdir), format: "esm", entryPoints: { wsrequest: "src/index.ts" } }),
    build({ ...settings(outdir), format: "esm", entryPoints: modules, plugins: [core], external: ["react"] }),
    // (Not every browser has workers that are modules.)
    build({ ...settings(outdir), format: "iife", entryPoints: { "shared-worker": "src/entries/shared-worker.ts" } }),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2]) await buildInto(process.argv[2]);
  else {
    const dist = join(HERE, "dist");
    rmSync(dist, { recursive: true, force: true });
    await buildInto(STATIC);
    await buildInto(dist, [...SERVED, "react"]);
    const tsc = join(HERE, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "--project", "tsconfig.build.json"], { cwd: HERE, stdio: "inherit" });
  }
}
