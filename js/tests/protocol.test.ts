/**
 * PROTOCOL.md's examples, from the client's side: what it sends for a request is the client's block, and what it makes
 * of the server's block is what that says.
 */

import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";

import { WSRequestError, type RequestOptions, type WSRequest } from "../src/index.js";
import { pair, settle, type Peer } from "./peer.js";

interface Step {
  client: any[];
  server: any[];
}

const VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** Whether the client would ever say this: a whole request, with an id. */
const isOurs = (message: any) => {
  const { id, url, method = "GET", encoding, headers, timeout } = message ?? {};
  return (
    (typeof id === "string" || (id > 0 && id < 2 ** 53)) &&
    typeof url === "string" &&
    !encoding &&
    timeout !== 0 &&
    [...VERBS, "SUBSCRIBE"].includes(method.toUpperCase())
  );
};

function sections(): [string, Step[]][] {
  const text = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  return text.split(/^##+ (?=.*$)/m).map((section): [string, Step[]] => {
    const steps: Step[] = [];
    for (const [, words, body] of section.matchAll(/^```json (client|server)(?: [^\n]*)?\n(.*?)^```$/gms)) {
      let messages: any[];
      try {
        messages = [JSON.parse(body!)].flat();
      } catch {
        continue;
      }
      if (words === "client") steps.push({ client: messages, server: [] });
      else steps.at(-1)?.server.push(...messages);
    }
    const title = section.slice(0, section.indexOf("\n"));
    return [title, steps.filter(({ client }) => client.every(isOurs) && client.length)];
  });
}

const CONVERSATIONS = sections().filter(([title, steps]) => steps.length && title !== "MessagePack");

/** A request as the client sees it, and what has become of it. */
interface Asked {
  message: any;
  outcome?: any;
  snapshots: any[];
  events: any[];
  people: any[];
  lost: any[];
  end?: any;
}

function ask(ws: WSRequest, message: any): Asked {
  const { method = "GET", url, data, headers, token, key, timeout, since, presence, live } = message;
  const asked: Asked = { message, snapshots: [], events: [], people: [], lost: [] };
  if (method.toUpperCase() === "SUBSCRIBE") {
    const options = {
      ...{ data, headers, token, since, presence },
      onSnapshot: (state: any) => asked.snapshots.push(state),
      onEvent: (event: any) => asked.events.push(event),
      ...(presence ? { onPresence: (members: any) => asked.people.push(members) } : {}),
      onLost: (loss: any) => asked.lost.push(loss),
    };
    const onEnd = (error: any) => (asked.end = error ?? "closed");
    if (!live) ws.subscribe(url, { ...options, onEnd });
    else {
      const state = ws.live<any>(url, options);
      state.subscribe(() => {
        if (state.status === "ended") asked.end = state.error;
        else asked.snapshots.push(state.getSnapshot());
      });
    }
    return asked;
  }
  const options: RequestOptions = { headers, token, key, timeout };
  const verb = method.toLowerCase() as "post"; // or one of its kin
  void ws[verb](url, data, options).then(
    (outcome) => (asked.outcome = { outcome }),
    (error) => (asked.outcome = { error }),
  );
  return asked;
}

/** As a message would read to a server that takes `null` for what is absent, and a method in any case. */
const canonical = ({ id: _, method = "GET", data, ...fields }: any) => ({
  method: method.toUpperCase(),
  ...(data === undefined ? {} : { data }),
  ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)),
});

const KNOWN = ["url", "method", "data", "headers", "token", "key", "timeout", "since", "presence", "live"];
const known = (message: any) => Object.fromEntries(Object.entries(message).filter(([name]) => KNOWN.includes(name)));

function expectAnswer({ outcome }: Asked, head: any, chunks: any[]) {
  if (chunks.length) {
    // Read to its end, or broken by what cut it short.
    const end = chunks.at(-1);
    if (end.status) expect(outcome.error).toMatchObject({ status: 0, code: end.data.code });
    else expect(outcome.outcome).toBe(chunks.map(({ chunk = "" }) => chunk).join(""));
  } else if (head.status >= 400) {
    expect(outcome.error).toBeInstanceOf(WSRequestError);
    expect(outcome.error).toMatchObject({ status: head.status, headers: head.headers });
    expect(outcome.error.data).toEqual(head.data);
    expect(outcome.error.code).toBe(head.data?.code);
  } else if (head.encoding) {
    expect(Buffer.from(outcome.outcome).toString("base64")).toBe(head.data);
  } else expect(outcome).toEqual({ outcome: head.data });
}

