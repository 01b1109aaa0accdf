// When to come back: what a close code says, and how long to wait. See "Close codes" in PROTOCOL.md.

/** `stay` away; come back with the next `request`, `now`, or `later` and later. */
export type Next = "stay" | "request" | "now" | "later";

/** By code, and by hundreds of them; else `later`. */
const NEXT: Record<number, Next> = { 1001: "now", 1009: "stay", 1012: "now", 4011: "request", 40: "stay", 42: "now" };

export const afterClose = (code: number): Next => NEXT[code] ?? NEXT[Math.floor(code / 100)] ?? "later";

/** Milliseconds until the first try, at most, and until any. */
export const FIRST = 500;
export const LONGEST = 30_000;

/**
 * Milliseconds to wait after so many failures in a row. Any time up to a limit that doubles ("full jitter", as in
 * Marc Brooker's "Exponential Backoff And Jitter"): clients that went together don't come back together.
 */
export const backoff = (failures: number, random = Math.random): number =>
  random() * Math.min(LONGEST, FIRST * 2 ** failures);
