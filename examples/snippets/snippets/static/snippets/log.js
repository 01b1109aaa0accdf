// The log: one row for each frame that went either way, which opens to show its JSON.

import { $, h, icon } from "./dom.js";

const KEPT = 300; // rows
const SHOWN = 20_000; // characters of one frame
const PRESENCE = new Set(["join", "leave"]);
const encoder = new TextEncoder();
const TOKENS = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

export class FrameLog {
  #list = $("#frames");
  #held = []; // rows that came while the log was paused
  #paused = false;
  #asked = new Map(); // id -> {what, at}: to name an answer, and to say how long it took
  #counts = { sent: 0, received: 0 };

  constructor(wire) {
    wire.addEventListener("frame", ({ detail }) => this.#add(detail));
    $("#log-clear").addEventListener("click", () => this.#clear());
    $("#log-pause").addEventListener("click", () => this.#pause(!this.#paused));
    this.#showCounts();
  }

  #add({ direction, text }) {
    const now = performance.now();
    const lines = messagesOf(text).map((message) => this.#describe(direction, message, now));
    if (!lines.length) lines.push(line("not JSON", "muted"));
    const row = frameRow(direction, text, lines);
    this.#counts[direction]++;
    $("#log-latest").replaceChildren(lines.at(-1).cloneNode(true));
    if (this.#paused) this.#held = [...this.#held, row].slice(-KEPT);
    else this.#show([row]);
    this.#showCounts();
  }

  #show(rows) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    this.#list.append(...rows);
    while (this.#list.children.length > KEPT) this.#list.firstElementChild.remove();
    $("#log-empty").hidden = this.#list.children.length > 0;
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #describe(direction, message, now) {
    if (message === null || typeof message !== "object") return line(JSON.stringify(message), "muted");
    return direction === "sent" ? this.#describeSent(message, now) : this.#describeReceived(message, now);
  }

  #describeSent(message, now) {
    if ("ping" in message) return line("ping", "muted");
    if ("cancel" in message) return line(`cancel ${this.#asked.get(message.cancel)?.what ?? message.cancel}`, "muted");
    const method = String(message.method ?? "GET").toUpperCase();
    const url = message.url ?? "(no url)";
    // Of a GET, an object is the query string.
    const query = ["GET", "SUBSCRIBE"].includes(method) && message.data ? `?${new URLSearchParams(message.data)}` : "";
    if (message.id !== undefined) this.#asked.set(message.id, { what: `${method} ${url}${query}`, at: now });
    const live = message.live && h("span", { class: "live-word" }, " live");
    return line(h("span", {}, [h("b", { class: "method" }, method), ` ${url}`, h("span", { class: "query" }, query), live].filter(Boolean)));
  }

  #describeReceived(message, now) {
    if ("pong" in message) return line("pong", "muted");
    if ("control" in message) return line(message.control, "muted");
    const asked = this.#asked.get(message.id);
    if ("event" in message) return this.#describeEvent(message, asked);
    if (message.subscription && asked) asked.since = now; // what comes next was not asked for
    else if (!message.more && !("chunk" in message)) this.#asked.delete(message.id);
    const what = asked?.what ?? message.data?.error ?? "";
    const status = message.status ?? (message.end ? "end" : "chunk");
    const took = asked && !(message.end && asked.since) && `${Math.max(1, Math.round(now - asked.at))} ms`;
    return line(
      h("span", {}, h("b", { class: `status s${String(status)[0]}` }, String(status)), ` ${what}`),
      "",
      took,
    );
  }

  #describeEvent({ event, data, offset, rev }, asked) {
    const url = asked?.what.split(" ")[1] ?? "";
    const who = PRESENCE.has(event) ? ` ${data?.info?.name ?? "guest"}` : "";
    const place = rev !== undefined ? `rev ${rev}` : offset !== undefined ? `#${offset}` : null;
    if (event === "figures") return line(`${event} ${url}`, "muted", place); // there are many
    return line(h("span", {}, h("b", { class: "event" }, event), `${who} ${url}`), "", place);
  }

  #pause(paused) {
    this.#paused = paused;
    const button = $("#log-pause");
    button.setAttribute("aria-pressed", String(paused));
    button.title = paused ? "Go on" : "Pause";
    button.replaceChildren(icon(paused ? "play" : "pause"));
    if (!paused) this.#show(this.#held.splice(0));
    this.#showCounts();
  }

  #clear() {
    this.#held.length = 0;
    this.#counts = { sent: 0, received: 0 };
    this.#list.replaceChildren();
    $("#log-empty").hidden = false;
    this.#showCounts();
  }

  #showCounts() {
    const { sent, received } = this.#counts;
    const held = this.#paused ? ` · paused, ${this.#held.length} held back` : "";
    $("#log-counts").textContent = `${sent} sent · ${received} received${held}`;
  }
}

/** A frame is a message, or an array of them; only what somebody typed can be no JSON. */
function messagesOf(text) {
  try {
    return [JSON.parse(text)].flat();
  } catch {
    return [];
  }
}

function line(what, kind = "", took = null) {
  return h("span", { class: `line ${kind}` }, h("span", { class: "what" }, what), took && h("span", { class: "took" }, took));
}

function frameRow(direction, text, lines) {
  const now = new Date();
  const clock = now.toLocaleTimeString("en-GB");
  const sent = direction === "sent";
  const body = h("pre", { tabindex: "0", "aria-label": "The frame's JSON" });
  const details = h(
    "details",
    {
      // Most rows are never opened; so their JSON is laid out only then.
      ontoggle: () => details.open && !body.firstChild && body.append(...pretty(text)),
    },
    h(
      "summary",
      {},
      h("span", { class: "arrow", title: sent ? "sent" : "received" }, icon(sent ? "up" : "down"), h("span", { class: "sr" }, direction)),
      h("span", { class: "lines" }, lines),
      h("span", { class: "facts" }, h("span", {}, size(text)), h("time", { datetime: now.toISOString(), title: `${clock}.${String(now.getMilliseconds()).padStart(3, "0")}` }, clock)),
    ),
    body,
  );
  return h("li", { class: `frame ${direction}` }, details);
}

function size(text) {
  const bytes = encoder.encode(text).length;
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KB`;
}

/** The nodes of a JSON text, laid out and coloured. */
function pretty(text) {
  let source = text;
  try {
    source = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return [text];
  }
  if (source.length > SHOWN) source = `${source.slice(0, SHOWN)}\n… ${source.length - SHOWN} characters more`;
  const nodes = [];
  let end = 0;
  for (const match of source.matchAll(TOKENS)) {
    const [token, string, colon, word] = match;
    const kind = string ? (colon ? "key" : "string") : word ? "word" : "number";
    nodes.push(source.slice(end, match.index), h("span", { class: `json-${kind}` }, string ?? token), colon ?? "");
    end = match.index + token.length;
  }
  nodes.push(source.slice(end));
  return nodes;
}
