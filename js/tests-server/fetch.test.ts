/** `ws.fetch` gives what `fetch` gives: each request goes both ways to a real server, whose address is in WSREQUEST_SERVER. */

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import WebSocket from "ws";

import { overHTTP } from "../src/entries/http.js";
import { WSRequest, WSRequestError, type FetchInit, type SocketLike, type WSRequestOptions } from "../src/index.js";

const server = process.env.WSREQUEST_SERVER!;
const real = globalThis.fetch;
/** As a browser has it: with the page's origin. */
const socket = (url: string, names: string[]) => new WebSocket(url, names, { origin: server }) as SocketLike;
const connect = (options: WSRequestOptions = {}) => new WSRequest(`${server}/ws/`, { socket, ...options });

let ws: WSRequest;
let csrf: Record<string, string>;

beforeAll(async () => {
  ws = connect();
  const token = await real(`${server}/csrf-token/`);
  const cookie = token.headers.getSetCookie()[0]!.split(";")[0]!;
  csrf = { cookie, "x-csrftoken": cookie.split("=")[1]! };
});
afterAll(() => ws.close());

/** What the server leaves out, or has of its own, on either way. */
const OWN = /^(alt-svc|connection|content-length|cross-origin-.*|date|keep-alive|referrer-policy|server|set-cookie|transfer-encoding|x-content-type-options|x-frame-options)$/;

function asParsed(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

async function told(response: Response) {
  const headers = Object.fromEntries([...response.headers].filter(([name]) => !OWN.test(name)));
  const { status, ok, redirected, url, bodyUsed } = response;
  let body: string | Buffer = Buffer.from(await response.arrayBuffer());
  // JSON is parsed on its way over the socket: its blanks, escapes and digits are not those of the view.
  if (/json/.test(headers["content-type"] ?? "")) body = asParsed(body.toString());
  return { status, ok, redirected, url, bodyUsed, headers, body: createHash("sha256").update(body).digest("hex") };
}

/** Over the socket, and by HTTP. A body that can be read once is made twice. */
async function both(path: string, init: () => FetchInit = () => ({})) {
  const over = await ws.fetch(path, init());
  const { headers, ...rest } = init();
  const given = new Headers(headers);
  for (const [name, value] of Object.entries(csrf)) given.set(name, value);
  return [over, await real(new URL(path, server), { ...rest, headers: given })] as const;
}

describe("the answer is the same:", () => {
  test.each([
    "/hello/", "/ahello/", "/page/", "/status/200/", "/status/201/", "/status/404/", "/status/409/", "/status/418/",
    "/status/503/", "/not-modified/", "/no-type/", "/nowhere/", "/hello", "/redirect/", "/redirect/301/", "/large/json/",
    "/large/binary/", "/stream/", "/astream/", "/stream/split/", "/stream/large/", "/stream/empty/", "/file/",
    "/odd/png/", "/odd/octets/", "/odd/csv/", "/odd/empty/", "/odd/nan/", "/odd/string/", "/odd/null/", "/odd/broken/",
    "/odd/invalid-utf-8/", "/odd/utf-16/", "/odd/plain-nul/", "/odd/plain-crlf/", "/odd/plain-quotes/", "/odd/problem/", "/odd/spaced/",
    "/odd/twice/", "/odd/big-int/", "/odd/surrogate/", "/odd/separators/", "/odd/utf-8-named/",
  ])("%s", async (path) => {
    const [over, http] = await both(path);
    expect(over).toBeInstanceOf(Response);
    expect(await told(over)).toEqual(await told(http));
  });

  test.each(["HEAD", "OPTIONS", "DELETE", "POST", "PATCH"])("%s", async (method) => {
    const [over, http] = await both("/status/202/", () => ({ method }));
    expect(await told(over)).toEqual(await told(http));
  });

  test("headers", async () => {
    const over = await ws.fetch("/many-headers/");
    const { headers } = over;
    expect([headers.get("etag"), headers.get("Link"), headers.get("x-empty")]).toEqual(['"v1"', "</a>; rel=next, </b>; rel=last", ""]);
    expect(headers.get("content-disposition")).toBe('attachment; filename="a b.txt"');
  });

  test("a clone, and a body that is read once", async () => {
    const over = await ws.fetch("/hello/");
    expect(await over.clone().text()).toBe("hello");
    expect(await over.blob()).toMatchObject({ size: 5 });
    await expect(over.text()).rejects.toThrow(TypeError);
  });
});

/** What a view can see of a request, apart from its way. */
async function seen(response: Response) {
  const { method, full_path, get, content, body, length } = await response.json();
  // (A stream is sent by HTTP before its length is known.)
  return { method, full_path, get, content, body, length: length || body.bytes };
}

const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);

