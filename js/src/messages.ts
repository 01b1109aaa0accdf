// The messages of PROTOCOL.md, as far as a client has to know them.

/** Where a topic's history stands. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Somebody who is subscribed to a topic, where the project tells. */
export interface Member {
  connection: string;
  user: string | null;
  info: any;
}

/** What can be said of any request. */
export interface Fields {
  method?: string | undefined;
  url: string;
  data?: unknown;
  headers?: Record<string, string> | undefined;
  encoding?: "base64" | "text" | undefined;
  token?: string | undefined;
  key?: string | undefined;
  timeout?: number | undefined;
  live?: boolean | undefined;
  presence?: boolean | undefined;
  since?: Position | undefined;
}

/** Whatever the server says; which fields there are tells what it is. */
export interface Incoming {
  id?: number;
  status?: number;
  headers?: Record<string, string>;
  data?: any;
  encoding?: "base64";
  more?: true;
  chunk?: string;
  end?: true;
  subscription?: Position & { rev: number; recovered?: boolean; presence?: Member[] };
  event?: string;
  offset?: number;
  rev?: number;
  epoch?: string;
  control?: string;
  pong?: number;
}

/** `data` of the control message `hello`. */
export interface Hello {
  connection: string;
  heartbeat: number | null;
  limits: { message_bytes: number | null; in_flight: number };
}

/** Methods of requests that may be repeated. */
export const SAFE = /^(GET|HEAD|OPTIONS|TRACE)$/;
