// A small client of the protocol (PROTOCOL.md): one WebSocket, requests with ids, promises for their answers.
//
//   const socket = new Socket("/ws/");
//   socket.open();
//   const { ok, status, data } = await socket.request("GET", "/api/snippets/", { data: { search: "x" } });
//
//   const subscription = socket.subscribe("/api/snippets/", {
//     live: true,               // keep the state as the url would answer it, without anything being published
//     state(data) {},           // what a GET answers: at first, and whenever it has changed
//     event(name, data) {},     // what was published, in order, also what was missed while there was no connection
//     presence(members) {},     // who is there, where the project has that: [{connection, user, info}, ...]
//     end({ status, data }) {}, // the url said no, or says so by now; nothing more comes
//   });
//   subscription.close();
//
// A promise is fulfilled with whatever Django answered, a 404 or a 500 too. It is rejected with ConnectionLost
// where no answer can come any more, and with an AbortError where its signal was aborted. What is asked while
// there is no connection waits for the next one. A subscription lives on over any number of connections.
//
// Events: "state" {state, code, delay} where state is connecting, open, waiting (delay: ms until the next try),
// idle or closed (it will not try again by itself); "frame" {direction: "sent" | "received", text, messages}.

import { patched } from "./patch.js";

const SUBPROTOCOL = "wsrequest.v1.json";
const PRESENCE = new Set(["join", "leave"]);
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
const BACK_OFF = { base: 500, ceiling: 30_000 }; // ms
const SETTLED_AFTER = 10_000; // ms: a connection that lived so long was a good one, and the back-off starts afresh
const PONG_WITHIN = 10_000; // ms

export class ConnectionLost extends Error {
  name = "ConnectionLost";
  constructor() {
    super("The connection was lost before the answer came. The change may have been made, or not.");
  }
}

/** What a close code means to a client: "stay" away, come back with the next "request", "now", or "later". */
export function afterClose(code) {
  if (code === 4011) return "request";
  if (code === 1009 || (code >= 4000 && code < 4100)) return "stay";
  if (code === 1001 || code === 1012 || (code >= 4200 && code < 4300)) return "now";
  return "later";
}

export class Socket extends EventTarget {
  state = "closed";
  connection = null; // the server's name for it
  #url;
  #webSocket = null;
  #lastId = 0;
  #pending = new Map(); // id -> {message, resolve, reject, at, sent, chunks}
  #subscriptions = new Map(); // id -> {message, on, state, position, members, sent}
  #outbox = []; // messages of this turn, which go out as one frame
  #flushing = false;
  #failures = 0;
  #openedAt = 0;
  #heartbeat = null; // ms, from the server's hello
  #goaway = null; // ms to wait before coming back, once the server has said that it will leave
  #timers = { retry: 0, ping: 0, pong: 0 };

  constructor(path) {
    super();
    this.#url = new URL(path, location.href);
    this.#url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    addEventListener("online", () => this.state === "waiting" && this.open());
  }

