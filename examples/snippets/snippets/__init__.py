"""The demo's one app: code snippets, and the page that edits them over a WebSocket."""
