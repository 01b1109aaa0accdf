// ../../work/main/js/src/entries/stream.ts
var MERGED = 2 ** 16;
function withFallback(options = {}) {
  const { attempts = 2, timeout = 1e4, retry = 3e5, WebSocket: Socket = WebSocket } = options;
  let failures = 0;
  const tried = (url, protocols, heard) => {
    const socket = new Socket(url, protocols);
    const judge = (works) => {
      clearTimeout(timer);
      for (const name of ["message", "close"]) socket.removeEventListener(name, listener);
      heard(works);
      if (!works) socket.close();
    };
    const listener = ({ type }) => judge(type === "message");
    const timer = setTimeout(judge, timeout, false);
    for (const name of ["message", "close"]) socket.addEventListener(name, listener);
    return socket;
  };
  const streamed = (url, protocols) => {
    const stream = new StreamSocket(url, protocols, timeout);
    let probing;
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
      if (works) probing = setTimeout(probe, retry);
      else failures -= 1;
    };
    stream.over = () => clearTimeout(probing);
    return stream;
  };
  return (url, protocols) => failures >= attempts ? streamed(url, protocols) : tried(url, protocols, (works) => failures = works ? 0 : failures + 1);
}
var StreamSocket = class {
  readyState = 0;
  protocol = "";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  /** Told once whether the stream came about. */
  settled = () => {
  };
  /** Told when it is over. */
  over = () => {
  };
  #base;
  #key = "";
  #waiting = [];
  #posting = false;
  #asked = /* @__PURE__ */ new Set();
  // ids of requests that have no answer yet
  #leaving = false;
  #abort = new AbortController();
  #timer;
  constructor(url, protocols = [], timeout = 1e4) {
    this.#base = new URL(url, globalThis.location?.href);
    this.#base.protocol = this.#base.protocol.replace("ws", "http");
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#timer = setTimeout(() => this.#end(1006, "Nothing came by the stream."), timeout);
    void this.#listen(protocols);
  }
  send(text) {
    if (this.readyState > 1) return;
    this.#waiting.push(text);
    this.#note(text, ({ id, url, method }) => {
      if (id !== void 0 && url !== void 0 && method?.toUpperCase() !== "SUBSCRIBE") this.#asked.add(id);
    });
    void this.#post();
  }
  close(code = 1005, reason = "") {
    if (this.readyState > 1) return;
    this.readyState = 2;
    queueMicrotask(() => this.#end(code, reason));
  }
  /** Close it, so that the client comes back at once, as soon as no request is under way. */
  leave() {
    this.#leaving = true;
    if (!this.#asked.size && !this.#waiting.length && !this.#posting) this.#end(4200, "Going back to a WebSocket.");
  }
  async #listen(protocols) {
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
  #hear(event) {
    let name = "";
    const data = [];
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
  #opened({ key, protocol }) {
    clearTimeout(this.#timer);
    [this.#key, this.protocol, this.readyState] = [key, protocol ?? "", 1];
    this.settled(true);
    this.onopen?.(new Event("open"));
    void this.#post();
  }
  #tell(text) {
    this.#note(text, ({ id, status, more, end }) => {
      if (end || status !== void 0 && !more) this.#asked.delete(id);
    });
    this.onmessage?.(new MessageEvent("message", { data: text }));
    if (this.#leaving) this.leave();
  }
  /** One request after the other, so that frames come in their order; what waits meanwhile goes together. */
  async #post() {
    if (this.#posting || this.readyState !== 1) return;
    this.#posting = true;
    try {
      while (this.#waiting.length) {
        const response = await this.#fetch("messages/", `${this.#key}
${this.#frame()}`);
        if (!response.ok) return this.#end(codeOf(response.status), await response.text());
      }
    } catch {
      return this.#end(1006, "A message could not be sent.");
    } finally {
      this.#posting = false;
    }
    if (this.#leaving) this.leave();
  }
  #frame() {
    let [count, size] = [0, 0];
    for (const { length } of this.#waiting) {
      if (count && size + length > MERGED) break;
      [count, size] = [count + 1, size + length];
    }
    const frames = this.#waiting.splice(0, count);
    if (frames.length === 1) return frames[0];
    return `[${frames.map((text) => text.replace(/^\s*\[|\]\s*$/g, "")).filter(Boolean).join(",")}]`;
  }
  #fetch(place, body) {
    const credentials = "include";
    return fetch(new URL(place, this.#base), {
      method: "POST",
      body,
      credentials,
      cache: "no-store",
      signal: this.#abort.signal
    });
  }
  /** Look at each message of a frame. */
  #note(text, look) {
    for (const message of [JSON.parse(text)].flat()) look(message);
  }
  #end(code, reason) {
    if (this.readyState === 3) return;
    const opened = this.#key !== "";
    this.readyState = 3;
    clearTimeout(this.#timer);
    this.#abort.abort();
    if (!opened) this.settled(false);
    this.over();
    this.onclose?.(closing(code, reason.trim()));
  }
};
function codeOf(status) {
  if (status === 410) return 1006;
  if (status >= 500 || status === 429 || status === 408) return 4100;
  return status === 404 || status === 405 ? 1006 : 4003;
}
function closing(code, reason) {
  if (typeof CloseEvent === "function") return new CloseEvent("close", { code, reason });
  return Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 });
}
export {
  StreamSocket,
  withFallback
};
