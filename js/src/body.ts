/** Whether it is a request's body already, a FormData, say, or a Blob or bytes, rather than what JSON is made of. */
export const isBody = (data: unknown): data is BodyInit => !!(data as any)?.[Symbol.toStringTag];
