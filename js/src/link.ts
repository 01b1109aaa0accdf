// One connection that comes back: opening, heartbeat, back-off; and everything that has an id on it.

import { afterClose, backoff } from "./codes.js";
import { base64url } from "./bytes.js";
import { failure, guarded, type WSRequestError } from "./errors.js";
import type { Hello, Incoming } from "./messages.js";
import type { SocketFactory, SocketLike } from "./socket.js";

/** `waiting` to try again; `idle` until there is something to send; `closed` for good. */
export type State = "connecting" | "open" | "waiting" | "idle" | "closed";

/** Milliseconds: for a connection to open, and for an answer to a ping; and to last, to count as one that has worked. */
const PATIENCE = 10_000;
const STABLE = 10_000;

/** Something that has an id: a request, or a subscription. */
export interface Entry {
  /** Whether this connection's server has been sent it. */
  sent: boolean;
  /** The message by which it begins. */
  opening(id: number): string;
  hear(message: Incoming): void;
  /** It was sent, and the connection has gone; whether it may be sent again. `unread`: the server did not look at it. */
  repeats(unread: boolean): boolean;
  /** It is over. */
  fail(error: WSRequestError): void;
}

/** Whose connection it is. */
export interface Owner {
  opened(hello: Hello): void;
  /** Something without an id. */
  heard(message: Incoming): void;
  changed(state: State, code?: number, delay?: number): void;
  token(): Promise<string | null | undefined>;
}

export class Link {
  state: State = "idle";
  /** The largest frame that the server reads, in bytes. */
  maximum = Infinity;
  readonly under = new Map<number, Entry>();
  /** Milliseconds until the server may be asked again that is about to go: what is said now would not be done. */
  #leaving: number | undefined;
  #ids = 0;
  readonly #gone = new AbortController();
  #socket: SocketLike | undefined;
  #attempt = {};
  #queue: string[] = [];
  #failures = 0;
  #heartbeat = 0;
  #timers: { [name: string]: ReturnType<typeof setTimeout> | undefined } = {};

