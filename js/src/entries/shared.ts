/**
 * One connection for all tabs of a browser.
 *
 *     import { sharedSocket } from "wsrequest/shared";
 *     const ws = new WSRequest("/ws/", { socket: sharedSocket("/static/wsrequest/shared-worker.js") });
 *
 * Where a browser has no SharedWorker, or does not get its script, the tab has a connection of its own.
 */

import type { SocketLike } from "../socket.js";
import type { News } from "./line.js";
import type { Joining, Saying } from "./shared-worker.js";

export interface SharedOptions {
  /**
   * Who is signed in, by any name that is another one for another user ("" for nobody). The connection has the cookies
   * of the moment when it was opened: so tabs that were loaded before a login share one, and those after it another.
   */
  identity?: string;
}

/** What `WSRequest` takes as its `socket`. */
export function sharedSocket(worker: string | URL, { identity = "" }: SharedOptions = {}) {
  return (url: string, protocols: string[]): SocketLike => {
    if (typeof SharedWorker === "undefined") return new WebSocket(url, protocols);
    return new SharedSocket(worker, { url, protocols, identity });
  };
}

class SharedSocket implements SocketLike {
  readyState = 0;
  protocol = "";
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  #port: MessagePort | undefined;
  #own: WebSocket | undefined; // where there can be no worker
  #letGo = () => {};
  readonly #hide = () => this.#closed(1001, "The page is hidden.");

  constructor(script: string | URL, joining: Joining) {
    // A page that is kept to be shown again has left; when it comes back, it is connected anew.
    addEventListener("pagehide", this.#hide);
    try {
      const worker = new SharedWorker(script, { name: "wsrequest" });
      worker.onerror = () => this.#alone(joining);
      this.#port = worker.port;
      this.#port.onmessage = ({ data }: MessageEvent<News>) => this.#hear(data);
      this.#join(joining);
    } catch {
      this.#alone(joining); // the page's policy forbids it
    }
  }

  send(text: string): void {
    if (this.#own) this.#own.send(text);
    else this.#tell({ text });
  }

  close(code = 1005, reason = ""): void {
    if (this.#own) return this.#own.close(code === 1005 ? undefined : code, reason);
    this.readyState = 2;
    queueMicrotask(() => this.#closed(code, reason));
  }

  /** With a lock, the worker notices when the tab has crashed, too. Pages without https have none. */
  #join(joining: Joining): void {
    if (!navigator.locks) return this.#tell({ join: joining });
    const lock = `wsrequest ${crypto.randomUUID()}`;
    void navigator.locks.request(lock, () => {
      if (this.readyState) return; // it was given up meanwhile
      this.#tell({ join: { ...joining, lock } });
      return new Promise<void>((resolve) => (this.#letGo = resolve));
    });
  }

  #hear(news: News): void {
    if (this.readyState === 3) return;
    if ("open" in news) {
      this.readyState = 1;
      this.protocol = news.open;
      this.onopen?.({});
    } else if ("text" in news) this.onmessage?.({ data: news.text });
    else this.#closed(news.close.code, news.close.reason);
  }

  #alone({ url, protocols }: Joining): void {
    if (this.readyState) return;
    this.#release();
    const own = new WebSocket(url, protocols);
    this.#own = own;
    own.onopen = () => {
      this.readyState = 1;
      this.protocol = own.protocol;
      this.onopen?.({});
    };
    own.onmessage = ({ data }) => this.onmessage?.({ data });
    own.onclose = ({ code, reason }) => {
      this.readyState = 3;
      this.onclose?.({ code, reason });
    };
  }

  #closed(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#tell({ leave: true });
    this.#release();
    this.onclose?.({ code, reason });
  }

  #release(): void {
    removeEventListener("pagehide", this.#hide);
    this.#letGo();
    this.#port?.close();
    this.#port = undefined;
  }

  #tell(saying: Saying): void {
    this.#port?.postMessage(saying);
  }
}
