/** One connection for several tabs: whose message is whose. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Line, type News } from "../src/entries/line.js";

class Upstream {
  readyState = 0;
  protocol = "";
  sent: unknown[] = [];
  closed = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed++;
  }
  opens(heartbeat: number | null = null) {
    this.protocol = "wsrequest.v1.json";
    this.onopen?.();
    this.says({ control: "hello", data: { connection: "c", heartbeat } });
  }
  says(...messages: object[]) {
    this.onmessage?.({ data: JSON.stringify(messages.length === 1 ? messages[0] : messages) });
  }
}

class Listener {
  news: News[] = [];
  tell(news: News) {
    this.news.push(news);
  }
  get heard(): unknown[] {
    return this.news.flatMap((news) => ("text" in news ? JSON.parse(news.text) : []));
  }
}

const say = (line: Line, tab: Listener, ...messages: object[]) => line.say(tab, JSON.stringify(messages));
const hello = { control: "hello", data: { connection: "c", heartbeat: null } };

describe("a line", () => {
  let upstream: Upstream, line: Line, one: Listener, two: Listener;
  const over = vi.fn();

  beforeEach(() => {
    over.mockReset();
    upstream = new Upstream();
    line = new Line(upstream, over);
    [one, two] = [new Listener(), new Listener()];
    line.join(one);
    upstream.opens();
    line.join(two);
    one.news.length = two.news.length = 0;
  });

  test("greets whoever comes later, with everything that he has to know", () => {
    upstream.says({ control: "goaway", data: { delay: 1 } });
    const late = new Listener();
    line.join(late);
    expect(late.news[0]).toEqual({ open: "wsrequest.v1.json" });
    expect(late.heard).toEqual([hello, { control: "goaway", data: { delay: 1 } }]);
  });

  test("tells the same ids of two tabs apart", () => {
    say(line, one, { id: 1, url: "/a/" }, { id: "1", url: "/b/" });
    say(line, two, { id: 1, url: "/c/" });
    expect(upstream.sent).toEqual([
      [{ id: 1, url: "/a/" }, { id: 2, url: "/b/" }],
      { id: 3, url: "/c/" },
    ]);
    upstream.says({ id: 3, status: 200, data: "c" }, { id: 2, status: 200, data: "b" }, { id: 1, status: 200, data: "a" });
    expect(one.heard).toEqual([{ id: "1", status: 200, data: "b" }, { id: 1, status: 200, data: "a" }]);
    expect(two.heard).toEqual([{ id: 1, status: 200, data: "c" }]);
  });

  test("knows an id up to the end of a stream or a subscription, and no longer", () => {
    say(line, one, { id: 1, url: "/stream/" }, { id: 2, method: "SUBSCRIBE", url: "/a/" });
    upstream.says({ id: 1, status: 200, more: true }, { id: 1, chunk: "x" }, { id: 1, end: true }, { id: 1, chunk: "stray" });
    upstream.says({ id: 2, status: 200, subscription: { epoch: "e", offset: 0 } }, { id: 2, event: "e", offset: 1 });
    upstream.says({ id: 2, end: true, status: 403 }, { id: 2, event: "stray" });
    expect(one.heard).toEqual([
      { id: 1, status: 200, more: true },
      { id: 1, chunk: "x" },
      { id: 1, end: true },
      { id: 2, status: 200, subscription: { epoch: "e", offset: 0 } },
      { id: 2, event: "e", offset: 1 },
      { id: 2, end: true, status: 403 },
    ]);
    say(line, one, { cancel: 1 }, { cancel: 2 });
    expect(upstream.sent).toHaveLength(1);
  });

  test("cancels by the connection's id", () => {
    say(line, one, { id: 7, url: "/a/" });
    say(line, two, { id: 7, url: "/b/" }, { cancel: 7 });
    expect(upstream.sent[1]).toEqual([{ id: 2, url: "/b/" }, { cancel: 2 }]);
  });

  test("gives a tab's pong to that tab", () => {
    say(line, two, { ping: 99 });
    upstream.says({ pong: (upstream.sent[0] as { ping: number }).ping });
    expect(two.heard).toEqual([{ pong: 99 }]);
    expect(one.heard).toEqual([]);
  });

  test("tells notices to all", () => {
    upstream.says({ event: "mail", data: 3 });
    expect([one.heard, two.heard]).toEqual([[{ event: "mail", data: 3 }], [{ event: "mail", data: 3 }]]);
  });

  test("forgets a tab that leaves, and cancels what it has asked for", () => {
    say(line, one, { id: 1, url: "/slow/" }, { id: 2, method: "SUBSCRIBE", url: "/a/" });
    say(line, two, { id: 1, url: "/b/" });
    line.leave(one);
    line.leave(one);
    expect(upstream.sent.at(-1)).toEqual([{ cancel: 1 }, { cancel: 2 }]);
    upstream.says({ id: 1, status: 499 }, { id: 2, end: true, status: 499 }, { id: 3, status: 200 });
    expect(one.heard).toEqual([]);
    expect(two.heard).toEqual([{ id: 1, status: 200 }]);
    expect(over).not.toHaveBeenCalled();
  });

  test("is closed with the last one", () => {
    line.leave(one);
    line.leave(two);
    expect(upstream.closed).toBe(1);
    expect(over).toHaveBeenCalledOnce();
  });

  test("tells all tabs how it ended", () => {
    upstream.onclose?.({ code: 4200, reason: "deploy" });
    const close = { close: { code: 4200, reason: "deploy" } };
    expect([one.news, two.news]).toEqual([[close], [close]]);
    expect(over).toHaveBeenCalledOnce();
  });
});

describe("the heart of a line", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("beats when nobody says anything, and notices that nobody is there", () => {
    const upstream = new Upstream();
    const tab = new Listener();
    const over = vi.fn();
    const line = new Line(upstream, over);
    line.join(tab);
    upstream.opens(20);
    vi.advanceTimersByTime(10_000);
    expect(upstream.sent).toEqual([{ ping: 1 }]);
    upstream.says({ pong: 1 });
    say(line, tab, { id: 1, url: "/a/" });
    vi.advanceTimersByTime(10_000);
    expect(upstream.sent).toHaveLength(2); // something was said
    vi.advanceTimersByTime(10_000);
    expect(upstream.sent).toHaveLength(3);
    vi.advanceTimersByTime(10_000);
    expect(tab.news.at(-1)).toEqual({ close: { code: 4201, reason: "No pong." } });
    expect(over).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("notices that nobody is there while a tab speaks all the time", () => {
    const upstream = new Upstream();
    const tab = new Listener();
    const line = new Line(upstream, () => {});
    line.join(tab);
    upstream.opens(20);
    for (let second = 1; second <= 30; second++) {
      say(line, tab, { id: second, url: "/a/" });
      vi.advanceTimersByTime(1000);
    }
    expect(upstream.closed).toBe(1);
    expect(tab.news.at(-1)).toEqual({ close: { code: 4201, reason: "No pong." } });
  });
});
