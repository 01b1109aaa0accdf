/** Subscriptions and live answers over connections that come and go: nothing is missed, and nothing is told twice. */

import { describe, expect, test, vi } from "vitest";

import type { Live, SubscribeOptions } from "../src/index.js";
import { clock, pair, settle, type Peer } from "./peer.js";

const pass = clock();

const begun = (id: number, data: unknown, subscription: object = {}) => ({
  ...{ id, status: 200, headers: {}, data },
  subscription: { epoch: "e", offset: 0, rev: 0, ...subscription },
});
const event = (id: number, offset: number, data: unknown = offset) => ({ id, event: "news", data, offset });

async function opened() {
  const { ws, peers } = pair();
  await settle();
  const peer = peers[0]!.hello();
  /** Lose the connection, and open the next one. */
  const again = async (): Promise<Peer> => {
    peers.at(-1)!.ends(1006);
    await pass(30_000);
    const next = peers.at(-1)!.hello();
    await settle();
    return next;
  };
  return { ws, peers, peer, again };
}

async function subscribed(options: SubscribeOptions = {}) {
  const made = await opened();
  const told: [string, any][] = [];
  const note = (name: string) => (what: any) => void told.push([name, what]);
  const subscription = made.ws.subscribe("/orders/42/", {
    ...{ onEvent: note("event"), onSnapshot: note("state"), onLost: note("lost"), onEnd: note("end") },
    ...options,
  });
  await settle();
  /** What was told since this was asked the last time. */
  const take = () => told.splice(0);
  return { ...made, subscription, take };
}