function expectWatched(asked: Asked, messages: any[]) {
  const [head] = messages;
  const named = (name: string) => messages.filter(({ event }) => event === name);
  if (!head.subscription) {
    expect(asked.snapshots).toEqual([]);
    if (head.status !== 503) expect(asked.end).toMatchObject({ status: head.status, data: head.data });
    return;
  }
  const replaced = named("replace").map(({ data }) => data);
  if (named("patch").length) expect(asked.snapshots).toHaveLength(1 + replaced.length + named("patch").length);
  else expect(asked.snapshots).toEqual([...(head.subscription.recovered ? [] : [head.data]), ...replaced]);
  const own = ["replace", "patch", "lost", "join", "leave"];
  const events = messages.filter(({ event }) => event && !own.includes(event));
  expect(asked.events).toEqual(events.map(({ event, data, offset }) => ({ event, data, offset })));
  expect(asked.lost).toEqual(named("lost").map(({ data }) => data));
  if (head.subscription.presence) expect(asked.people[0]).toEqual(head.subscription.presence);
  const end = messages.find(({ end }) => end);
  if (end) expect(asked.end).toMatchObject({ status: end.status, data: end.data });
  else expect(asked.end).toBeUndefined();
}

let close = () => {};
afterEach(() => close());

test("there are examples", () => {
  expect(CONVERSATIONS.length).toBeGreaterThan(30);
  expect(CONVERSATIONS.flatMap(([, steps]) => steps.flatMap(({ client }) => client)).length).toBeGreaterThan(70);
});

test.each(CONVERSATIONS)("%s", async (_title, steps) => {
  const { ws, peers } = pair();
  close = () => ws.close();
  await settle();
  const peer = peers[0]!.hello();
  const ours = new Map<number | string, number>(); // their id, now
  const heard = new Map<number, { asked: Asked; messages: any[] }>(); // by our id
  let leaving = false;
  for (const { client, server } of steps) {
    const all = client.map((message) => ask(ws, message));
    await settle();
    const sent = peer.take();
    if (leaving) {
      // What would be refused is not said: it waits for the next connection.
      expect(sent).toEqual([]);
      continue;
    }
    expect(sent.map(known).map(canonical)).toEqual(client.map(known).map(canonical));
    sent.forEach(({ id }, index) => {
      ours.set(client[index].id, id);
      heard.set(id, { asked: all[index]!, messages: [] });
    });
    for (const message of server) {
      leaving ||= message.control === "goaway";
      const id = ours.get(message.id);
      if (message.id !== undefined && id === undefined) continue; // about what only another client would say
      peer.says({ ...message, ...(id ? { id } : {}) });
      if (id) heard.get(id)!.messages.push(message);
    }
  }
  for (const { asked, messages } of heard.values()) {
    const [head] = messages;
    if (!head || (head.more && !messages.at(-1).end)) continue; // "/wait/" and "/endless/", until they are cancelled
    if (asked.message.method !== "SUBSCRIBE") await vi.waitFor(() => expect(asked.outcome).toBeDefined(), 30_000);
    if (asked.message.method === "SUBSCRIBE") expectWatched(asked, messages);
    else expectAnswer(asked, head, head.more ? messages.slice(1) : []);
  }
  expect(peers).toHaveLength(1);
});

/** The live examples, whose states are known: what the urls would have answered. */
test("patch: leads to what the url answers", async () => {
  const { ws, peers } = pair();
  close = () => ws.close();
  await settle();
  const peer: Peer = peers[0]!.hello();
  const steps = sections().find(([title]) => title === "patch")!;
  const board = ws.live<any>("/board/");
  await settle();
  const [{ id }] = peer.take();
  const text = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const section = text.slice(text.indexOf("### patch\n"), text.indexOf("### What a live subscription can rely on"));
  const messages = [...section.matchAll(/^```json server\n(.*?)^```$/gms)].flatMap(([, body]) => [JSON.parse(body!)].flat());
  const states: any[] = [];
  board.subscribe(() => states.push(board.getSnapshot()));
  for (const message of messages.filter((each) => each.id === "board")) peer.says({ ...message, id });
  const tasks = [
    { task: "Write the letter to the council", done: false },
    { task: "Mend the bicycle", done: false },
  ];
  const mended = [tasks[0], { ...tasks[1], done: true }];
  expect(steps).toBeDefined();
  expect(states).toEqual([
    { title: "This week", tasks },
    { title: "This week", tasks: mended },
    { title: "This week", tasks: [...mended, { task: "Call the plumber", done: false }] },
    { title: "Next week", tasks: [] },
  ]);
  expect(peer.take()).toEqual([]);
});
