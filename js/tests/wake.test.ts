// @vitest-environment jsdom
/** What a page tells its connection: the network is back, the tab is looked at again. */

import { beforeEach, expect, test, vi } from "vitest";

import { clock, pair, settle } from "./peer.js";

let hidden = false;
let online = true;

const pass = clock();
beforeEach(() => {
  vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
  vi.spyOn(navigator, "onLine", "get").mockImplementation(() => online);
  hidden = false;
  online = true;
});
const happens = async (target: EventTarget, name: string) => {
  target.dispatchEvent(new Event(name));
  await settle();
};

async function opened() {
  const made = pair();
  await settle();
  made.peers[0]!.hello({ heartbeat: 20 });
  return made;
}

test("without a network nothing is tried, and with it at once", async () => {
  const { ws, peers } = await opened();
  online = false;
  peers[0]!.ends(1006);
  await pass(600_000);
  expect(peers).toHaveLength(1);
  expect(ws.state).toBe("waiting");
  online = true;
  await happens(window, "online");
  expect(peers).toHaveLength(2);
  ws.close();
});

test("a page that is looked at does not wait for the next try", async () => {
  const { ws, peers } = await opened();
  hidden = true;
  peers[0]!.ends(1006);
  await happens(document, "visibilitychange");
  expect(peers).toHaveLength(1);
  hidden = false;
  await happens(document, "visibilitychange");
  expect(peers).toHaveLength(2);
  ws.close();
});

test("a computer that was asleep finds out whether the connection still is", async () => {
  const { ws, peers } = await opened();
  await happens(document, "visibilitychange");
  expect(peers[0]!.sent).toEqual([{ ping: 1 }]);
  await pass(10_000);
  expect(ws.state).toBe("waiting");
  ws.close();
});

test("a client that was closed listens no more", async () => {
  const { ws, peers } = await opened();
  ws.close();
  await happens(window, "online");
  await happens(document, "visibilitychange");
  expect(peers).toHaveLength(1);
  expect(ws.state).toBe("closed");
});

test("the socket's url is relative to the page", async () => {
  const { WSRequest } = await import("../src/index.js");
  const urls: string[] = [];
  const socket = (url: string) => {
    urls.push(url);
    return { protocol: "", onopen: null, onmessage: null, onclose: null, onerror: null, send() {}, close() {} };
  };
  const clients = ["/ws/", "sub/", "https://other.example/ws/", "wss://other.example/ws/"].map((url) => new WSRequest(url, { socket }));
  await settle();
  const page = location.href.replace("http", "ws");
  expect(urls).toEqual([`${page}ws/`, `${page}sub/`, "wss://other.example/ws/", "wss://other.example/ws/"]);
  for (const client of clients) client.close();
});
