/** The connection: opening, coming back, the heartbeat, and what becomes of requests meanwhile. The clock is the test's. */

import { describe, expect, test, vi } from "vitest";

import { WSRequestError, type State } from "../src/index.js";
import { clock, pair, Peer, settle } from "./peer.js";

const pass = clock();

/** What has become of a promise. */
function watch<T>(promise: Promise<T>) {
  const seen: { value?: T; error?: any } = {};
  promise.then(
    (value) => (seen.value = value),
    (error) => (seen.error = error),
  );
  return seen;
}

async function opened(options = {}) {
  const made = pair(options);
  const states: [State, number?, number?][] = [];
  made.ws.on("state", ({ state, code, delay }) => states.push(delay !== undefined ? [state, code, delay] : code ? [state, code] : [state]));
  await settle();
  const peer = made.peers[0]!.hello();
  await settle();
  return { ...made, peer, states };
}

describe("opening", () => {
  test("is at once, by the socket's scheme, and says hello to who listens", async () => {
    const { ws, peers } = pair();
    const hellos: any[] = [];
    ws.on("open", (hello) => hellos.push(hello));
    expect(peers).toEqual([]);
    await settle();
    expect(peers.map(({ url, protocols }) => [url, protocols])).toEqual([["ws://example.org/ws/", ["wsrequest.v1.json"]]]);
    expect(ws.state).toBe("connecting");
    peers[0]!.hello();
    expect(ws.state).toBe("open");
    expect(ws.connection).toBe("c1");
    expect(hellos).toEqual([{ connection: "c1", heartbeat: null, limits: { message_bytes: null, in_flight: 32 } }]);
  });

  test("brings the token along, whatever is in it", async () => {
    const { peers } = pair({ token: "a?b>ü~~" });
    await settle();
    const [, entry] = peers[0]!.protocols;
    expect(entry).toMatch(/^wsrequest\.token\.[\w-]+$/);
    expect(Buffer.from(entry!.slice(16), "base64url").toString()).toBe("a?b>ü~~");
  });

  test("asks for a token each time; one that can't be had is asked for again later", async () => {
    const tokens = [null, "one", new Error("no"), "two"];
    const token = vi.fn(async () => {
      const next = tokens.shift();
      if (next instanceof Error) throw next;
      return next as string | null;
    });
    const { ws, peers } = pair({ token });
    await settle();
    expect(peers[0]!.protocols).toHaveLength(1);
    peers[0]!.ends(1006);
    await pass(500);
    expect(peers[1]!.protocols[1]).toBe("wsrequest.token.b25l");
    peers[1]!.ends(1006);
    await pass(1000);
    expect(peers).toHaveLength(2);
    expect(ws.state).toBe("waiting");
    await pass(2000);
    expect(peers[2]!.protocols[1]).toBe("wsrequest.token.dHdv");
    expect(token).toHaveBeenCalledTimes(4);
  });

  test("is tried again where the carrier can't be had", async () => {
    const carriers = [() => { throw new Error("forbidden"); }, () => new Peer("", [])];
    const { ws } = pair({ socket: () => carriers.shift()!() });
    await settle();
    expect(ws.state).toBe("waiting");
    await pass(500);
    expect(ws.state).toBe("connecting");
    expect(carriers).toEqual([]);
  });

  test("that brings no hello is given up", async () => {
    const { ws, peers } = pair();
    await settle();
    await pass(10_000);
    expect(peers[0]!.closed).toBe(1);
    expect(ws.state).toBe("waiting");
    peers[0]!.hello(); // too late
    expect(ws.state).toBe("waiting");
    await pass(500);
    expect(peers).toHaveLength(2);
  });

  test("is not repeated after close()", async () => {
    const { ws, peer, peers, states } = await opened();
    ws.close();
    expect(peer.closed).toBe(1);
    peer.ends(1000);
    await pass(100_000);
    expect(peers).toHaveLength(1);
    expect(states.at(-1)![0]).toBe("closed");
    await expect(ws.get("/x/")).rejects.toMatchObject({ code: "closed" });
  });

  test("close() while it is opened", async () => {
    const { ws, peers } = pair({ token: () => new Promise<string>((resolve) => setTimeout(resolve, 50, "late")) });
    await settle();
    ws.close();
    await pass(100_000);
    expect(peers).toEqual([]);
  });
});

