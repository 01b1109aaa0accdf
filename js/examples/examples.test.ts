/** Each example against a real server, whose address is in WSREQUEST_SERVER. */

import { QueryObserver } from "@tanstack/query-core";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import WebSocket from "ws";

import { WSRequest, type SocketLike } from "../src/index.js";
import { axiosOver } from "./axios.js";
import { kyOver } from "./ky.js";
import { boardClient } from "./openapi-fetch.js";
import { keepLive, queryClientOver } from "./tanstack-query.js";

const server = process.env.WSREQUEST_SERVER!;
let ws: WSRequest;

beforeAll(() => {
  ws = new WSRequest(`${server}/ws/`, { socket: (url, names) => new WebSocket(url, names) as SocketLike });
});
afterAll(() => ws.close());
beforeEach(async () => {
  for (const slug of (await ws.get("/board/")).notes) await ws.delete(`/board/${slug}/`);
  await ws.post("/board/", { slug: "milk", text: "two" });
  // From here on, whoever goes by HTTP is found out.
  vi.stubGlobal("fetch", () => Promise.reject(new Error("This was not asked over the socket.")));
});

test("openapi-fetch", async () => {
  const client = boardClient(ws, server);
  const { data } = await client.GET("/board/");
  expect(data?.notes).toEqual(["milk"]);
  const made = await client.POST("/board/", { body: { slug: "bread", text: "one" } });
  expect([made.response.status, made.data?.slug]).toEqual([201, "bread"]);
  const gone = await client.GET("/board/{slug}/", { params: { path: { slug: "no" } } });
  expect(gone.error).toEqual({ detail: "No such note." });
});

test("axios", async () => {
  const client = axiosOver(ws, server);
  expect((await client.get("/board/milk/")).data).toEqual({ slug: "milk", text: "two" });
  const made = await client.post("/board/", { slug: "bread", text: "one" });
  expect([made.status, made.headers["content-type"]]).toEqual([201, "application/json"]);
  await expect(client.get("/board/no/")).rejects.toMatchObject({
    response: { status: 404, data: { detail: "No such note." } },
  });
  const controller = new AbortController();
  const waiting = client.get("/wait/axios/", { signal: controller.signal });
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: "ERR_CANCELED" });
});

test("ky", async () => {
  const client = kyOver(ws, server);
  expect(await client.get("board/milk/").json()).toEqual({ slug: "milk", text: "two" });
  await client.put("board/milk/", { json: { text: "three" } });
  expect(await client.get("board/milk/").json()).toEqual({ slug: "milk", text: "three" });
  await expect(client.get("board/no/").json()).rejects.toMatchObject({ response: { status: 404 } });
});

test("TanStack Query", async () => {
  const client = queryClientOver(ws);
  const observer = new QueryObserver<{ notes: string[] }>(client, { queryKey: ["/board/"], retry: false });
  const seen: string[] = [];
  const unsubscribe = observer.subscribe(({ data }) => void (data && seen.push(data.notes.join())));
  const stop = keepLive(client, ws, ["/board/"]);
  await vi.waitFor(() => expect(seen.at(-1)).toBe("milk"), 30_000);
  await ws.post("/board/", { slug: "bread", text: "" });
  await vi.waitFor(() => expect(seen.at(-1)).toBe("bread,milk"), 30_000);
  stop();
  unsubscribe();
  await expect(client.fetchQuery({ queryKey: ["/board/no/"], retry: false })).rejects.toMatchObject({ status: 404 });
});
