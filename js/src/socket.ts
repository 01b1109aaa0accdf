// What carries frames: a WebSocket, or anything that behaves like one.

/** A handler that may be given more than it looks at, as a WebSocket's own handlers are. */
type Handler<E> = { handle(event: E): unknown }["handle"] | null;

/** The part of a WebSocket that is used here: what another carrier has to have. */
export interface SocketLike {
  /** The subprotocol that the server has chosen; "" before, and where it chose none. */
  readonly protocol: string;
  onopen: Handler<any>;
  onmessage: Handler<{ data: any }>;
  onclose: Handler<{ code: number; reason: string }>;
  onerror: Handler<any>;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Opens a connection to a full url, "wss://example.org/ws/", and offers these subprotocols. */
export type SocketFactory = (url: string, protocols: string[]) => SocketLike;
