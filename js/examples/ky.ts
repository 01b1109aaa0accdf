/** ky, with its retries, hooks and time-outs, over the socket. */

import ky from "ky";

import type { WSRequest } from "../src/index.js";

export const kyOver = (ws: WSRequest, prefixUrl: string) => ky.create({ prefixUrl, fetch: ws.fetch });
