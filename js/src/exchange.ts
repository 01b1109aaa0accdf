// A request and its answer, which may be a stream.

import { bytesOf, isLarger } from "./bytes.js";
import { failure } from "./errors.js";
import type { Entry, Link } from "./link.js";
import { SAFE, type Fields, type Incoming } from "./messages.js";

export interface Limits {
  /** Requests and subscriptions that there may be at once; 1,000. */
  maxPending?: number | undefined;
  /** Bytes of a stream that are kept for a reader who is slower than the network; 16 MiB. */
  maxBuffered?: number | undefined;
}

export interface Terms {
  signal?: AbortSignal | null | undefined;
  /** Milliseconds until the answer begins. */
  timeout?: number | undefined;
}

/** An answer, or the head of a stream, whose body is `flow`. */
export interface Answer extends Incoming {
  status: number;
  headers: Record<string, string>;
  flow?: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Resolves with what the server answers, whatever its status. */
export function ask(link: Link, fields: Fields, { signal, timeout }: Terms, limits: Limits): Promise<Answer> {
  const { maxPending = 1000, maxBuffered: highWaterMark = 2 ** 24 } = limits;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) throw signal.reason;
    if (link.under.size >= maxPending) throw failure("queue_full", "Too many requests wait.");
    const text = JSON.stringify({ ...fields, timeout }).slice(1);
    if (isLarger(text, link.maximum - 99)) {
      throw failure("message_too_large", `The server reads ${link.maximum} bytes at most: use HTTP.`);
    }
    let stream: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;

    const end = (error?: unknown) => {
      link.under.delete(id);
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      if (!error) return stream?.close();
      stream?.error(error);
      reject(error);
    };
    const give = (reason: unknown) => link.drop(id) && end(reason);
    const abort = () => give(signal!.reason);

    const hear = (message: Incoming) => {
      const { chunk, more, status, data } = message;
      if (chunk !== undefined) {
        // A browser reads its socket whether anybody wants it or not: the server can't be made to wait.
        if (stream!.desiredSize! > 0) stream!.enqueue(bytesOf(chunk, message.encoding));
        else give(failure("stream_overrun", "Read too slowly: use HTTP."));
      } else if (more) {
        clearTimeout(timer);
        const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
          { start: (controller) => void (stream = controller), cancel: (reason) => void ((stream = undefined), give(reason)) },
          { highWaterMark, size: (bytes) => bytes.length },
        );
        resolve({ ...(message as Answer), flow: body });
      } else if (status === 503 && data?.code === "going_away") entry.sent = false;
      else if (stream) end(status && failure(data?.code, data?.error));
      else {
        end();
        resolve(message as Answer);
      }
    };
    const entry: Entry = {
      sent: false,
      opening: (id) => `{"id":${id},${text}`,
      hear,
      repeats: (unread) => !stream && (unread || !!fields.key || SAFE.test(fields.method!)),
      fail: end,
    };
    signal?.addEventListener("abort", abort);
    const late = () => give(new DOMException(`No answer within ${timeout} ms.`, "TimeoutError"));
    const timer = timeout ? setTimeout(late, timeout) : undefined;
    const id = link.enter(entry);
  });
}