describe("a frame", () => {
  test("has all that is said in one tick, and is read as one message or several", async () => {
    const { ws, peer } = await opened();
    const both = Promise.all([ws.get("/a/"), ws.get("/b/")]);
    await settle();
    expect(peer.frames).toEqual([[{ id: 1, url: "/a/", method: "GET" }, { id: 2, url: "/b/", method: "GET" }]]);
    peer.says({ id: 2, status: 200, headers: {}, data: "b" }, { id: 1, status: 200, headers: {}, data: "a" });
    expect(await both).toEqual(["a", "b"]);
    const third = ws.get("/c/");
    await settle();
    peer.says({ id: 3, status: 200, headers: {}, data: "c" });
    expect(await third).toBe("c");
  });

  test("is no larger than the server reads", async () => {
    const { ws, peers } = pair();
    await settle();
    const peer = peers[0]!.hello({ message_bytes: 1000 });
    for (const name of ["a", "b"]) void ws.post("/x/", name.repeat(400)).catch(() => {});
    await settle();
    expect(peer.frames.map((frame) => frame.data?.[0])).toEqual(["a", "b"]);
    const large = watch(ws.post("/x/", "ü".repeat(450)));
    await settle();
    expect(large.error).toMatchObject({ code: "message_too_large", status: 0 });
    expect(large.error.message).toMatch(/HTTP/);
    expect(peer.frames).toHaveLength(2);
  });

  test("one message that a listener fails at does not touch its neighbours", async () => {
    const { ws, peer } = await opened();
    const reported: unknown[] = [];
    vi.spyOn(Promise, "reject").mockImplementation((error) => (reported.push(error), Promise.resolve() as Promise<never>));
    ws.on("notice", () => {
      throw new Error("in the application");
    });
    const answer = watch(ws.get("/a/"));
    await settle();
    peer.says({ event: "mail", data: 1 }, { id: 1, status: 200, headers: {}, data: "here" });
    await settle();
    expect(answer.value).toBe("here");
    // It is reported, as any error of the page.
    expect(reported).toEqual([new Error("in the application")]);
  });

  test("nor does one at the loss of the connection", async () => {
    const { ws, peer, peers } = await opened();
    const reported: unknown[] = [];
    vi.spyOn(Promise, "reject").mockImplementation((error) => (reported.push(error), Promise.resolve() as Promise<never>));
    const fail = () => {
      throw new Error("in the application");
    };
    ws.on("state", fail);
    ws.subscribe("/a/", { onEnd: fail });
    const other: unknown[] = [];
    ws.subscribe("/b/", { onEnd: (error) => other.push(error?.code) });
    peer.ends(1006);
    await pass(500);
    expect(peers).toHaveLength(2);
    peers[1]!.hello();
    peers[1]!.ends(4003);
    expect(other).toEqual(["connection_lost"]);
    expect(ws.state).toBe("closed");
    expect(reported).toHaveLength(5); // waiting, connecting, open, the one subscription, closed
  });

  test("of what nobody knows does nothing", async () => {
    const { ws, peer } = await opened();
    const notices: any[] = [];
    const leave = ws.on("notice", (notice) => notices.push(notice));
    peer.says({ control: "news", data: 1 }, { id: 99, status: 200 }, { pong: 1 }, { id: null, status: 409 } as any, {});
    expect(notices).toEqual([]);
    peer.says({ event: "greeting", data: { to: "you" } });
    leave();
    peer.says({ event: "greeting", data: { to: "nobody" } });
    expect(notices).toEqual([{ event: "greeting", data: { to: "you" } }]);
    expect(ws.state).toBe("open");
  });
});

