// What goes over the wire, for the log: the client's own WebSocket, overheard.

export class Wire extends EventTarget {
  #webSocket = null;

  /** What WSRequest takes as its `socket`. Each frame is told by an event "frame" {direction, text}. */
  connect = (url, protocols) => {
    const webSocket = new WebSocket(url, protocols);
    const tell = (direction, text) => this.dispatchEvent(new CustomEvent("frame", { detail: { direction, text } }));
    const send = webSocket.send.bind(webSocket);
    webSocket.send = (text) => (send(text), tell("sent", text));
    webSocket.addEventListener("message", ({ data }) => tell("received", data));
    return (this.#webSocket = webSocket);
  };

  /** Send what somebody typed, as it is: only the log shows its answer. */
  send(text) {
    if (this.#webSocket?.readyState !== WebSocket.OPEN) throw new Error("There is no connection just now.");
    this.#webSocket.send(text);
  }
}