describe("a subscription", () => {
  test("says what it wants", async () => {
    const { ws, peer } = await opened();
    const since = { epoch: "e", offset: 3 };
    ws.subscribe("/a/", { data: { page: 1 }, headers: { "x-a": "1" }, token: "t", since, presence: true });
    ws.subscribe("/b/");
    await settle();
    expect(peer.sent).toEqual([
      { id: 1, method: "SUBSCRIBE", url: "/a/", data: { page: 1 }, headers: { "x-a": "1" }, token: "t", since, presence: true },
      { id: 2, method: "SUBSCRIBE", url: "/b/" },
    ]);
  });

  test("goes on after what it has seen", async () => {
    const { peer, again, take, subscription } = await subscribed();
    peer.says(begun(1, "open", { offset: 5 }), event(1, 6), { ...event(1, 9), skip: 2 } as object);
    expect(subscription.position).toEqual({ epoch: "e", offset: 9 });
    take();
    const next = await again();
    expect(next.sent).toEqual([{ id: 1, method: "SUBSCRIBE", url: "/orders/42/", since: { epoch: "e", offset: 9 } }]);
    next.says(begun(1, "paid", { offset: 9, recovered: true }), event(1, 10), event(1, 11));
    expect(take()).toEqual([
      ["event", { event: "news", data: 10, offset: 10 }],
      ["event", { event: "news", data: 11, offset: 11 }],
    ]);
  });

  test("tells nothing twice", async () => {
    const { peer, take } = await subscribed();
    peer.says(begun(1, "open", { offset: 5 }), event(1, 5), event(1, 6), event(1, 6), event(1, 4));
    expect(take().map(([name, { offset }]) => [name, offset])).toEqual([["state", undefined], ["event", 6]]);
  });

  test("takes the new state and position where events are gone", async () => {
    const { peer, again, take, subscription } = await subscribed();
    peer.says(begun(1, "open", { offset: 5 }), event(1, 6));
    take();
    const next = await again();
    next.says(begun(1, "sent", { epoch: "another", offset: 2, recovered: false }), event(1, 3));
    expect(take().map(([name, what]) => [name, what.offset ?? what])).toEqual([["state", "sent"], ["event", 3]]);
    expect(subscription.position).toEqual({ epoch: "another", offset: 3 });
  });

  test("hears of a loss, and then the state that makes it good", async () => {
    const { peer, again, take } = await subscribed();
    const loss = { from: 6, to: null, why: "epoch" };
    peer.says(begun(1, "open", { offset: 5 }));
    peer.says({ id: 1, event: "lost", data: loss });
    peer.says({ id: 1, event: "replace", data: "paid", rev: 1, epoch: "new", offset: 0 }, event(1, 1));
    expect(take()).toEqual([["state", "open"], ["lost", loss], ["state", "paid"], ["event", { event: "news", data: 1, offset: 1 }]]);
    expect((await again()).sent[0].since).toEqual({ epoch: "new", offset: 1 });
  });

  test("that the server can't serve just now is asked for again, when it said", async () => {
    const { peer, take } = await subscribed();
    peer.take();
    peer.says({ id: 1, status: 503, headers: { "retry-after": "2" }, data: { code: "broker_unavailable" } });
    await pass(1999);
    expect(peer.take()).toEqual([]);
    await pass(1);
    expect(peer.take()).toEqual([{ id: 1, method: "SUBSCRIBE", url: "/orders/42/" }]);
    peer.says(begun(1, "open"));
    expect(take()).toEqual([["state", "open"]]);
  });

  test.each(["Wed, 21 Oct 2026 07:28:00 GMT", "0", undefined])("is asked for again in five seconds where it said %s", async (after) => {
    const { peer } = await subscribed();
    peer.take();
    peer.says({ id: 1, status: 503, headers: after ? { "retry-after": after } : {}, data: {} });
    await pass(4999);
    expect(peer.take()).toEqual([]);
    await pass(1);
    expect(peer.take()).toHaveLength(1);
  });

  test("is borne by a limit of messages, and not by one of subscriptions", async () => {
    const { peer, take } = await subscribed();
    peer.take();
    peer.says({ id: 1, status: 429, headers: { "retry-after": "1" }, data: { code: "rate_limited" } });
    await pass(1000);
    expect(peer.take()).toHaveLength(1);
    expect(take()).toEqual([]);
    peer.says({ id: 1, status: 429, headers: {}, data: { code: "too_many_subscriptions" } });
    expect(take()).toMatchObject([["end", { status: 429 }]]);
  });

  test("outlives an error of the server's when it is made again, not one at first", async () => {
    const { peer, again, take } = await subscribed();
    peer.says(begun(1, "open"));
    const next = await again();
    take();
    next.take();
    next.says({ id: 1, status: 500, headers: {}, data: {} });
    await pass(5000);
    expect(next.take()).toHaveLength(1);
    next.says(begun(1, "open"), { id: 1, end: true, status: 500, data: {} });
    expect(take().at(-1)).toMatchObject(["end", { status: 500 }]);
    const first = await subscribed();
    first.peer.says({ id: 1, status: 500, headers: {}, data: {} });
    expect(first.take()).toMatchObject([["end", { status: 500 }]]);
  });

  test("is asked for once where the connection is lost while it waits for that", async () => {
    const { peer, again } = await subscribed();
    peer.says({ id: 1, status: 503, headers: { "retry-after": "40" }, data: {} });
    const next = await again();
    await pass(60_000);
    expect(next.sent).toHaveLength(1);
  });

  test("that may not be ends with the answer", async () => {
    const { peer, again, take } = await subscribed();
    peer.says({ id: 1, status: 403, headers: {}, data: { detail: "Not yours." } });
    const [[name, error]] = take() as [[string, any]];
    expect(name).toBe("end");
    expect(error).toMatchObject({ status: 403, message: "Not yours." });
    expect((await again()).sent).toEqual([]);
  });

  test("ends with what the url answers later", async () => {
    const { peer, again, take } = await subscribed();
    peer.says(begun(1, "open"), { id: 1, end: true, status: 404, data: { detail: "Gone." } });
    expect(take().at(-1)).toMatchObject(["end", { status: 404, data: { detail: "Gone." } }]);
    peer.says(event(1, 1));
    expect(take()).toEqual([]);
    expect((await again()).sent).toEqual([]);
  });

  test("is closed, by its signal too, once", async () => {
    const controller = new AbortController();
    const { peer, subscription, again, take } = await subscribed({ signal: controller.signal });
    peer.says(begun(1, "open"));
    take();
    controller.abort();
    subscription.close();
    await settle();
    expect(take()).toEqual([["end", undefined]]);
    expect(peer.sent.slice(1)).toEqual([{ cancel: 1 }]);
    peer.says(event(1, 1), { id: 1, end: true, status: 499, data: {} });
    expect(take()).toEqual([]);
    expect((await again()).sent).toEqual([]);
  });

  test("leaves nothing with a signal that outlives it", async () => {
    const { signal } = new AbortController();
    const [listens, forgets] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    const { subscription } = await subscribed({ signal });
    subscription.close();
    expect(forgets.mock.calls).toEqual(listens.mock.calls);
    expect(listens).toHaveBeenCalledOnce();
  });

  test("that is given up before it began is cancelled at once", async () => {
    const { peer, take } = await subscribed({ signal: AbortSignal.abort() });
    expect(take()).toEqual([["end", undefined]]);
    expect(peer.frames).toEqual([[{ id: 1, method: "SUBSCRIBE", url: "/orders/42/" }, { cancel: 1 }]]);
  });

  test("knows who is there, and knows it anew on the next connection", async () => {
    const people: string[] = [];
    const onPresence = (members: any[]) => void people.push(members.map(({ connection }) => connection).join());
    const { peer, again, subscription } = await subscribed({ onPresence });
    const [ann, bob, eve] = ["ann", "bob", "eve"].map((connection) => ({ connection, user: null, info: null }));
    peer.says(begun(1, "", { presence: [ann] }), { id: 1, event: "join", data: bob });
    peer.says({ id: 1, event: "leave", data: bob }, { id: 1, event: "join", data: { ...bob, user: "7" } });
    expect(people).toEqual(["ann", "ann,bob", "ann", "ann,bob"]);
    expect(subscription.members[1]).toEqual({ ...bob, user: "7" });
    (await again()).says(begun(1, "", { presence: [eve], recovered: true }));
    expect(people.at(-1)).toBe("eve");
  });
});

