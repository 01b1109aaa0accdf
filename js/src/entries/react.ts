/**
 * Hooks for React 18 and later. Neither needs a provider: the connection is an argument.
 *
 *     const { data, error, state } = useLive<Order>(ws, `/orders/${id}/`);
 *     const { data, error, loading, reload } = useRequest<Order[]>(ws, "/orders/", { data: { open: true } });
 */

import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";

import type { Live, LiveOptions, RequestOptions, WSRequest } from "../index.js";

export interface LiveView<T> {
  /** As the url would answer now; undefined until it has answered. The last one stays when it has ended. */
  data: T | undefined;
  /** Why it has ended: a WSRequestError where the url said no. */
  error: Error | undefined;
}

const NOTHING: LiveView<never> = { data: undefined, error: undefined };

/** A live answer that several components share: one subscription for as long as one of them is there. */
class Shared<T> {
  view: LiveView<T> = NOTHING;
  #listeners = new Set<() => void>();
  #live: Live<T> | undefined;

  constructor(
    private readonly open: () => Live<T>,
    private readonly unused: () => void,
  ) {}

  readonly getSnapshot = (): LiveView<T> => this.view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (!this.#live) void this.#follow((this.#live = this.open()));
    return () => {
      this.#listeners.delete(listener);
      // A component that is shown again at once, as in React's strict mode, goes on with what there is.
      queueMicrotask(() => this.#listeners.size || this.#leave());
    };
  };

  async #follow(live: Live<T>): Promise<void> {
    try {
      for await (const data of live) this.#show({ data, error: undefined });
    } catch (error) {
      if (this.#live === live) this.#show({ ...this.view, error: error as Error });
    }
  }

  #show(view: LiveView<T>): void {
    this.view = view;
    for (const listener of this.#listeners) listener();
  }

  #leave(): void {
    this.#live?.close();
    this.#live = undefined;
    this.unused();
  }
}

const shared = new WeakMap<WSRequest, Map<string, Shared<unknown>>>();

function sharedOf<T>(ws: WSRequest, url: string, options: LiveOptions): Shared<T> {
  const known = shared.get(ws) ?? new Map<string, Shared<unknown>>();
  shared.set(ws, known);
  const key = JSON.stringify([url, options]);
  let found = known.get(key);
  if (!found) {
    found = new Shared<unknown>(
      () => ws.live(url, options),
      () => known.get(key) === found && known.delete(key),
    );
    known.set(key, found);
  }
  return found as Shared<T>;
}

const nobody = { getSnapshot: () => NOTHING, subscribe: () => () => {} };

/**
 * What a GET of the url answers, and whatever it would answer later on. `null` for a url asks for nothing.
 *
 * Options are compared by their JSON, so they may be written in place; the handlers among them are not for here.
 */
export function useLive<T = unknown>(ws: WSRequest, url: string | null, options: LiveOptions = {}): LiveView<T> {
  const key = JSON.stringify(options);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the key says what the options say
  const store = useMemo(() => (url === null ? nobody : sharedOf<T>(ws, url, options)), [ws, url, key]);
  return useSyncExternalStore<LiveView<T>>(store.subscribe, store.getSnapshot, () => NOTHING);
}

export interface RequestView<T> extends LiveView<T> {
  loading: boolean;
  /** Ask again; until there is an answer, `data` stays what it is. */
  reload: () => void;
}

interface Settled<T> extends LiveView<T> {
  of: string; // the question that it answers
  round: number;
}

/** What a GET of the url answers, once. What nobody waits for any more is cancelled. `null` asks for nothing. */
export function useRequest<T = unknown>(ws: WSRequest, url: string | null, options: RequestOptions = {}): RequestView<T> {
  const [round, setRound] = useState(0);
  const [settled, settle] = useState<Settled<T>>();
  const question = JSON.stringify([url, options]);
  useEffect(() => {
    if (url === null) return;
    const controller = new AbortController();
    const { signal } = controller;
    const show = (view: LiveView<T>) => signal.aborted || settle({ ...view, of: question, round });
    ws.get<T>(url, undefined, { ...options, signal }).then(
      (data) => show({ data, error: undefined }),
      (error: Error) => show({ data: undefined, error }),
    );
    return () => controller.abort();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the question has the url and the options in it
  }, [ws, question, round]);
  const same = settled?.of === question ? settled : undefined;
  const loading = url !== null && same?.round !== round;
  const reload = useCallback(() => setRound((last) => last + 1), []);
  return { data: same?.data, error: loading ? undefined : same?.error, loading, reload };
}
