// The client: `get`, `post` and their kin, `fetch`, and subscriptions, all on one connection that comes back.

import { isBody } from "./body.js";
import { valueOf } from "./bytes.js";
import type { DataOf, EventOf } from "./channels.js";
import { guarded, WSRequestError } from "./errors.js";
import { ask, type Answer, type Limits, type Terms } from "./exchange.js";
import { fieldsOf, read, redirection, responseTo } from "./fetch.js";
import { Link, type State } from "./link.js";
import { Live, type LiveOptions } from "./live.js";
import type { Fields, Hello, Incoming } from "./messages.js";
import type { SocketFactory } from "./socket.js";
import { Subscription, type SubscribeOptions } from "./subscription.js";

export interface WSRequestOptions extends Limits {
  /** Another carrier than a WebSocket. */
  socket?: SocketFactory | undefined;
  /** The connection's token, or who gives it: asked at each connect, and shortly before the token expires. */
  token?: string | (() => string | null | Promise<string | null>) | undefined;
  /** Milliseconds until an answer begins, where a request does not say; no limit. */
  timeout?: number | undefined;
  /** Carries requests while there is no connection, as `overHTTP()` of "wsrequest/http" does; else they wait for one. */
  fallback?: Fallback | undefined;
}

/** Another way for requests. */
export interface Fallback {
  /** Send it, with the connection's token. */
  send(request: Request, token: string | null | undefined): Promise<Response>;
  /** What `get`, `post` and their kin ask for. */
  request(method: string, url: URL, data: unknown, options: RequestOptions): Request;
}

export interface RequestOptions extends Terms {
  headers?: Record<string, string> | undefined;
  /** Makes a request that is not safe repeatable: it is sent again when the connection is lost. */
  key?: string | undefined;
  /** In the place of the connection's token. */
  token?: string | undefined;
  /** False: wait for a connection, whatever the client's `fallback`. */
  fallback?: boolean | undefined;
}

export type FetchInit = RequestInit & Pick<RequestOptions, "key" | "timeout" | "fallback">;

/** What `on()` may listen to. */
export interface Happenings {
  /** Where the connection stands; with the code of a close, and the milliseconds until the next try. */
  state: { state: State; code?: number | undefined; delay?: number | undefined };
  /** What the project has to say to this connection, unasked. */
  notice: { event: string; data: any };
  /** A new connection, by what the server says of it. */
  open: Hello;
}

const REDIRECTS = 20;

export class WSRequest {
  readonly #link: Link;
  readonly #base: URL;
  readonly #listeners: { [name: string]: Set<(news: any) => void> | undefined } = {};
  /** The connection's id on the server. */
  connection: string | undefined;