async function live(data?: unknown) {
  const made = await opened();
  const board: Live<any> = made.ws.live("/board/", data ? { data } : {});
  const states: any[] = [];
  board.subscribe(() => states.push(board.status === "live" ? board.getSnapshot() : board.status));
  await settle();
  return { ...made, board, states };
}

describe("a live answer", () => {
  test("is a store of what the url would answer now", async () => {
    const { board, states, peer } = await live({ page: 2 });
    expect(peer.take()).toEqual([{ id: 1, method: "SUBSCRIBE", url: "/board/", live: true, data: { page: 2 } }]);
    expect([board.status, board.getSnapshot()]).toEqual(["connecting", undefined]);
    const first = { title: "Week", tasks: [{ done: false }] };
    peer.says(begun(1, first));
    peer.says({ id: 1, event: "patch", data: [{ op: "replace", path: "/tasks/0/done", value: true }], rev: 1 });
    peer.says({ id: 1, event: "replace", data: { title: "Next" }, rev: 2 });
    expect(states).toEqual([first, { title: "Week", tasks: [{ done: true }] }, { title: "Next" }]);
    expect(first.tasks[0]!.done).toBe(false);
    expect(board.getSnapshot()).toBe(states[2]);
  });

  test("is brought up to date on the next connection, whatever was missed", async () => {
    const { board, peer, again } = await live();
    peer.says(begun(1, [1]), { id: 1, event: "patch", data: [{ op: "add", path: "/-", value: 2 }], rev: 1 });
    const next = await again();
    expect(board.getSnapshot()).toEqual([1, 2]); // what was there is shown meanwhile
    next.says(begun(1, [1, 2, 3], { recovered: true }), { id: 1, event: "patch", data: [{ op: "remove", path: "/0" }], rev: 1 });
    expect(board.getSnapshot()).toEqual([2, 3]);
  });

  test.each<[string, object]>([
    ["a patch is missing", { event: "patch", data: [], rev: 2 }],
    ["a patch comes twice", { event: "patch", data: [], rev: 0 }],
    ["a patch does not fit", { event: "patch", data: [{ op: "remove", path: "/nowhere" }], rev: 1 }],
  ])("is asked for anew where %s", async (_why, message) => {
    const { board, states, peer } = await live();
    peer.says(begun(1, { a: 1 }));
    peer.take();
    peer.says({ id: 1, ...message });
    await settle();
    expect(peer.take()).toEqual([
      { cancel: 1 },
      { id: 2, method: "SUBSCRIBE", url: "/board/", live: true, since: { epoch: "e", offset: 0 } },
    ]);
    peer.says({ id: 1, end: true, status: 499, data: {} }, begun(2, { a: 2 }));
    expect(states).toEqual([{ a: 1 }, { a: 2 }]);
    expect(board.status).toBe("live");
  });

  test("stays as it was when it has ended, and says why", async () => {
    const { board, states, peer } = await live();
    peer.says(begun(1, "here"), { id: 1, end: true, status: 403, data: { detail: "No." } });
    expect(states).toEqual(["here", "ended"]);
    expect(board.getSnapshot()).toBe("here");
    expect(board.error).toMatchObject({ status: 403 });
  });

  test("what is no JSON is live, too", async () => {
    const { board, peer } = await live();
    peer.says(begun(1, "<p>1</p>"), { id: 1, event: "replace", data: "<p>2</p>", rev: 1 });
    expect(board.getSnapshot()).toBe("<p>2</p>");
    peer.says({ id: 1, event: "replace", data: "iVBORw==", encoding: "base64", rev: 2 });
    expect(board.getSnapshot()).toEqual(new Uint8Array([0x89, 0x50, 0x4e, 0x47]));
  });

  test("tells nobody who has left", async () => {
    const { board, peer } = await live();
    const told = vi.fn();
    const leave = board.subscribe(told);
    peer.says(begun(1, 1));
    leave();
    peer.says({ id: 1, event: "replace", data: 2, rev: 1 });
    expect(told).toHaveBeenCalledTimes(1);
  });
});

