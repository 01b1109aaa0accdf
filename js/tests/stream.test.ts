/** The stream against a server of its kind; the real one is met by a real browser, in tests/transports. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SocketLike } from "../src/socket.js";
import { StreamSocket, withFallback } from "../src/entries/stream.js";

class Peer {
  /** The bodies of what was posted. */
  frames: string[] = [];
  streams: ServerResponse[] = [];
  offered: string[] = [];
  cut = 0;
  refusal = 0;
  /** Whoever posts waits for it. */
  gate: Promise<void> = Promise.resolve();
  status = 204;
  silent = false;
  #server: Server;
  #changed: (() => void)[] = [];

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  start = () => new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  get url() {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws/`;
  }

  stop() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  async until(check: () => boolean): Promise<void> {
    while (!check()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  say(text: string, name = ""): void {
    this.streams.at(-1)?.write(`${name && `event: ${name}\n`}${text.replace(/^/gm, "data: ")}\n\n`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    let body = "";
    for await (const part of request) body += part;
    if (request.url?.startsWith("/ws/events/")) {
      this.offered.push(body);
      if (this.refusal) response.writeHead(this.refusal).end("No.\n");
      else {
        response.writeHead(200, { "content-type": "text/event-stream" });
        this.streams.push(response);
        response.on("close", () => this.#tell(() => (this.cut += 1)));
        response.write(":    \n\n");
        if (!this.silent) this.say('{"key": "k.1", "protocol": "wsrequest.v1.json"}', "open");
      }
    } else {
      const [key, ...rest] = body.split("\n");
      expect(key).toBe("k.1");
      this.frames.push(rest.join("\n"));
      this.#tell(() => {});
      await this.gate;
      response.writeHead(this.status).end(this.status === 204 ? undefined : "Gone.\n");
    }
    this.#tell(() => {});
  }

  #tell(change: () => void) {
    change();
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}

/** What a socket has told. */
class Ear {
  heard: string[] = [];
  #waiting: (() => void)[] = [];

  constructor(readonly socket: SocketLike) {
    socket.onopen = () => this.#note(`open ${socket.protocol}`);
    socket.onmessage = ({ data }) => this.#note(String(data));
    socket.onclose = ({ code, reason }) => this.#note(`close ${code} ${reason}`.trim());
  }

  async next(): Promise<string> {
    while (!this.heard.length) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.heard.shift() as string;
  }

  #note(what: string) {
    this.heard.push(what);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

let peer: Peer;
let open: SocketLike[];

beforeEach(async () => {
  peer = new Peer();
  open = [];
  await peer.start();
});

afterEach(async () => {
  for (const socket of open) socket.close();
  await peer.stop();
});

function heard(socket: SocketLike): Ear {
  open.push(socket);
  return new Ear(socket);
}

async function opened(...protocols: string[]): Promise<Ear> {
  const ear = heard(new StreamSocket(peer.url, protocols));
  expect(await ear.next()).toBe("open wsrequest.v1.json");
  return ear;
}

const get = (id: number) => JSON.stringify({ id, url: "/x/" });
const answer = (id: number) => JSON.stringify({ id, status: 200 });

test("it offers its subprotocols, and hears frames", async () => {
  const ear = await opened("wsrequest.v1.json", "wsrequest.token.YWJj");
  expect(peer.offered).toEqual(["wsrequest.v1.json, wsrequest.token.YWJj"]);
  peer.say('{"pong": 1}');
  peer.say('{\n"pong":\n2}');
  peer.say("e30=", "binary");
  peer.say('{"pong": "größe"}');
  expect([await ear.next(), await ear.next(), await ear.next()]).toEqual([
    '{"pong": 1}',
    '{\n"pong":\n2}',
    '{"pong": "größe"}',
  ]);
});

test("frames go one after the other, and what waits goes together", async () => {
  let letGo = () => {};
  peer.gate = new Promise((resolve) => (letGo = resolve));
  const socket = new StreamSocket(peer.url, ["wsrequest.v1.json"]);
  socket.send(get(1)); // before it is open
  const ear = heard(socket);
  await ear.next();
  await peer.until(() => peer.frames.length === 1);
  for (const text of [get(2), `[${get(3)}, ${get(4)}]`, "[]", get(5)]) socket.send(text);
  letGo();
  await peer.until(() => peer.frames.length === 2);
  expect(JSON.parse(peer.frames[0] as string)).toEqual({ id: 1, url: "/x/" });
  expect(JSON.parse(peer.frames[1] as string).map(({ id }: { id: number }) => id)).toEqual([2, 3, 4, 5]);
});

test("what waits is not put into frames that are too large", async () => {
  let letGo = () => {};
  peer.gate = new Promise((resolve) => (letGo = resolve));
  const { socket } = await opened();
  socket.send(get(1));
  await peer.until(() => peer.frames.length === 1);
  const large = JSON.stringify({ id: 2, url: "/x/", data: "x".repeat(70_000) });
  for (const text of [large, large, get(3), get(4)]) socket.send(text);
  letGo();
  await peer.until(() => peer.frames.length === 4);
  expect(peer.frames.slice(1)).toEqual([large, large, `[${get(3)},${get(4)}]`]);
});

test.each([
  [403, 4003],
  [400, 4003],
  [404, 1006],
  [503, 4100],
  [429, 4100],
])("a refusal with %i closes with %i", async (status, code) => {
  peer.refusal = status;
  expect(await heard(new StreamSocket(peer.url)).next()).toBe(`close ${code} No.`);
});

test("the server's close code is told", async () => {
  const ear = await opened();
  peer.say('{"code": 4200}', "close");
  peer.streams[0]?.end();
  expect(await ear.next()).toBe("close 4200");
});

test("a stream that is cut is a lost connection", async () => {
  const ear = await opened();
  peer.streams[0]?.destroy();
  expect(await ear.next()).toMatch(/^close 1006/);
});

test("a connection that is not known any more is lost, too", async () => {
  const ear = await opened();
  peer.status = 410;
  ear.socket.send(get(1));
  expect(await ear.next()).toBe("close 1006 Gone.");
});

test("a stream that brings nothing has failed", async () => {
  peer.silent = true;
  expect(await heard(new StreamSocket(peer.url, [], 50)).next()).toMatch(/^close 1006/);
});

test("closing ends the response", async () => {
  const ear = await opened();
  ear.socket.close(1000, "enough");
  expect(await ear.next()).toBe("close 1000 enough");
  await peer.until(() => peer.cut === 1);
  ear.socket.send(get(1)); // goes nowhere, as with a WebSocket
  expect(peer.frames).toEqual([]);
});

/** WebSockets that do what a test says: fail, stay silent, or work. */
function webSockets(...fates: ("fails" | "hangs" | "works")[]) {
  const made: FakeSocket[] = [];
  class FakeSocket extends EventTarget {
    readyState = 0;
    protocol = "";
    onopen: ((event: Event) => unknown) | null = null;
    onmessage: ((event: MessageEvent) => unknown) | null = null;
    onclose: ((event: CloseEvent) => unknown) | null = null;
    onerror: ((event: Event) => unknown) | null = null;

    constructor() {
      super();
      made.push(this);
      const fate = fates[made.length - 1] ?? fates.at(-1);
      if (fate === "fails") setTimeout(() => this.close(1006));
      if (fate === "works") {
        setTimeout(() => this.#tell(Object.assign(new Event("message"), { data: '{"control":"hello"}' })));
      }
    }

    send() {}

    close(code = 1005) {
      if (this.readyState === 3) return;
      this.readyState = 3;
      this.#tell(Object.assign(new Event("close"), { code, reason: "" }));
    }

    #tell(event: Event) {
      this.dispatchEvent(event);
      if (event.type === "close") this.onclose?.(event as CloseEvent);
      else this.onmessage?.(event as MessageEvent);
    }
  }
  return { made, WebSocket: FakeSocket as unknown as new (url: string, protocols: string[]) => WebSocket };
}

test.each(["fails", "hangs"] as const)("two WebSockets of which each %s are enough", async (fate) => {
  const { made, WebSocket } = webSockets(fate);
  const connect = withFallback({ WebSocket, timeout: fate === "hangs" ? 20 : 10_000 });
  for (let count = 0; count < 2; count++) expect(await heard(connect(peer.url, [])).next()).toMatch(/^close 100[56]/);
  expect(await heard(connect(peer.url, [])).next()).toBe("open wsrequest.v1.json");
  expect(made.length).toBe(2);
});

test("one that works sets the count back", async () => {
  const { made, WebSocket } = webSockets("fails", "works", "fails", "works");
  const connect = withFallback({ WebSocket });
  const first: string[] = [];
  for (let count = 0; count < 4; count++) first.push(await heard(connect(peer.url, [])).next());
  expect(first.map((text) => text.startsWith("close"))).toEqual([true, false, true, false]);
  expect([made.length, peer.offered.length]).toEqual([4, 0]);
});

test("where neither works, both have their turn", async () => {
  peer.refusal = 502;
  const { made, WebSocket } = webSockets("fails");
  const connect = withFallback({ WebSocket });
  for (let count = 0; count < 6; count++) await heard(connect(peer.url, [])).next();
  expect([made.length, peer.offered.length]).toEqual([4, 2]);
});

test("it goes back to a WebSocket once that works, and nothing is under way", async () => {
  const { made, WebSocket } = webSockets("fails", "fails", "fails", "works");
  const connect = withFallback({ WebSocket, retry: 10 });
  for (let count = 0; count < 2; count++) await heard(connect(peer.url, [])).next();
  const socket = connect(peer.url, []);
  const ear = heard(socket);
  await ear.next();
  socket.send(get(1));
  socket.send(JSON.stringify({ id: 2, url: "/x/", method: "SUBSCRIBE" }));
  await peer.until(() => peer.frames.length > 0);
  while (made[3]?.readyState !== 3) await new Promise((resolve) => setTimeout(resolve, 5));
  peer.say(`[${answer(1)}, {"id": 2, "event": "e", "offset": 1}]`);
  expect(await ear.next()).toContain('"status":200');
  expect(await ear.next()).toMatch(/^close 4200/);
  expect(await heard(connect(peer.url, [])).next()).toBe('{"control":"hello"}');
  expect(peer.offered.length).toBe(1);
});