  /** `url` is that of the socket, relative to the page: "/ws/". The connection is opened at once. */
  constructor(
    url: string | URL,
    private readonly choices: WSRequestOptions = {},
  ) {
    const base = new URL(url, globalThis.location?.href);
    base.protocol = base.protocol.replace("ws", "http");
    this.#base = base;
    const socket = new URL(base);
    socket.protocol = base.protocol.replace("http", "ws");
    this.#link = new Link(socket.href, choices.socket ?? ((url, names) => new WebSocket(url, names)), {
      opened: (hello) => {
        this.connection = hello.connection;
        this.#emit("open", hello);
      },
      heard: (message) => {
        if (message.control === "expiring") void this.#renew();
        else if (message.event) this.#emit("notice", message as Happenings["notice"]);
      },
      changed: (state, code, delay) => this.#emit("state", { state, code, delay }),
      token: () => this.#token(),
    });
    // Whoever has made it may first say what he wants to hear.
    queueMicrotask(() => this.connect());
  }

  get state(): State {
    return this.#link.state;
  }

  /** Connect, where the connection waits for a reason to, or for its next try. */
  connect(): void {
    this.#link.want(true);
  }

  /** Close for good: what is under way fails, and subscriptions end. */
  close(): void {
    this.#link.close();
  }

  /** Listen. Returns what ends it. */
  on<Name extends keyof Happenings>(name: Name, listener: (news: Happenings[Name]) => void): () => void {
    const listeners = (this.#listeners[name] ??= new Set());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** The body of the answer: JSON, text, or bytes. `data` is more of the query. Rejects with a WSRequestError from 400 on. */
  get<T = never, Url extends string = string>(url: Url, data?: unknown, options?: RequestOptions) {
    return this.#body<[T] extends [never] ? DataOf<Url, any> : T>("GET", url, data, options);
  }
  post<T = any>(url: string, data?: unknown, options?: RequestOptions): Promise<T> {
    return this.#body("POST", url, data, options);
  }
  put<T = any>(url: string, data?: unknown, options?: RequestOptions): Promise<T> {
    return this.#body("PUT", url, data, options);
  }
  patch<T = any>(url: string, data?: unknown, options?: RequestOptions): Promise<T> {
    return this.#body("PATCH", url, data, options);
  }
  delete<T = any>(url: string, data?: unknown, options?: RequestOptions): Promise<T> {
    return this.#body("DELETE", url, data, options);
  }

  /** As the browser's: for this server over the connection, for any other one by HTTP. */
  readonly fetch = async (input: RequestInfo | URL, init: FetchInit = {}): Promise<Response> => {
    const { key, timeout = this.choices.timeout, fallback } = init;
    // (A body that is a stream asks for `duplex`, of which TypeScript does not know.)
    const request = new Request(input instanceof Request ? input : new URL(input, this.#base), { duplex: "half", ...init } as RequestInit);
    const { signal, redirect } = request;
    const { origin } = this.#base;
    if (new URL(request.url).origin !== origin) return fetch(request);
    const other = this.#other(fallback);
    if (other) return other.send(request, await this.#token());
    let fields: Fields = { ...(await fieldsOf(request)), key };
    for (let count = 0; ; count++) {
      const answer = await this.#ask(fields, { signal, timeout });
      const at = new URL(fields.url, this.#base);
      const next = redirect === "manual" ? undefined : redirection(at, fields.method!, answer);
      if (!next) return responseTo(answer, at.href, count > 0);
      void answer.flow?.cancel();
      if (redirect === "error" || count === REDIRECTS) throw new TypeError(`${request.url} redirects.`);
      if (next.url.origin !== origin) return fetch(next.url, { signal });
      fields = { ...fields, url: next.url.pathname + next.url.search };
      if (next.bare) fields = { method: "GET", url: fields.url, headers: fields.headers };
    }
  };

  /** Watch a url: whoever may GET it may. Goes on over every connection to come. */
  subscribe<Url extends string>(url: Url, options: SubscribeOptions<DataOf<Url, any>, EventOf<Url>> = {}): Subscription {
    return new Subscription(this.#link, url, options);
  }

  /** What a GET of the url answers, kept up to date. */
  live<T = never, Url extends string = string>(url: Url, options: LiveOptions<DataOf<Url, any>, EventOf<Url>> = {}) {
    return new Live<[T] extends [never] ? DataOf<Url, any> : T>(
      (on) => new Subscription(this.#link, url, { ...options, ...on }, true),
    );
  }

  async #body<T>(method: string, url: string, data: unknown, options: RequestOptions = {}): Promise<T> {
    options = { timeout: this.choices.timeout, ...options };
    const { headers, key, token, signal, timeout } = options;
    const other = this.#other(options.fallback);
    if (other) return read(await this.fetch(other.request(method, new URL(url, this.#base), data, options)));
    if (isBody(data)) return read(await this.fetch(url, { ...options, method, body: data } as FetchInit));
    const answer = await this.#ask({ method, url, data, headers, key, token }, { signal, timeout });
    if (answer.flow) return read(responseTo(answer, url, false));
    if (answer.status >= 400) throw new WSRequestError(answer.status, valueOf(answer), answer.headers);
    return valueOf(answer);
  }

  #ask(fields: Fields, terms: Terms): Promise<Answer> {
    return ask(this.#link, fields, terms, this.choices);
  }

  /** The other way, where there is one, and no connection. */
  #other(wanted = true): Fallback | false | undefined {
    const { ready, state } = this.#link;
    return wanted && !ready && state !== "connecting" && state !== "idle" && this.choices.fallback;
  }

  async #token(): Promise<string | null | undefined> {
    const { token } = this.choices;
    return typeof token === "function" ? token() : token;
  }

  /** The token expires soon. One that can't be had is not replaced: requests will tell. */
  async #renew(): Promise<void> {
    if (typeof this.choices.token !== "function") return;
    const auth = await this.#token().catch(() => undefined);
    if (auth) this.#link.authenticate(auth);
  }

  #emit<Name extends keyof Happenings>(name: Name, news: Happenings[Name]): void {
    for (const listener of [...(this.#listeners[name] ?? [])]) guarded(() => listener(news));
  }
}