describe("the iterator of a live answer", () => {
  test("gives each state; to who is slow, the newest", async () => {
    const { board, peer } = await live();
    const states = board[Symbol.asyncIterator]();
    const first = states.next();
    peer.says(begun(1, 0));
    expect(await first).toEqual({ value: 0, done: false });
    for (const rev of [1, 2, 3]) peer.says({ id: 1, event: "replace", data: rev, rev });
    expect(await states.next()).toEqual({ value: 3, done: false });
    const next = states.next();
    peer.says({ id: 1, event: "replace", data: 4, rev: 4 });
    expect(await next).toEqual({ value: 4, done: false });
  });

  test("closes it when it is left", async () => {
    const { board, peer } = await live();
    peer.says(begun(1, "here"));
    for await (const state of board) {
      expect(state).toBe("here");
      break;
    }
    await settle();
    expect(peer.sent.at(-1)).toEqual({ cancel: 1 });
    expect(board.status).toBe("ended");
  });

  test("ends with close(), and throws what the url says", async () => {
    const one = await live();
    const read = async (board: Live<any>) => {
      const seen: any[] = [];
      for await (const state of board) seen.push(state);
      return seen;
    };
    const closed = read(one.board);
    one.peer.says(begun(1, 1));
    await settle();
    one.board.close();
    expect(await closed).toEqual([1]);
    const other = await live();
    const refused = read(other.board);
    other.peer.says({ id: 1, status: 404, headers: {}, data: {} });
    await expect(refused).rejects.toMatchObject({ status: 404 });
  });
});
