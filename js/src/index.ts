/**
 * A Django project over one WebSocket.
 *
 *     const ws = new WSRequest("/ws/");
 *     const orders = await ws.get("/api/orders/", { open: true });
 *     for await (const order of ws.live("/api/orders/42/")) show(order);
 */

export { WSRequest, type Fallback, type FetchInit, type Happenings, type RequestOptions, type WSRequestOptions } from "./client.js";
export { WSRequestError } from "./errors.js";
export { Live, type LiveOptions } from "./live.js";
export { patched, type Operation } from "./patch.js";
export type { Channels, DataOf, EventOf, EventsOf } from "./channels.js";
export type { State } from "./link.js";
export type { Hello, Member, Position } from "./messages.js";
export type { SocketFactory, SocketLike } from "./socket.js";
export type { SubscribeOptions, Subscription } from "./subscription.js";
