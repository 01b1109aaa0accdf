/** axios: its own fetch adapter, over the socket. */

import axios from "axios";

import type { WSRequest } from "../src/index.js";

export const axiosOver = (ws: WSRequest, baseURL: string) =>
  axios.create({ baseURL, adapter: "fetch", env: { fetch: ws.fetch } });
