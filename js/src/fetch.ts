// What `fetch` takes and gives: a Request as a message, and an answer as a Response.

import { asFields, bodyOf, isJSON } from "./bytes.js";
import { WSRequestError } from "./errors.js";
import type { Answer } from "./exchange.js";
import type { Fields } from "./messages.js";

/** A request's message. Reads its body. */
export async function fieldsOf(request: Request): Promise<Fields> {
  const { pathname, search } = new URL(request.url);
  const body = request.body === null ? new Uint8Array() : new Uint8Array(await request.arrayBuffer());
  return {
    method: request.method,
    url: pathname + search,
    headers: Object.fromEntries(request.headers),
    ...asFields(body),
  };
}

/** A real Response, which says where it is from. */
export function responseTo(answer: Answer, url: string, redirected: boolean): Response {
  const { status, headers, flow } = answer;
  // With these, a Response may have no body.
  const body = /20[45]|304/.test(`${status}`) ? null : (flow ?? bodyOf(answer));
  const response = new Response(body, { status, headers });
  return Object.defineProperties(response, { url: { value: url }, redirected: { value: redirected } });
}

/** Where an answer sends the client, and whether by a GET; undefined where it does not. */
export function redirection(at: URL, method: string, answer: Answer): { url: URL; bare: boolean } | undefined {
  const { status, headers } = answer;
  if (!headers.location || !/30[12378]/.test(`${status}`)) return undefined;
  // As fetch has it: a form that was taken is followed by a GET.
  const bare = method === "POST" ? status < 304 : status === 303 && method !== "HEAD";
  return { url: new URL(headers.location, at), bare };
}

/** The body as JSON, text, or bytes. Throws WSRequestError from 400 on. */
export async function read(response: Response): Promise<any> {
  const { status, ok } = response;
  const headers = Object.fromEntries(response.headers);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { data, encoding } = asFields(bytes);
  const value = encoding === "base64" ? bytes : data && isJSON(headers) ? JSON.parse(data) : data;
  if (!ok) throw new WSRequestError(status, value, headers);
  return value;
}
