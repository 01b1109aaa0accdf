/**
 * The way around networks that break WebSockets: the same messages, by an event stream and POSTs.
 *
 *     import { withFallback } from "wsrequest/stream";
 *     const ws = new WSRequest("/ws/", { socket: withFallback() });
 *
 * A WebSocket is tried first. After two that did not come about, or brought nothing, the connection is a stream; from
 * time to time it is seen whether a WebSocket would work again, and if so the client goes back to it.
 */

import type { SocketLike } from "../socket.js";

export interface FallbackOptions {
  /** WebSockets that may fail in a row before a stream is tried; 2. */
  attempts?: number;
  /** Milliseconds after which a WebSocket or a stream that has brought nothing has failed; 10,000. */
  timeout?: number;
  /** Milliseconds on a stream after which a WebSocket is tried again; 300,000, five minutes. */
  retry?: number;
  /** In the place of the browser's own. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocket;
}

/** Bytes, about, up to which waiting frames are sent as one. */
const MERGED = 2 ** 16;

/** What `WSRequest` takes as its `socket`. */
export function withFallback(options: FallbackOptions = {}): (url: string, protocols: string[]) => SocketLike {
  const { attempts = 2, timeout = 10_000, retry = 300_000, WebSocket: Socket = WebSocket } = options;
  let failures = 0;

  /** A WebSocket, and whether anything comes by it: some proxies let it be opened, and nothing through. */
  const tried = (url: string, protocols: string[], heard: (works: boolean) => void): WebSocket => {
    const socket = new Socket(url, protocols);
    const judge = (works: boolean) => {
      clearTimeout(timer);
      for (const name of ["message", "close"]) socket.removeEventListener(name, listener);
      heard(works);
      if (!works) socket.close();
    };
    const listener = ({ type }: Event) => judge(type === "message");
    const timer = setTimeout(judge, timeout, false);
    for (const name of ["message", "close"]) socket.addEventListener(name, listener);
    return socket;
  };

  const streamed = (url: string, protocols: string[]): SocketLike => {
    const stream = new StreamSocket(url, protocols, timeout);
    let probing: ReturnType<typeof setTimeout>;
    const probe = () => {
      const socket = tried(url, protocols, (works) => {
        if (works) {
          failures = 0;
          socket.close();
          stream.leave();
        } else if (stream.readyState < 2) probing = setTimeout(probe, retry);
      });
    };
    stream.settled = (works) => {
      // Where neither works, there may be no server: a WebSocket has its turn again.
      if (works) probing = setTimeout(probe, retry);
      else failures -= 1;
    };
    stream.over = () => clearTimeout(probing);
    return stream;
  };

  return (url, protocols) =>
    failures >= attempts
      ? streamed(url, protocols)
      : tried(url, protocols, (works) => (failures = works ? 0 : failures + 1));
}

type Message = { id?: unknown; method?: string; url?: unknown; status?: unknown; more?: boolean; end?: boolean };

/** A connection by an event stream, as far as it is like a WebSocket. See "Event stream" in PROTOCOL.md. */
export class StreamSocket implements SocketLike {
  readyState = 0;
  protocol = "";
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  /** Told once whether the stream came about. */
  settled: (works: boolean) => void = () => {};
  /** Told when it is over. */
  over: () => void = () => {};
  #base: URL;
  #key = "";
  #waiting: string[] = [];
  #posting = false;
  #asked = new Set<unknown>(); // ids of requests that have no answer yet
  #leaving = false;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout>;

  constructor(url: string | URL, protocols: string[] = [], timeout = 10_000) {
    this.#base = new URL(url, globalThis.location?.href);
    this.#base.protocol = this.#base.protocol.replace("ws", "http");
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#timer = setTimeout(() => this.#end(1006, "Nothing came by the stream."), timeout);
    void this.#listen(protocols);
  }

