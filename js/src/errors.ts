// What a request is refused with.

/**
 * The answer to a request, where its status is 400 or more; or, with the status 0, the reason why there is none.
 *
 * `code` is what a program looks at: the server's own word where it has one, and here `connection_lost`, `closed`,
 * `queue_full`, `message_too_large`, `stream_overrun`.
 */
export class WSRequestError extends Error {
  override readonly name = "WSRequestError";
  readonly code: string | undefined;

  constructor(
    readonly status: number,
    /** The body of the answer, as `get()` would have given it. */
    readonly data: any,
    readonly headers: Record<string, string> = {},
    message?: string,
  ) {
    super(message ?? data?.detail ?? data?.error ?? `Status ${status}`);
    this.code = data?.code;
  }
}

/** There is no answer. */
export const failure = (code: string, message: string): WSRequestError =>
  new WSRequestError(0, { code, error: message }, {}, message);

/** Call what an application has given. What it throws is reported, as that of any handler, and harms nobody else. */
export const guarded = (call: () => unknown): void => {
  try {
    call();
  } catch (error) {
    void Promise.reject(error);
  }
};