  /** Connect, now. */
  open() {
    if (this.#webSocket) return;
    clearTimeout(this.#timers.retry);
    this.#setState("connecting");
    const webSocket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#webSocket = webSocket;
    // A socket that was given up may still speak: only the present one is listened to.
    const current = (listener) => (event) => webSocket === this.#webSocket && listener(event);
    webSocket.addEventListener("message", current((event) => this.#receive(event.data)));
    webSocket.addEventListener("close", current((event) => this.#closed(event.code)));
  }

  /** Send a request; return a promise of {id, status, ok, headers, data, milliseconds}. */
  request(method, url, { data, headers, signal } = {}) {
    const id = ++this.#lastId;
    const message = { id, method, url, data, headers }; // JSON leaves out what is undefined
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", () => this.#cancel(id, signal.reason), { once: true });
      this.#pending.set(id, { message, resolve, reject, sent: false });
      if (this.#mayAsk) this.#post(id);
      else if (this.state === "idle") this.open();
    });
  }

  /** Have what a url answers, and hear what is published to it; the handlers are those above. */
  subscribe(url, { data, live, ...on }) {
    const message = { id: undefined, method: "SUBSCRIBE", url, data, live, presence: on.presence && true };
    const subscription = { message, on, state: undefined, position: undefined, members: new Map(), sent: false };
    this.#begin(subscription);
    if (this.state === "idle") this.open();
    return { close: () => this.#unsubscribe(subscription.message.id) };
  }

  /** Send a text as it is: no id is given to it, and its answer shows in the "frame" events only. */
  sendText(text) {
    if (this.state !== "open") throw new ConnectionLost();
    this.#transmit(text);
  }

  // --- sending ---------------------------------------------------------------------------------------

  get #mayAsk() {
    return this.state === "open" && this.#goaway === null;
  }

  #post(id) {
    const entry = this.#pending.get(id);
    entry.sent = true;
    entry.at = performance.now();
    this.#enqueue(entry.message);
  }

  #begin(subscription) {
    const id = (subscription.message.id = ++this.#lastId);
    this.#subscriptions.set(id, subscription);
    this.#follow(id);
  }

  /** With the position of the last event that came, if there was one: what was missed since then follows. */
  #follow(id) {
    const subscription = this.#subscriptions.get(id);
    if (!subscription || subscription.sent || !this.#mayAsk) return;
    subscription.sent = true;
    this.#enqueue({ ...subscription.message, since: subscription.position });
  }

  #unsubscribe(id) {
    const sent = this.#subscriptions.get(id)?.sent;
    this.#subscriptions.delete(id);
    if (sent) this.#enqueue({ cancel: id });
  }

  /** Whatever is said in one turn of the event loop goes out as one frame. */
  #enqueue(message) {
    this.#outbox.push(message);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      const messages = this.#outbox.splice(0);
      if (this.state === "open" && messages.length) {
        this.#transmit(JSON.stringify(messages.length === 1 ? messages[0] : messages));
      }
    });
  }

