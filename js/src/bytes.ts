// Bodies: what JSON can't hold goes as base64.

import type { Incoming } from "./messages.js";

const encoder = new TextEncoder();

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  // In pieces: a function takes only so many arguments.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

export const base64url = (text: string): string =>
  toBase64(encoder.encode(text)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "");

export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** The bytes of a text or a chunk. */
export const bytesOf = (text: string, encoding?: string): Uint8Array<ArrayBuffer> =>
  encoding ? fromBase64(text) : encoder.encode(text);

/** How many bytes of UTF-8 a text has, where that may be more than so many; it is not counted elsewhere. */
export const isLarger = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && encoder.encode(text).length > bytes;

/** A request's body, as `data` and `encoding`. Bytes that are text go as text. */
export function asFields(bytes: Uint8Array): { data?: string; encoding?: "text" | "base64" } {
  if (!bytes.length) return {};
  try {
    const data = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { data, encoding: "text" };
  } catch {
    return { data: toBase64(bytes), encoding: "base64" };
  }
}

/** What a program gets of a body: JSON, a text, or bytes. */
export const valueOf = ({ data, encoding }: Pick<Incoming, "data" | "encoding">): any =>
  encoding ? fromBase64(data) : data;

/** A body as a Response takes it. (Of a string it would make up a type.) */
export function bodyOf({ data, encoding, headers }: Incoming): Uint8Array<ArrayBuffer> | null {
  if (data === undefined) return null;
  return bytesOf(encoding || (typeof data === "string" && !isJSON(headers)) ? data : JSON.stringify(data), encoding);
}

export const isJSON = (headers: Record<string, string> = {}): boolean =>
  /[/+]json\b/i.test(headers["content-type"] ?? "");
