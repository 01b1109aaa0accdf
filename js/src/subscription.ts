// A url that is watched: over connections that come and go, nothing is missed and nothing is told twice.

import { valueOf } from "./bytes.js";
import { WSRequestError } from "./errors.js";
import type { Entry, Link } from "./link.js";
import type { Fields, Incoming, Member, Position } from "./messages.js";
import { patched } from "./patch.js";

export interface SubscribeOptions<Data = any, Event = any> {
  /** What the project publishes about the url. Each is told once. */
  onEvent?: ((event: Event) => void) | undefined;
  /** The url's state: at first, and when it has changed, or when events were missed that can't be had any more. */
  onSnapshot?: ((data: Data) => void) | undefined;
  /** All who are there, whenever somebody comes or goes; where the project tells. */
  onPresence?: ((members: Member[]) => void) | undefined;
  /** Events are missing that can't be had any more; the state follows, by `onSnapshot`. */
  onLost?: ((loss: { from: number; to: number | null; why: string }) => void) | undefined;
  /** It is over: by what the url answers now, by the end of the whole client, or, without an error, because it was closed. */
  onEnd?: ((error?: WSRequestError) => void) | undefined;
  /** Go on after this position, rather than with what comes from now on. */
  since?: Position | undefined;
  /** Ask who is there, also without `onPresence`. */
  presence?: boolean | undefined;
  data?: unknown;
  headers?: Record<string, string> | undefined;
  token?: string | undefined;
  signal?: AbortSignal | undefined;
}

export class Subscription implements Entry {
  sent = false;
  /** What was seen last: `since` of another subscription goes on from here. */
  position: Position | undefined;
  members: Member[] = [];
  #id: number;
  #state: any;
  #rev = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #fields: Fields;

  constructor(
    private readonly link: Link,
    url: string,
    private readonly handlers: SubscribeOptions,
    live?: boolean,
  ) {
    const { data, headers, token, since, signal } = handlers;
    const presence = handlers.presence || !!handlers.onPresence || undefined;
    this.#fields = { method: "SUBSCRIBE", url, data, headers, token, presence, live };
    this.position = since;
    this.#id = link.enter(this);
    signal?.addEventListener("abort", this.close);
    if (signal?.aborted) this.close();
  }

  /** Hear no more. */
  readonly close = (): void => {
    if (this.link.drop(this.#id)) this.fail();
  };

  // For the connection.

  opening(id: number): string {
    return JSON.stringify({ id, ...this.#fields, since: this.position });
  }

  repeats(): boolean {
    clearTimeout(this.#timer);
    return true;
  }

  fail(error?: WSRequestError): void {
    clearTimeout(this.#timer);
    // A signal may be for many, and outlive them.
    this.handlers.signal?.removeEventListener("abort", this.close);
    this.handlers.onEnd?.(error);
  }

  hear(message: Incoming): void {
    const { event, status, data, offset, epoch, rev, subscription } = message;
    if (subscription) this.#begin(message);
    else if (status) this.#refused(message);
    else if (event === "join" || event === "leave") {
      const others = this.members.filter(({ connection }) => connection !== data.connection);
      this.#present(event === "join" ? [...others, data] : others);
    } else if (event === "lost") this.handlers.onLost?.(data);
    else if (rev !== undefined) {
      if (epoch) this.position = { epoch, offset: offset! };
      try {
        // A patch starts from the state before it.
        if (rev !== ++this.#rev) throw rev;
        this.#state = event === "patch" ? patched(this.#state, data) : valueOf(message);
      } catch {
        this.link.drop(this.#id);
        this.#id = this.link.enter(this);
        return;
      }
      this.handlers.onSnapshot?.(this.#state);
    } else if (offset! > this.position!.offset) {
      this.position = { ...this.position!, offset: offset! };
      this.handlers.onEvent?.({ event, data, offset });
    }
  }

  #begin(message: Incoming): void {
    const { epoch, offset, rev, recovered, presence } = message.subscription!;
    this.position = { epoch, offset };
    this.#rev = rev;
    this.#state = valueOf(message);
    // Where all that was missed follows, events tell it.
    if (!recovered || this.#fields.live) this.handlers.onSnapshot?.(this.#state);
    if (presence) this.#present(presence);
  }

  #refused(message: Incoming): void {
    const { status, headers, end } = message;
    const after = headers?.["retry-after"];
    if (status === 503 || (status === 429 && after) || (status! > 499 && this.position && !end)) {
      // It can't be served just now: that says nothing of who may watch it.
      const again = () => {
        this.sent = false;
        this.link.begin(this.#id, this);
      };
      // (A time of day is no number.)
      this.#timer = setTimeout(again, 1000 * (+after! || 5));
    } else {
      this.link.under.delete(this.#id);
      this.fail(new WSRequestError(status!, valueOf(message), headers));
    }
  }

  #present(members: Member[]): void {
    this.members = members;
    this.handlers.onPresence?.(members);
  }
}
