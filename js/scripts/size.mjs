// Prints what the client weighs, and fails where its core weighs too much: node scripts/size.mjs [FOLDER]

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** Bytes of wsrequest.js, minified and gzipped. */
const BUDGET = 5 * 1024;

const folder = process.argv[2] ?? join(import.meta.dirname, "../../src/wsrequest/static/wsrequest");
for (const file of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
  const content = readFileSync(join(folder, file));
  const size = gzipSync(content, { level: 9 }).length;
  const over = file === "wsrequest.js" && size > BUDGET;
  console.log(`${file.padEnd(20)} ${String(content.length).padStart(6)} bytes, ${String(size).padStart(5)} gzipped`);
  if (over) console.error(`The core is ${size - BUDGET} bytes over its ${BUDGET}.`);
  if (over) process.exitCode = 1;
}
