/**
 * Requests go by HTTP while there is no connection.
 *
 *     import { overHTTP } from "wsrequest/http";
 *     const ws = new WSRequest("/ws/", { fallback: overHTTP() });
 *
 * Cookies go with them as with any request of the page's own, and Django's CSRF token, which the socket does not need.
 */

import { isBody } from "../body.js";
import type { Fallback } from "../index.js";

export interface HTTPOptions {
  /** The server's TOKEN_SCHEME; "JWT". */
  scheme?: string;
  /** CSRF_COOKIE_NAME, and the name of the header for its value. */
  csrfCookie?: string;
  csrfHeader?: string;
}

export function overHTTP(options: HTTPOptions = {}): Fallback {
  const { scheme = "JWT", csrfCookie = "csrftoken", csrfHeader = "x-csrftoken" } = options;
  return {
    send(request, token) {
      const { headers } = request;
      if (token && !headers.has("authorization")) headers.set("authorization", `${scheme} ${token}`);
      const csrf = cookie(csrfCookie);
      if (csrf && !headers.has(csrfHeader)) headers.set(csrfHeader, csrf);
      return fetch(request);
    },
    request: (method, url, data, { headers: given, token, signal, timeout }) => {
      const headers = new Headers(given);
      if (token) headers.set("authorization", `${scheme} ${token}`);
      const signals = [signal, timeout ? AbortSignal.timeout(timeout) : null].filter((each) => each instanceof AbortSignal);
      const init: RequestInit = { method, headers, signal: signals.length ? AbortSignal.any(signals) : null };
      if (/^(GET|HEAD)$/.test(method)) return new Request(withQuery(url, data), init);
      if (data === undefined || isBody(data)) return new Request(url, { ...init, body: data ?? null });
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Request(url, { ...init, body: JSON.stringify(data) });
    },
  };
}

/** As the server does it: a list is a repeated key, `null` is left out. */
function withQuery(url: URL, data: unknown): URL {
  const whole = new URL(url);
  for (const [key, value] of Object.entries(data ?? {})) {
    for (const each of [value].flat()) if (each !== null && each !== undefined) whole.searchParams.append(key, `${each}`);
  }
  return whole;
}

function cookie(name: string): string | undefined {
  const pairs = (globalThis.document?.cookie ?? "").split("; ").map((pair) => pair.split("="));
  return pairs.find(([key]) => key === name)?.[1];
}