function form() {
  const data = new FormData();
  data.append("title", "Größe");
  data.append("tag", "x");
  data.append("tag", "y");
  data.append("file", new File([bytes], "größe.bin", { type: "image/png" }));
  data.append("file", new Blob(["text"], { type: "text/plain" }));
  return data;
}

const stream = () =>
  new ReadableStream({
    start(controller) {
      for (const part of ["one ", "zwei ß", "\u{1f600}"]) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });

const BODIES: [string, () => BodyInit | null, Record<string, string>?][] = [
  ["none", () => null],
  ["a text", () => "größe"],
  ["an empty text", () => ""],
  ["JSON", () => '{"a":   [1, 2.50]}', { "content-type": "application/json" }],
  ["a Blob", () => new Blob([bytes], { type: "image/png" })],
  ["an ArrayBuffer", () => bytes.buffer],
  ["a part of one", () => bytes.subarray(100, 300)],
  ["a DataView", () => new DataView(bytes.buffer, 3, 200)],
  ["a stream", stream],
  ["bytes that are text", () => new TextEncoder().encode("\uFEFFtext")],
];

test.each(BODIES)("a view sees the same body: %s", async (_name, body, headers) => {
  const init = (): FetchInit => ({ method: "POST", body: body(), duplex: "half", ...(headers ? { headers } : {}) }) as FetchInit;
  const [over, http] = await both("/echo/x/?b=2&a=%C3%BC", init);
  expect(await seen(over)).toEqual(await seen(http));
});

test.each<[string, () => BodyInit]>([
  ["URLSearchParams", () => new URLSearchParams([["a", "1"], ["a", "ü & b"]])],
  ["FormData", form],
])("and the same form: %s", async (_name, body) => {
  const [over, http] = await both("/form/", () => ({ method: "POST", body: body() }));
  const seen = await over.json();
  expect(seen.post).not.toEqual({});
  expect(seen).toEqual(await http.json());
});

test("a Request is taken, with what it has, and more of init", async () => {
  const request = () => new Request(`${server}/echo/x/`, { method: "PUT", body: "abc", headers: { "x-a": "1" } });
  const plain = await (await ws.fetch(request())).json();
  expect([plain.method, plain.body.start, plain.meta.HTTP_X_A]).toEqual(["PUT", "b'abc'", "1"]);
  const changed = await (await ws.fetch(request(), { method: "PATCH", headers: { "x-a": "2" } })).json();
  expect([changed.method, changed.meta.HTTP_X_A]).toEqual(["PATCH", "2"]);
});

test("a url may be relative to the socket's, whole, or a URL", async () => {
  for (const url of ["/hello/", "../hello/", `${server}/hello/`, new URL("/hello/#top", server)]) {
    const response = await ws.fetch(url);
    expect([await response.text(), response.url]).toEqual(["hello", `${server}/hello/`]);
  }
});

describe("redirects", () => {
  test("are followed, said, or an error", async () => {
    const followed = await ws.fetch("/redirect/301/");
    expect([followed.redirected, followed.url, await followed.text()]).toEqual([true, `${server}/hello/?moved=1`, "hello"]);
    expect((await ws.fetch("/redirect/", { redirect: "manual" })).status).toBe(302);
    await expect(ws.fetch("/redirect/", { redirect: "error" })).rejects.toThrow(TypeError);
  });

  test("after a POST become a GET", async () => {
    const posted = await ws.fetch("/redirect/", { method: "POST", body: "x" });
    expect([posted.status, await posted.text()]).toEqual([200, "hello"]);
  });

  test("to elsewhere go by HTTP", async () => {
    const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response("elsewhere"));
    expect(await (await ws.fetch("/redirect/307/")).text()).toBe("elsewhere");
    expect(`${fetched.mock.calls[0]![0]}`).toBe("https://elsewhere.example/");
    fetched.mockRestore();
  });
});

test("another origin is the browser's business", async () => {
  const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response("other"));
  expect(await (await ws.fetch("https://other.example/x/", { headers: { "x-a": "1" } })).text()).toBe("other");
  const request = fetched.mock.calls[0]![0] as Request;
  expect([request.url, request.headers.get("x-a")]).toEqual(["https://other.example/x/", "1"]);
  fetched.mockRestore();
});

