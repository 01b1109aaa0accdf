/**
 * One connection that several tabs use. It runs in the SharedWorker.
 *
 * Each tab speaks as if the connection were its own, with ids of its own choice. Here they become ids of the
 * connection, and the answers go to whoever asked. What is meant for the connection (`hello`, `goaway`, a notice)
 * goes to all. A tab that leaves takes what it has asked for with it.
 */

import type { SocketLike } from "../socket.js";

type Id = number | string;
type Message = Record<string, unknown>;

/** What a tab is told. */
export type News = { open: string } | { text: string } | { close: { code: number; reason: string } };

/** A tab, as the line sees it. */
export interface Tab {
  tell(news: News): void;
}

interface Asked {
  tab: Tab;
  id: Id;
}

const messagesOf = (text: string): Message[] => [JSON.parse(text)].flat();
const frameOf = (messages: Message[]): string => JSON.stringify(messages.length === 1 ? messages[0] : messages);

export class Line {
  #socket: SocketLike;
  #open = false;
  #over: () => void;
  #tabs = new Map<Tab, Map<Id, number>>(); // of each the ids that are in use: its own, and the connection's
  #asked = new Map<number, Asked>();
  #pings = new Map<number, Asked>();
  #lastId = 0;
  #greeting: Message[] = []; // what a tab that comes later has to know
  #beat: ReturnType<typeof setInterval> | undefined;
  #spoke = false; // since the last beat
  #heard = false; // since then, too
  #waits = false; // for a pong

  /** `over()`: the connection is closed, or nobody uses it any more. */
  constructor(socket: SocketLike, over: () => void) {
    this.#socket = socket;
    this.#over = over;
    socket.onopen = () => {
      this.#open = true;
      for (const tab of this.#tabs.keys()) tab.tell({ open: socket.protocol });
    };
    socket.onmessage = ({ data }) => this.#hear(String(data));
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
  }

  join(tab: Tab): void {
    this.#tabs.set(tab, new Map());
    if (!this.#open) return;
    tab.tell({ open: this.#socket.protocol });
    if (this.#greeting.length) tab.tell({ text: frameOf(this.#greeting) });
  }

  leave(tab: Tab): void {
    const ids = this.#tabs.get(tab);
    if (!ids) return;
    this.#tabs.delete(tab);
    for (const id of ids.values()) this.#asked.delete(id);
    for (const [n, ping] of this.#pings) if (ping.tab === tab) this.#pings.delete(n);
    if (!this.#tabs.size) this.#end(1000, "");
    else this.#transmit([...ids.values()].map((id) => ({ cancel: id })));
  }

  /** A tab says something. */
  say(tab: Tab, text: string): void {
    const ids = this.#tabs.get(tab);
    if (ids) this.#transmit(messagesOf(text).flatMap((message) => this.#outward(tab, ids, message)));
  }

  #outward(tab: Tab, ids: Map<Id, number>, message: Message): Message[] {
    if ("ping" in message) {
      this.#pings.set(++this.#lastId, { tab, id: message.ping as number });
      return [{ ping: this.#lastId }];
    }
    if ("cancel" in message) {
      const id = ids.get(message.cancel as Id);
      return id === undefined ? [] : [{ cancel: id }];
    }
    if (message.id === undefined) return [message];
    const id = ++this.#lastId;
    ids.set(message.id as Id, id);
    this.#asked.set(id, { tab, id: message.id as Id });
    return [{ ...message, id }];
  }

  #transmit(messages: Message[]): void {
    if (!this.#open || !messages.length) return;
    this.#spoke = true;
    this.#socket.send(frameOf(messages));
  }

  #hear(text: string): void {
    this.#heard = true;
    this.#waits = false;
    const frames = new Map<Tab, Message[]>();
    for (const message of messagesOf(text)) {
      for (const [tab, inward] of this.#inward(message)) {
        frames.set(tab, [...(frames.get(tab) ?? []), inward]);
      }
    }
    for (const [tab, messages] of frames) tab.tell({ text: frameOf(messages) });
  }

  /** Who is to hear a message, and how it reads for him. */
  #inward(message: Message): [Tab, Message][] {
    if ("pong" in message) {
      const ping = this.#pings.get(message.pong as number);
      this.#pings.delete(message.pong as number);
      return ping ? [[ping.tab, { pong: ping.id }]] : [];
    }
    if (typeof message.id === "number") {
      const asked = this.#asked.get(message.id);
      if (!asked) return []; // by a tab that has left
      if (isLast(message)) this.#forget(message.id, asked);
      return [[asked.tab, { ...message, id: asked.id }]];
    }
    if (message.control === "hello") this.#greeted(message);
    if (message.control === "goaway") this.#greeting.push(message);
    return [...this.#tabs.keys()].map((tab) => [tab, message]);
  }

  #forget(id: number, { tab, id: own }: Asked): void {
    this.#asked.delete(id);
    this.#tabs.get(tab)?.delete(own);
  }

  /** Browsers let the timers of a hidden tab run once a minute; those of a worker run on. So the heart beats here. */
  #greeted(hello: Message): void {
    this.#greeting = [hello];
    const { heartbeat } = hello.data as { heartbeat: number | null };
    clearInterval(this.#beat);
    if (heartbeat) this.#beat = setInterval(() => this.#pulse(), heartbeat * 500);
  }

  #pulse(): void {
    if (this.#waits) return this.#end(4201, "No pong.");
    // Who speaks and is not answered may speak to nobody.
    if (!this.#spoke || !this.#heard) {
      this.#waits = true;
      this.#transmit([{ ping: ++this.#lastId }]);
    }
    this.#spoke = this.#heard = false;
  }

  #end(code: number, reason: string): void {
    const socket = this.#socket;
    clearInterval(this.#beat);
    socket.onopen = socket.onmessage = socket.onclose = null;
    this.#open = false;
    for (const tab of this.#tabs.keys()) tab.tell({ close: { code, reason } });
    this.#tabs.clear();
    socket.close();
    this.#over();
  }
}

/** Whether an id is free again after this message. */
function isLast(message: Message): boolean {
  if (message.end) return true;
  return "status" in message && !message.more && !message.subscription;
}