  constructor(
    private readonly address: string,
    private readonly factory: SocketFactory,
    private readonly owner: Owner,
  ) {
    globalThis.addEventListener?.("online", this.#wake, this.#gone);
    globalThis.document?.addEventListener("visibilitychange", this.#wake, this.#gone);
  }

  get ready(): boolean {
    return this.state === "open" && this.#leaving === undefined;
  }

  /** There is something to be sent: connect, where that is not under way. */
  want(now = false): void {
    if (this.state === "idle" || (now && this.state === "waiting")) void this.#connect();
  }

  /** Begin this as soon as there is a connection. Returns its id. */
  enter(entry: Entry): number {
    const id = ++this.#ids;
    this.under.set(id, entry);
    entry.sent = false;
    this.begin(id, entry);
    this.want();
    return id;
  }

  begin(id: number, entry: Entry): void {
    if (this.state === "closed") {
      this.under.delete(id);
      queueMicrotask(() => entry.fail(lost(false)));
    } else if (this.ready && !entry.sent) {
      entry.sent = true;
      this.say(entry.opening(id));
    }
  }

  /** Nobody wants it any more. Returns whether it was there. */
  drop(id: number): boolean {
    if (this.under.get(id)?.sent) this.say(`{"cancel":${id}}`);
    return this.under.delete(id);
  }

  /** The connection's token from now on. */
  authenticate(auth: string): void {
    if (this.ready) this.say(JSON.stringify({ id: ++this.#ids, auth }));
  }

  /** Say this, in one frame with whatever else is said meanwhile. `text` is JSON. */
  say(text: string): void {
    if (this.#queue.push(text) === 1) queueMicrotask(() => this.#flush());
  }

  close(): void {
    this.#gone.abort();
    this.#give(4000);
  }

  /** The network may be there again, or the computer awake. */
  readonly #wake = (): void => {
    if (globalThis.document?.hidden) return;
    if (this.state === "waiting") void this.#connect();
    else if (this.state === "open") this.#ping();
  };

  async #connect(): Promise<void> {
    this.#stop();
    this.#change("connecting");
    const attempt = (this.#attempt = {});
    try {
      const token = await this.owner.token();
      if (this.#attempt !== attempt) return;
      const protocols = ["wsrequest.v1.json"];
      if (token) protocols.push(`wsrequest.token.${base64url(token)}`);
      const socket = (this.#socket = this.factory(this.address, protocols));
      this.#after("opening", PATIENCE, () => this.#give(1006));
      socket.onmessage = ({ data }) => socket === this.#socket && this.#read(data);
      socket.onclose = ({ code }) => socket === this.#socket && this.#closed(code);
    } catch {
      // No token, or no carrier: later there may be.
      if (this.#attempt === attempt) this.#closed(1006);
    }
  }

  #read(frame: string): void {
    this.#after("pong");
    for (const message of [JSON.parse(frame)].flat() as Incoming[]) {
      const { control, data } = message;
      if (control === "hello") this.#open(data);
      else if (control === "goaway") this.#leaving = data.delay * 1000;
      else guarded(() => (message.id ? this.under.get(message.id)?.hear(message) : this.owner.heard(message)));
    }
  }

  #open(hello: Hello): void {
    this.#after("opening");
    this.maximum = hello.limits.message_bytes ?? Infinity;
    this.#heartbeat = (hello.heartbeat ?? 0) * 1000;
    this.#after("stable", STABLE, () => (this.#failures = 0));
    this.#change("open");
    this.#rest();
    for (const [id, entry] of this.under) this.begin(id, entry);
    this.owner.opened(hello);
  }

  #flush(): void {
    const texts = this.#queue.splice(0);
    // A character has three bytes at most.
    if (3 * `${texts}`.length < this.maximum) this.#write(`[${texts}]`);
    else texts.forEach((text) => this.#write(text));
  }

  #write(text: string): void {
    if (this.state !== "open") return;
    this.#socket!.send(text);
  }

  /** A ping is due in time, whatever else is said: only what is answered at once shows that somebody is there. */
  #rest(): void {
    if (this.#heartbeat) this.#after("ping", this.#heartbeat, () => this.#ping());
  }

  #ping(): void {
    this.#rest();
    this.#write('{"ping":1}');
    this.#timers.pong ??= setTimeout(() => this.#give(4201), PATIENCE);
  }

  /** Give the connection up, without waiting for the other side. */
  #give(code: number): void {
    const socket = this.#socket;
    this.#closed(code);
    socket?.close();
  }

  #closed(code: number): void {
    const leaving = this.#leaving;
    this.#stop();
    this.#attempt = {};
    this.#socket = this.#leaving = undefined;
    this.#queue = [];
    const next = afterClose(code);
    const away = next === "stay";
    this.state = away ? "closed" : "waiting";
    for (const [id, entry] of this.under) {
      // A server that goes has answered all that it has read.
      if (!away && (!entry.sent || entry.repeats(code === 4200))) entry.sent = false;
      else {
        this.under.delete(id);
        guarded(() => entry.fail(lost(entry.sent)));
      }
    }
    if (away) return this.#change("closed", code);
    if (next === "request" && !this.under.size) return this.#change("idle", code);
    // Not all of a server's clients come back at the same moment.
    const delay = next === "now" ? (leaving ?? Math.random() * 1000) : backoff(this.#failures++);
    this.#change("waiting", code, delay);
    // Without a network there is no need to try, and `online` will tell.
    if (globalThis.navigator?.onLine !== false) this.#after("retry", delay, () => void this.#connect());
  }

  #change(state: State, code?: number, delay?: number): void {
    this.state = state;
    this.owner.changed(state, code, delay);
  }

  #after(name: string, delay?: number, act?: () => unknown): void {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = act && setTimeout(act, delay);
  }

  #stop(): void {
    for (const name in this.#timers) this.#after(name);
  }
}

const lost = (sent: boolean): WSRequestError =>
  sent
    ? failure("connection_lost", "Connection lost: this may have been done, or not.")
    : failure("closed", "Closed.");