describe("the heartbeat", () => {
  test("is a ping every so often", async () => {
    const { ws, peers } = pair();
    await settle();
    const peer = peers[0]!.hello({ heartbeat: 20 });
    await pass(19_000);
    const answer = watch(ws.get("/a/"));
    await settle();
    peer.says({ id: 1, status: 200, headers: {}, data: 1 });
    expect(peer.sent).toHaveLength(1);
    await pass(1_000);
    expect(peer.sent.slice(1)).toEqual([{ ping: 1 }]);
    peer.says({ pong: 1 });
    await pass(20_000);
    expect(peer.sent.slice(1)).toEqual([{ ping: 1 }, { ping: 1 }]);
    expect(answer.value).toBe(1);
    expect(ws.state).toBe("open");
  });

  test("finds a peer that is silent while there is always something to say to it", async () => {
    const { ws, peers } = pair();
    await settle();
    peers[0]!.hello({ heartbeat: 20 });
    for (let second = 0; second < 30; second++) {
      watch(ws.get("/a/"));
      await pass(1000);
    }
    expect(ws.state).toBe("waiting");
    expect(peers[0]!.closed).toBe(1);
  });

  test("finds a peer that is silent, and comes back without waiting for its close", async () => {
    const { ws, peers } = pair();
    await settle();
    peers[0]!.hello({ heartbeat: 20 });
    const asked = watch(ws.get("/a/"));
    await pass(20_000 + 9_999);
    expect(ws.state).toBe("open");
    await pass(1);
    expect(ws.state).toBe("waiting");
    expect(peers[0]!.closed).toBe(1);
    await pass(1000);
    peers[0]!.says({ id: 1, status: 200, headers: {}, data: "of the old one" });
    peers[1]!.hello();
    await settle();
    expect(peers[1]!.sent).toEqual([{ id: 1, url: "/a/", method: "GET" }]);
    expect(asked).toEqual({});
  });

  test("any word of the server's will do", async () => {
    const { ws, peers } = pair();
    await settle();
    peers[0]!.hello({ heartbeat: 20 });
    await pass(20_000);
    peers[0]!.says({ event: "mail", data: 1 });
    await pass(15_000);
    expect(ws.state).toBe("open");
  });

  test("there is none where the server does not watch", async () => {
    const { peer } = await opened();
    await pass(1_000_000);
    expect(peer.sent).toEqual([]);
  });
});

describe("coming back", () => {
  test("takes twice as long each time, and half a minute at most", async () => {
    const { peers, states } = await opened();
    for (let count = 0; count < 9; count++) {
      peers.at(-1)!.ends(1006);
      await pass(states.at(-1)![2]!);
    }
    const delays = states.filter(([state]) => state === "waiting").map(([, , delay]) => delay);
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(peers).toHaveLength(10);
  });

  test("begins anew only after a connection that has lasted", async () => {
    const { peers, states } = await opened();
    const again = async (lasting: number) => {
      await pass(lasting);
      peers.at(-1)!.ends(1006);
      await pass(states.at(-1)![2]!);
      peers.at(-1)!.hello();
    };
    await again(0);
    await again(9_999);
    await again(5_000);
    await again(10_000);
    const delays = states.filter(([state]) => state === "waiting").map(([, , delay]) => delay);
    expect(delays).toEqual([500, 1000, 2000, 500]);
  });

  test("goes by the close code", async () => {
    const outcome = async (code: number) => {
      const { ws, peer, states } = await opened();
      peer.ends(code);
      ws.close();
      return states.find(([, seen]) => seen === code)!;
    };
    expect(await outcome(4003)).toEqual(["closed", 4003]);
    expect(await outcome(4010)).toEqual(["closed", 4010]);
    expect(await outcome(1009)).toEqual(["closed", 1009]);
    expect(await outcome(4011)).toEqual(["idle", 4011]);
    expect(await outcome(4101)).toEqual(["waiting", 4101, 500]);
    expect(await outcome(4201)).toEqual(["waiting", 4201, 1000]);
  });

  test("with the next request, after 4011", async () => {
    const { ws, peer, peers } = await opened();
    peer.ends(4011);
    await pass(1_000_000);
    expect(peers).toHaveLength(1);
    const answer = ws.get("/a/");
    await settle();
    peers[1]!.hello();
    await settle();
    peers[1]!.says({ id: 1, status: 200, headers: {}, data: "again" });
    expect(await answer).toBe("again");
  });

  test("connect() does not wait for the next try", async () => {
    const { ws, peer, peers } = await opened();
    peer.ends(1006);
    ws.connect();
    await settle();
    expect(peers).toHaveLength(2);
  });
});

