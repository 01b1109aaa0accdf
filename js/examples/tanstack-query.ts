/** TanStack Query: queries that are asked over the socket, and one that stays up to date without being asked again. */

import { QueryClient, type QueryKey } from "@tanstack/query-core";

import type { WSRequest } from "../src/index.js";

/** A client whose query keys are urls: `useQuery({ queryKey: ["/board/"] })`. What nobody waits for is cancelled. */
export function queryClientOver(ws: WSRequest): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { queryFn: ({ queryKey, signal }) => ws.get(String(queryKey[0]), queryKey[1], { signal }) },
    },
  });
}

/** Keep what a query has as the url would answer it. Returns what ends that. */
export function keepLive(client: QueryClient, ws: WSRequest, queryKey: QueryKey): () => void {
  const live = ws.live(String(queryKey[0]), { data: queryKey[1] });
  live.subscribe(() => {
    if (live.status === "live") client.setQueryData(queryKey, live.getSnapshot());
    else void client.invalidateQueries({ queryKey }); // it says why
  });
  return () => live.close();
}
