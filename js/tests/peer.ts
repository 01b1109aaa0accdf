/** The other side of a client's connections, in memory: a test reads what was sent, and says what the server says. */

import { afterEach, beforeEach, vi } from "vitest";

import type { SocketLike } from "../src/socket.js";
import { WSRequest, type WSRequestOptions } from "../src/index.js";

export class Peer implements SocketLike {
  protocol = "wsrequest.v1.json";
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  /** Frames, read. */
  frames: any[] = [];
  closed = 0;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.frames.push(JSON.parse(text));
  }
  close(): void {
    this.closed++;
  }

  /** Messages, in whatever frames they came. */
  get sent(): any[] {
    return this.frames.flat();
  }
  /** What has been sent since this was asked the last time. */
  take(): any[] {
    return this.frames.splice(0).flat();
  }
  says(...messages: object[]): void {
    this.onmessage?.({ data: JSON.stringify(messages.length === 1 ? messages[0] : messages) });
  }
  hello({ heartbeat = null, message_bytes = null }: { heartbeat?: number | null; message_bytes?: number | null } = {}) {
    const limits = { message_bytes, in_flight: 32 };
    this.says({ control: "hello", data: { connection: "c1", heartbeat, limits } });
    return this;
  }
  ends(code: number): void {
    this.onclose?.({ code, reason: "" });
  }
}

/** A client, and each connection that it opens. */
export function pair(options: WSRequestOptions = {}) {
  const peers: Peer[] = [];
  const socket = (url: string, protocols: string[]) => {
    const peer = new Peer(url, protocols);
    peers.push(peer);
    return peer;
  };
  const ws = new WSRequest("http://example.org/ws/", { socket, ...options });
  return { ws, peers };
}

/** Let everything happen that waits for nothing but its turn. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** For each test of a file: a clock that stands still, and back-off without luck. Returns what lets time pass. */
export function clock() {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    vi.spyOn(Math, "random").mockReturnValue(1);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  return async (milliseconds: number) => {
    await vi.advanceTimersByTimeAsync(milliseconds);
    await settle();
  };
}