describe("a server that goes away", () => {
  test("is told nothing new, may finish, and is back when it said", async () => {
    const { ws, peer, peers, states } = await opened();
    const under = watch(ws.post("/under/"));
    await settle();
    peer.take();
    peer.says({ control: "goaway", data: { delay: 3.5 } });
    const late = watch(ws.post("/late/"));
    await settle();
    expect(peer.take()).toEqual([]);
    peer.says({ id: 1, status: 200, headers: {}, data: "done" });
    peer.ends(4200);
    await settle();
    expect(under.value).toBe("done");
    expect(states.at(-1)).toEqual(["waiting", 4200, 3500]);
    await pass(3500);
    peers[1]!.hello();
    await settle();
    expect(peers[1]!.sent.map(({ url }) => url)).toEqual(["/late/"]);
    expect(late).toEqual({});
  });

  test("has not run what crossed its word, nor what it did not answer", async () => {
    const { ws, peer, peers } = await opened();
    const crossed = watch(ws.post("/crossed/"));
    const unread = watch(ws.post("/unread/"));
    const shut = watch(ws.post("/shut/"));
    await settle();
    peer.says({ control: "goaway", data: { delay: 0 } });
    peer.says({ id: 1, status: 503, headers: {}, data: { code: "going_away" } });
    peer.says({ id: 3, status: 503, headers: {}, data: { code: "shut_down", error: "Shut." } });
    peer.ends(4200);
    await pass(0);
    peers[1]!.hello();
    await settle();
    expect(peers[1]!.sent.map(({ url }) => url)).toEqual(["/crossed/", "/unread/"]);
    expect([crossed, unread]).toEqual([{}, {}]);
    expect(shut.error).toMatchObject({ status: 503, code: "shut_down" });
  });
});

describe("a request, when the connection is lost,", () => {
  test("is sent again where it only reads, or has a key", async () => {
    const { ws, peer, peers } = await opened();
    const get = watch(ws.get("/a/"));
    const keyed = watch(ws.post("/b/", { seat: 5 }, { key: "k" }));
    await settle();
    const sent = peer.take();
    peer.ends(1006);
    await pass(500);
    peers[1]!.hello();
    await settle();
    expect(peers[1]!.sent).toEqual(sent);
    peers[1]!.says({ id: 1, status: 200, headers: {}, data: "a" }, { id: 2, status: 200, headers: {}, data: "b" });
    await settle();
    expect([get.value, keyed.value]).toEqual(["a", "b"]);
  });

  test("is not, where it may have been done; that is told at once", async () => {
    const { ws, peer, peers } = await opened();
    const posted = watch(ws.post("/a/", 1));
    await settle();
    peer.ends(1006);
    await settle();
    expect(posted.error).toBeInstanceOf(WSRequestError);
    expect(posted.error).toMatchObject({ status: 0, code: "connection_lost" });
    await pass(500);
    peers[1]!.hello();
    await settle();
    expect(peers[1]!.sent).toEqual([]);
  });

  test("waits, where it was never sent", async () => {
    const { ws, peer, peers } = await opened();
    peer.ends(1006);
    const posted = watch(ws.post("/a/", 1));
    await settle();
    peers.at(-1)!.ends(1006);
    await pass(2000);
    peers.at(-1)!.hello();
    await settle();
    expect(peers.at(-1)!.sent).toEqual([{ id: 1, method: "POST", url: "/a/", data: 1 }]);
    expect(posted).toEqual({});
  });

  test("fails for good with the connection", async () => {
    const { ws, peer } = await opened();
    const get = watch(ws.get("/a/"));
    await settle();
    peer.ends(4003);
    await settle();
    expect(get.error).toBeInstanceOf(WSRequestError);
    await expect(ws.get("/b/")).rejects.toMatchObject({ status: 0, code: "closed" });
  });

  test("and its stream has begun, does not begin again", async () => {
    const { ws, peer, peers } = await opened();
    const response = ws.fetch("/stream/");
    await settle();
    peer.says({ id: 1, status: 200, headers: {}, more: true }, { id: 1, chunk: "one\n" });
    const text = watch((await response).text());
    peer.ends(1006);
    await pass(500);
    peers[1]!.hello();
    await settle();
    expect(text.error).toMatchObject({ code: "connection_lost" });
    expect(peers[1]!.sent).toEqual([]);
  });
});