  send(text: string): void {
    if (this.readyState > 1) return;
    this.#waiting.push(text);
    this.#note(text, ({ id, url, method }) => {
      if (id !== undefined && url !== undefined && method?.toUpperCase() !== "SUBSCRIBE") this.#asked.add(id);
    });
    void this.#post();
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState > 1) return;
    this.readyState = 2;
    queueMicrotask(() => this.#end(code, reason));
  }

  /** Close it, so that the client comes back at once, as soon as no request is under way. */
  leave(): void {
    this.#leaving = true;
    if (!this.#asked.size && !this.#waiting.length && !this.#posting) this.#end(4200, "Going back to a WebSocket.");
  }

  async #listen(protocols: string[]): Promise<void> {
    try {
      const response = await this.#fetch(`events/${this.#base.search}`, protocols.join(", "));
      if (!response.ok || !response.body) return this.#end(codeOf(response.status), await response.text());
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split("\n\n");
        text = events.pop() ?? "";
        events.forEach((event) => this.#hear(event));
      }
      this.#end(1006, "The stream was cut.");
    } catch {
      this.#end(1006, "The stream was cut.");
    }
  }

  #hear(event: string): void {
    let name = "";
    const data: string[] = [];
    for (const line of event.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data.push(line.slice(6));
    }
    if (!data.length || this.readyState > 1) return;
    const text = data.join("\n");
    if (name === "open") this.#opened(JSON.parse(text));
    else if (name === "close") this.#end(JSON.parse(text).code, "");
    else if (!name) this.#tell(text);
  }

  #opened({ key, protocol }: { key: string; protocol: string | null }): void {
    clearTimeout(this.#timer);
    [this.#key, this.protocol, this.readyState] = [key, protocol ?? "", 1];
    this.settled(true);
    this.onopen?.(new Event("open"));
    void this.#post();
  }

  #tell(text: string): void {
    this.#note(text, ({ id, status, more, end }) => {
      if (end || (status !== undefined && !more)) this.#asked.delete(id);
    });
    this.onmessage?.(new MessageEvent("message", { data: text }));
    if (this.#leaving) this.leave();
  }

  /** One request after the other, so that frames come in their order; what waits meanwhile goes together. */
  async #post(): Promise<void> {
    if (this.#posting || this.readyState !== 1) return;
    this.#posting = true;
    try {
      while (this.#waiting.length) {
        const response = await this.#fetch("messages/", `${this.#key}\n${this.#frame()}`);
        if (!response.ok) return this.#end(codeOf(response.status), await response.text());
      }
    } catch {
      return this.#end(1006, "A message could not be sent.");
    } finally {
      this.#posting = false;
    }
    if (this.#leaving) this.leave();
  }

  #frame(): string {
    let [count, size] = [0, 0];
    for (const { length } of this.#waiting) {
      if (count && size + length > MERGED) break;
      [count, size] = [count + 1, size + length];
    }
    const frames = this.#waiting.splice(0, count);
    if (frames.length === 1) return frames[0] as string;
    return `[${frames.map((text) => text.replace(/^\s*\[|\]\s*$/g, "")).filter(Boolean).join(",")}]`;
  }

  #fetch(place: string, body: string): Promise<Response> {
    const credentials = "include";
    return fetch(new URL(place, this.#base), {
      method: "POST",
      body,
      credentials,
      cache: "no-store",
      signal: this.#abort.signal,
    });
  }

  /** Look at each message of a frame. */
  #note(text: string, look: (message: Message) => void): void {
    for (const message of [JSON.parse(text)].flat() as Message[]) look(message);
  }

  #end(code: number, reason: string): void {
    if (this.readyState === 3) return;
    const opened = this.#key !== "";
    this.readyState = 3;
    clearTimeout(this.#timer);
    this.#abort.abort();
    if (!opened) this.settled(false);
    this.over();
    this.onclose?.(closing(code, reason.trim()));
  }
}

/** What a WebSocket would have been closed with. */
function codeOf(status: number): number {
  if (status === 410) return 1006; // the connection is lost
  if (status >= 500 || status === 429 || status === 408) return 4100;
  return status === 404 || status === 405 ? 1006 : 4003;
}

/** Outside of browsers there may be no CloseEvent. */
function closing(code: number, reason: string): CloseEvent {
  if (typeof CloseEvent === "function") return new CloseEvent("close", { code, reason });
  return Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 });
}
