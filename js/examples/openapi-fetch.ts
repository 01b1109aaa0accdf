/** openapi-fetch, and any client that is generated from an OpenAPI document and takes a `fetch`. */

import createClient from "openapi-fetch";

import type { WSRequest } from "../src/index.js";

/** As `npx openapi-typescript` writes it from the project's schema. */
export interface paths {
  "/board/": {
    get: { responses: { 200: { content: { "application/json": { notes: string[] } } } } };
    post: {
      requestBody: { content: { "application/json": { slug: string; text: string } } };
      responses: { 201: { content: { "application/json": { slug: string; text: string } } } };
    };
  };
  "/board/{slug}/": {
    get: {
      parameters: { path: { slug: string } };
      responses: {
        200: { content: { "application/json": { slug: string; text: string } } };
        404: { content: { "application/json": { detail: string } } };
      };
    };
  };
}

export const boardClient = (ws: WSRequest, baseUrl: string) => createClient<paths>({ baseUrl, fetch: ws.fetch });