describe("what is given up", () => {
  test("by its signal is cancelled on the server", async () => {
    const { ws, peer } = await opened();
    const controller = new AbortController();
    const asked = watch(ws.get("/a/", undefined, { signal: controller.signal }));
    await settle();
    controller.abort();
    await settle();
    expect(asked.error).toMatchObject({ name: "AbortError" });
    expect(peer.sent.at(-1)).toEqual({ cancel: 1 });
    peer.says({ id: 1, status: 499, headers: {}, data: { code: "cancelled" } });
    controller.abort();
    expect(peer.sent).toHaveLength(2);
  });

  test("before it was sent never is", async () => {
    const { ws, peer } = await opened();
    const reason = new Error("not wanted");
    await expect(ws.get("/a/", undefined, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(peer.sent).toEqual([]);
  });

  test("while there is no connection is not asked for on the next one", async () => {
    const { ws, peers } = pair();
    const controller = new AbortController();
    const asked = watch(ws.get("/a/", undefined, { signal: controller.signal }));
    await settle();
    controller.abort();
    peers[0]!.hello();
    await settle();
    expect(peers[0]!.sent).toEqual([]);
    expect(asked.error).toMatchObject({ name: "AbortError" });
  });

  test("after its time is cancelled, too; the server knows how long it has", async () => {
    const { ws, peer } = await opened({ timeout: 5000 });
    const asked = watch(ws.get("/a/"));
    const quick = watch(ws.get("/b/", undefined, { timeout: 10 }));
    await settle();
    expect(peer.take().map(({ timeout }) => timeout)).toEqual([5000, 10]);
    await pass(10);
    expect(quick.error).toMatchObject({ name: "TimeoutError" });
    expect(asked).toEqual({});
    await pass(5000);
    expect(asked.error).toMatchObject({ name: "TimeoutError" });
    expect(peer.take()).toEqual([{ cancel: 2 }, { cancel: 1 }]);
  });

  test("a stream that has begun may take any time", async () => {
    const { ws, peer } = await opened({ timeout: 5000 });
    const response = ws.fetch("/stream/");
    await settle();
    peer.says({ id: 1, status: 200, headers: {}, more: true });
    const text = (await response).text();
    await pass(100_000);
    peer.says({ id: 1, chunk: "late" }, { id: 1, end: true });
    expect(await text).toBe("late");
  });
});

test("no more wait than may", async () => {
  const { ws, peers } = pair({ maxPending: 3 });
  const asked = [1, 2, 3].map((number) => watch(ws.get(`/${number}/`)));
  await settle();
  await expect(ws.get("/4/")).rejects.toMatchObject({ status: 0, code: "queue_full" });
  peers[0]!.hello();
  await settle();
  expect(peers[0]!.sent).toHaveLength(3);
  expect(asked).toEqual([{}, {}, {}]);
  peers[0]!.says({ id: 1, status: 200, headers: {} });
  await settle();
  const next = watch(ws.get("/5/"));
  await settle();
  expect(peers[0]!.sent.at(-1).url).toBe("/5/");
  expect(next).toEqual({});
});

describe("a token that expires soon", () => {
  test("is replaced, on the same connection", async () => {
    const tokens = ["one", "two"];
    const { ws, peer, peers } = await opened({ token: () => tokens.shift()! });
    peer.says({ control: "expiring", data: { in: 30 } });
    await settle();
    expect(peer.sent).toEqual([{ id: 1, auth: "two" }]);
    peer.says({ id: 1, status: 204, headers: {} });
    expect(ws.state).toBe("open");
    expect(peers).toHaveLength(1);
  });

  test("stays where there is no other", async () => {
    const { peer } = await opened({ token: "for ever" });
    peer.says({ control: "expiring", data: { in: 30 } });
    await settle();
    let broken = false;
    const other = await opened({
      token: () => {
        if (broken) throw new Error("The login has gone.");
        return "one";
      },
    });
    broken = true;
    other.peer.says({ control: "expiring", data: { in: 30 } });
    await settle();
    expect([peer.sent, other.peer.sent]).toEqual([[], []]);
    expect(other.ws.state).toBe("open");
  });
});
