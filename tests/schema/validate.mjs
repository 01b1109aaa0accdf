// Parses an AsyncAPI document by the official parser: node validate.mjs PACKAGE_JSON DOCUMENT
// PACKAGE_JSON names the project that has the parser installed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , project, file] = process.argv;
const { Parser } = createRequire(project)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
const problems = diagnostics
  .filter((found) => found.severity < 2 || found.code !== "asyncapi-latest-version")
  .map((found) => `${found.path.join(".")}: ${found.message} (${found.code})`);
const channels = document?.allChannels().map((channel) => ({
  address: channel.address(),
  messages: channel.messages().map((message) => message.name()),
}));
console.log(JSON.stringify({ problems, channels }));
