// @vitest-environment jsdom
/** The hooks, in a real React, over a connection whose other side is written out. */

import { act, createElement, StrictMode, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, test } from "vitest";

import { useLive, useRequest } from "../src/entries/react.js";
import { WSRequest, WSRequestError } from "../src/index.js";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

/** A server that answers what a test says it does. */
class Server {
  protocol = "wsrequest.v1.json";
  onopen: any = null;
  onmessage: any = null;
  onclose: any = null;
  onerror: any = null;
  said: any[] = [];
  constructor() {
    const limits = { message_bytes: null };
    setTimeout(() => this.says({ control: "hello", data: { connection: "c", heartbeat: null, limits } }));
  }
  says(...messages: object[]) {
    this.onmessage?.({ data: JSON.stringify(messages) });
  }
  send(text: string) {
    this.said.push(...[JSON.parse(text)].flat());
  }
  close() {}
  /** What was asked of a url, and not yet answered here. */
  asked(url: string): any[] {
    return this.said.filter((message) => message.url === url);
  }
}

let server: Server, ws: WSRequest, root: Root, page: HTMLElement;

beforeEach(() => {
  server = new Server();
  ws = new WSRequest("ws://example.org/ws/", { socket: () => server });
  page = document.createElement("div");
  root = createRoot(page);
});

afterEach(async () => {
  await act(() => root.unmount());
  ws.close();
});

const show = (element: ReactNode) => act(() => root.render(createElement(StrictMode, null, element)));
const settled = () => act(() => new Promise((resolve) => setTimeout(resolve, 5)));
const says = (...messages: object[]) => act(async () => server.says(...messages));
const begun = { subscription: { epoch: "e", offset: 0, rev: 0 } };

function Order({ url = "/orders/7/" }: { url?: string | null }) {
  const { data, error } = useLive<{ status: string }>(ws, url);
  return createElement("p", null, data?.status ?? "…", error instanceof WSRequestError ? ` ${error.status}` : "");
}

test("shows the present state, and each one after it", async () => {
  await show(createElement(Order));
  expect(page.textContent).toBe("…");
  await settled();
  const [{ id, live }] = server.asked("/orders/7/");
  expect(live).toBe(true);
  await says({ id, status: 200, data: { status: "open" }, ...begun });
  expect(page.textContent).toBe("open");
  await says({ id, event: "patch", data: [{ op: "replace", path: "/status", value: "paid" }], rev: 1 });
  expect(page.textContent).toBe("paid");
  await says({ id, end: true, status: 404, data: {} });
  expect(page.textContent).toBe("paid 404");
});

test("asks once for several components, and once in strict mode", async () => {
  await show([createElement(Order, { key: 1 }), createElement(Order, { key: 2 })]);
  await settled();
  const asked = server.asked("/orders/7/");
  expect(asked).toHaveLength(1);
  await says({ id: asked[0].id, status: 200, data: { status: "open" }, ...begun });
  expect(page.textContent).toBe("openopen");
  await show([createElement(Order, { key: 1 })]);
  expect(server.said.some((message) => "cancel" in message)).toBe(false);
  await show(null);
  await settled();
  expect(server.said.at(-1)).toEqual({ cancel: asked[0].id });
});

test("another url is another subscription, and null is none", async () => {
  await show(createElement(Order));
  await settled();
  const [{ id }] = server.asked("/orders/7/");
  await show(createElement(Order, { url: "/orders/8/" }));
  await settled();
  expect(server.said).toContainEqual({ cancel: id });
  expect(server.asked("/orders/8/")).toHaveLength(1);
  await show(createElement(Order, { url: null }));
  await settled();
  expect(page.textContent).toBe("…");
});

function Orders({ open }: { open: boolean }) {
  const { data, error, loading, reload } = useRequest<string[]>(ws, `/orders/?open=${open}`);
  return createElement("button", { onClick: reload }, loading ? "loading " : "", data?.join(), error?.message);
}

test("a request is asked, and asked again", async () => {
  await show(createElement(Orders, { open: true }));
  expect(page.textContent).toBe("loading ");
  await settled();
  const url = "/orders/?open=true";
  await says({ id: server.asked(url).at(-1).id, status: 200, headers: {}, data: ["a", "b"] });
  expect(page.textContent).toBe("a,b");
  await act(async () => page.querySelector("button")!.click());
  await settled();
  expect(page.textContent).toBe("loading a,b"); // what there was stays until there is something newer
  await says({ id: server.asked(url).at(-1).id, status: 500, headers: {}, data: { detail: "Broken." } });
  expect(page.textContent).toBe("Broken.");
});

test("what nobody waits for any more is cancelled, and never shown", async () => {
  await show(createElement(Orders, { open: true }));
  await settled();
  const { id } = server.asked("/orders/?open=true").at(-1);
  await show(createElement(Orders, { open: false }));
  await settled();
  expect(server.said).toContainEqual({ cancel: id });
  await says({ id, status: 200, headers: {}, data: ["a"] });
  expect(page.textContent).toBe("loading ");
});
