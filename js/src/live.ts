// What a url answers, kept up to date: a store that a page can show, and an iterator over its states.

import type { WSRequestError } from "./errors.js";
import type { SubscribeOptions, Subscription } from "./subscription.js";

export type LiveOptions<Data = any, Event = any> = Omit<SubscribeOptions<Data, Event>, "onSnapshot" | "onEnd" | "since">;

/**
 * `getSnapshot` and `subscribe` are what React's `useSyncExternalStore` takes, and easily what any other library of
 * stores does. `for await (const state of live)` gives the present state and each newer one; who is slow gets the
 * newest only. Leaving the loop closes it.
 */
export class Live<T> {
  /** `ended`: the url answers something else than 2xx now, or it was closed. The last state stays. */
  status: "connecting" | "live" | "ended" = "connecting";
  /** Why it has ended; undefined where it was closed. */
  error: WSRequestError | undefined;
  #state: T | undefined;
  #listeners = new Set<() => void>();
  readonly #subscription: Subscription;

  constructor(open: (on: Pick<SubscribeOptions, "onSnapshot" | "onEnd">) => Subscription) {
    this.#subscription = open({
      onSnapshot: (state: T) => {
        this.#state = state;
        this.#tell("live");
      },
      onEnd: (error) => {
        this.error = error;
        this.#tell("ended");
      },
    });
  }

  /** The present state; undefined until there is one. It is another object whenever it has changed. */
  readonly getSnapshot = (): T | undefined => this.#state;

  /** Call this whenever there is a new state, or none will come any more. Returns what undoes it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  close(): void {
    this.#subscription.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    let fresh = this.status === "live";
    let wake = () => {};
    const leave = this.subscribe(() => {
      fresh = true;
      wake();
    });
    try {
      for (;;) {
        if (this.status === "ended") {
          if (this.error) throw this.error;
          return;
        }
        if (fresh) {
          fresh = false;
          yield this.#state!;
        } else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      leave();
      this.close();
    }
  }

  #tell(status: "live" | "ended"): void {
    this.status = status;
    for (const listener of [...this.#listeners]) listener();
  }
}