  #transmit(text) {
    this.#webSocket.send(text);
    this.#announce("sent", text);
    this.#restPing();
  }

  /** The server closes a connection that it has not heard of for two heartbeats; so say something in each. */
  #restPing() {
    clearTimeout(this.#timers.ping);
    if (this.#heartbeat) this.#timers.ping = setTimeout(() => this.#ping(), this.#heartbeat);
  }

  #ping() {
    this.#enqueue({ ping: Date.now() });
    this.#timers.pong ||= setTimeout(() => this.#giveUp(), PONG_WITHIN);
  }

  #cancel(id, reason) {
    const entry = this.#pending.get(id);
    if (!entry) return;
    this.#pending.delete(id);
    if (entry.sent) this.#enqueue({ cancel: id });
    entry.reject(reason);
  }

  // --- receiving -------------------------------------------------------------------------------------

  #receive(text) {
    clearTimeout(this.#timers.pong);
    this.#timers.pong = 0;
    for (const message of this.#announce("received", text)) {
      if (message.control === "hello") this.#greeted(message.data);
      else if (message.control === "goaway") this.#goaway = message.data.delay * 1000;
      else if (this.#pending.has(message.id)) this.#answered(this.#pending.get(message.id), message);
      else if (this.#subscriptions.has(message.id)) this.#heard(this.#subscriptions.get(message.id), message);
    }
  }

  #greeted({ connection, heartbeat }) {
    this.connection = connection;
    this.#heartbeat = heartbeat * 1000;
    this.#goaway = null;
    this.#openedAt = Date.now();
    this.#setState("open");
    this.#restPing();
    for (const [id, entry] of this.#pending) if (!entry.sent) this.#post(id);
    for (const id of this.#subscriptions.keys()) this.#follow(id);
  }

  #heard(subscription, message) {
    const { event, data } = message;
    if (message.status) this.#told(subscription, message);
    else if (PRESENCE.has(event)) this.#met(subscription, event, data);
    else if (event === "replace") {
      // After a loss it has the position from which on events follow again.
      if (message.epoch !== undefined) subscription.position = { epoch: message.epoch, offset: message.offset };
      this.#show(subscription, data);
    } else if (event === "patch") this.#patch(subscription, data);
    else if (event !== "lost") {
      subscription.position.offset = message.offset;
      subscription.on.event?.(event, data);
    }
  }

  /** The answer to SUBSCRIBE, or the end. */
  #told(subscription, { id, status, headers, data, subscription: begun }) {
    if (begun) {
      subscription.position = { epoch: begun.epoch, offset: begun.offset };
      // Else the events that were missed follow, and say what has happened to the state.
      if (subscription.message.live || !begun.recovered) this.#show(subscription, data);
      subscription.members = new Map(begun.presence?.map((member) => [member.connection, member]));
      this.#showMembers(subscription);
    } else if (status === 503) {
      // The server is about to leave, or what carries its events is away: on the next connection, or in a while.
      subscription.sent = false;
      if (data?.code !== "going_away") setTimeout(() => this.#follow(id), 1000 * (headers?.["retry-after"] ?? 5));
    } else {
      this.#subscriptions.delete(id);
      subscription.on.end?.({ status, data });
    }
  }

  #show(subscription, state) {
    subscription.state = state;
    subscription.on.state?.(state);
  }

  #patch(subscription, operations) {
    let state;
    try {
      state = patched(subscription.state, operations);
    } catch {
      // It does not fit, which nobody knows how to explain: begin anew.
      this.#unsubscribe(subscription.message.id);
      subscription.sent = false;
      return this.#begin(subscription);
    }
    this.#show(subscription, state);
  }

  #met(subscription, event, member) {
    if (event === "join") subscription.members.set(member.connection, member);
    else subscription.members.delete(member.connection);
    this.#showMembers(subscription);
  }

  #showMembers({ on, members }) {
    on.presence?.([...members.values()]);
  }

  #answered(entry, message) {
    if (message.status === 503 && message.data?.code === "going_away") {
      entry.sent = false; // it crossed the server's goaway, and was not run: it waits for the next connection
    } else if (message.more) {
      entry.stream = { ...message, data: [] };
    } else if ("chunk" in message) {
      entry.stream?.data.push(message.chunk);
    } else {
      this.#pending.delete(message.id);
      const { id, status, headers, data } = message.end ? { ...entry.stream, ...message } : message;
      const milliseconds = performance.now() - entry.at;
      entry.resolve({ id, status, ok: status >= 200 && status < 300, headers, data, milliseconds });
    }
  }

  #announce(direction, text) {
    let messages;
    try {
      messages = [JSON.parse(text)].flat();
    } catch {
      messages = []; // only what somebody typed can be no JSON
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: { direction, text, messages } }));
    return messages;
  }

  // --- losing the connection, and coming back --------------------------------------------------------

  /** No pong came: the link is dead, and a closing handshake over it would take for ever. */
  #giveUp() {
    const webSocket = this.#webSocket;
    this.#closed(4201);
    webSocket.close();
  }

  #closed(code) {
    this.#webSocket = null;
    this.#heartbeat = null;
    this.#outbox.length = 0;
    clearTimeout(this.#timers.ping);
    clearTimeout(this.#timers.pong);
    this.#timers.pong = 0;
    this.#settlePending();
    for (const subscription of this.#subscriptions.values()) subscription.sent = false;

    const next = afterClose(code);
    if (next === "stay") {
      this.#rejectPending();
      this.#setState("closed", { code });
    } else if (next === "request" && !this.#pending.size) {
      this.#setState("idle", { code });
    } else {
      const delay = next === "now" ? this.#goaway ?? Math.random() * 1000 : this.#backOff();
      this.#goaway = null;
      this.#timers.retry = setTimeout(() => this.open(), delay);
      this.#setState("waiting", { code, delay });
    }
  }

  /** A request that was on its way is sent again where that can do no harm; of the others nobody knows. */
  #settlePending() {
    for (const [id, entry] of this.#pending) {
      if (SAFE_METHODS.has(entry.message.method)) entry.sent = false;
      else if (entry.sent) {
        this.#pending.delete(id);
        entry.reject(new ConnectionLost());
      }
    }
  }

  #rejectPending() {
    for (const entry of this.#pending.values()) entry.reject(new ConnectionLost());
    this.#pending.clear();
  }

  /** Full jitter: anywhere between nothing and a ceiling that doubles, so that clients don't come back as one. */
  #backOff() {
    if (this.#openedAt && Date.now() - this.#openedAt > SETTLED_AFTER) this.#failures = 0;
    this.#openedAt = 0;
    return Math.random() * Math.min(BACK_OFF.ceiling, BACK_OFF.base * 2 ** this.#failures++);
  }

  #setState(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }
}