describe("a stream", () => {
  const text = (chunk: Uint8Array | undefined) => new TextDecoder().decode(chunk);

  test("comes as it is made", async () => {
    const reader = (await ws.fetch("/agated-stream/js-stream/")).body!.getReader();
    const { value } = await reader.read();
    expect(text(value).length).toBeGreaterThan(0);
    await ws.get("/open-gate/js-stream/");
    for (;;) if ((await reader.read()).done) break;
  });

  test("of megabytes is whole", async () => {
    const body = await (await ws.fetch("/achunks/js-large/200/50000/")).arrayBuffer();
    expect(body.byteLength).toBe(200 * 50_000);
  });

  test("ends by its signal", async () => {
    const controller = new AbortController();
    const response = await ws.fetch("/endless/js-abort/", { signal: controller.signal });
    const reader = response.body!.getReader();
    await reader.read();
    controller.abort();
    await expect(
      (async () => {
        for (;;) if ((await reader.read()).done) return;
      })(),
    ).rejects.toMatchObject({ name: "AbortError" });
    expect(await ws.get("/hello/")).toBe("hello");
  });

  test("faster than its reader is an error that says so, not memory without end", async () => {
    const small = connect({ maxBuffered: 100_000 });
    const response = await small.fetch("/achunks/js-fast/200/50000/");
    const late = new WritableStream({ write: () => small.get("/hello/") }); // for each chunk
    await expect(response.body!.pipeTo(late)).rejects.toMatchObject({ code: "stream_overrun" });
    small.close();
  });
});

describe("get, post and their kin", () => {
  test("give what is in the answer", async () => {
    expect(await ws.get("/hello/")).toBe("hello");
    expect((await ws.get("/echo/x/?a=1", { q: "a b", tag: ["x", "y"], none: null })).get).toEqual({ a: ["1"], q: ["a b"], tag: ["x", "y"] });
    expect((await ws.post("/load-json/", { a: [1, null, "ß"] })).loaded).toEqual({ a: [1, null, "ß"] });
    expect(await ws.get("/odd/png/")).toBeInstanceOf(Uint8Array);
    expect(await ws.get("/stream/")).toBe("one two dreiß \u2028");
    expect(await ws.delete("/status/204/")).toBeUndefined();
  });

  test("take bodies, too", async () => {
    expect((await ws.post("/form/", form())).post).toEqual({ title: ["Größe"], tag: ["x", "y"] });
    expect((await ws.put("/echo/", bytes)).body.bytes).toBe(1000);
  });

  test("reject from 400 on, with everything that was said", async () => {
    const error = await ws.get("/status/409/").catch((error) => error);
    expect(error).toBeInstanceOf(WSRequestError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "WSRequestError", status: 409, data: "this is 409" });
    expect(error.headers["retry-after"]).toBe("7");
    const unread = await ws.get("/echo/", undefined, { headers: { "x_user": "root" } }).catch((error) => error);
    expect(unread).toMatchObject({ status: 400, code: "invalid_field", data: { field: "headers" } });
    expect(unread.message).toMatch(/^Invalid headers/);
  });

  test("bear headers, a token and a key", async () => {
    const { meta } = await ws.get("/echo/", undefined, { headers: { "X-A": "1" }, token: "abc" });
    expect([meta.HTTP_X_A, meta.HTTP_AUTHORIZATION]).toEqual(["1", "JWT abc"]);
    const key = crypto.randomUUID();
    await ws.post("/count/", undefined, { key });
    const again = await ws.fetch("/count/", { method: "POST", key });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
  });

  test("stop a view that is not wanted any more", async () => {
    await expect(ws.get("/agate/js-timeout/", undefined, { timeout: 20 })).rejects.toSatisfy(
      (error: any) => error.name === "TimeoutError" || error.code === "timeout",
    );
  });
});

test("a login over the socket holds", async () => {
  const own = connect();
  const cookies = await own.get("/cookies/set/").then(() => own.get("/cookies/show/"));
  expect(Object.keys(cookies).length).toBeGreaterThan(0);
  own.close();
});

describe("without a connection", () => {
  test("requests go by HTTP, where that is asked for", async () => {
    const own = connect({ fallback: overHTTP(), token: () => "abc", socket: () => lost() });
    await vi.waitFor(() => expect(own.state).toBe("waiting"), 30_000);
    const { get, meta } = await own.get("/echo/x/?a=1", { q: ["x", "y"], none: null });
    expect([get, meta.HTTP_AUTHORIZATION]).toEqual([{ a: ["1"], q: ["x", "y"] }, "JWT abc"]);
    expect(await (await own.fetch("/hello/")).text()).toBe("hello");
    await expect(own.get("/status/409/")).rejects.toMatchObject({ status: 409 });
    own.close();
  });

  test("but not those that would wait", async () => {
    const own = connect({ fallback: overHTTP(), socket: () => lost() });
    await vi.waitFor(() => expect(own.state).toBe("waiting"), 30_000);
    const waits = own.get("/hello/", undefined, { fallback: false });
    own.close();
    await expect(waits).rejects.toMatchObject({ code: "closed" });
  });
});

/** A socket that is closed as soon as anybody listens. */
function lost(): SocketLike {
  const socket: SocketLike = { protocol: "", onopen: null, onmessage: null, onclose: null, onerror: null, send() {}, close() {} };
  queueMicrotask(() => socket.onclose?.({ code: 1006, reason: "" }));
  return socket;
}
