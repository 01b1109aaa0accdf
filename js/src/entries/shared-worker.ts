/** The SharedWorker: one line for each address, subprotocols and identity that a tab names. */

import { Line, type News, type Tab } from "./line.js";

export interface Joining {
  url: string;
  protocols: string[];
  identity: string;
  /** Of a lock that the tab holds for as long as it is there. */
  lock?: string;
}

/** What a tab says. */
export type Saying = { join: Joining } | { text: string } | { leave: true };

const lines = new Map<string, Line>();

function lineTo({ url, protocols, identity }: Joining): Line {
  const key = JSON.stringify([url, protocols, identity]);
  let line = lines.get(key);
  if (!line) {
    line = new Line(new WebSocket(url, protocols), () => lines.delete(key));
    lines.set(key, line);
  }
  return line;
}

function serve(port: MessagePort): void {
  const tab: Tab = { tell: (news: News) => port.postMessage(news) };
  let line: Line | undefined;
  const leave = () => line?.leave(tab);
  port.onmessage = ({ data }: MessageEvent<Saying>) => {
    if ("join" in data) {
      line = lineTo(data.join);
      line.join(tab);
      // It is free when the tab is gone, however that came about.
      if (data.join.lock) void navigator.locks.request(data.join.lock, leave);
    } else if ("text" in data) line?.say(tab, data.text);
    else leave();
  };
}

addEventListener("connect", (event) => {
  for (const port of (event as MessageEvent).ports) serve(port);
});
