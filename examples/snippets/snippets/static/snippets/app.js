// The page: one socket, the session that it speaks for, and the routes #/, #/mine, #/new, #/7 and #/7/edit.

import { WSRequest } from "../wsrequest/wsrequest.js";

import { $, h, problem, toast } from "./dom.js";
import { SnippetList } from "./list.js";
import { FrameLog } from "./log.js";
import { readersSentence, showPeople } from "./people.js";
import { figures, watchFigures } from "./figures.js";
import { Pages } from "./rows.js";
import { showEditor, showIntro, showLoading, showMessage, showMine, showReaders, showSnippet } from "./views.js";
import { watch } from "./watch.js";
import { Wire } from "./wire.js";

const wire = new Wire();
new FrameLog(wire);
const ws = new WSRequest("/ws/", { socket: wire.connect });
const list = new SnippetList(ws, {
  announced: (text) => toast(text, "announcement"),
  met: (members) => showPeople(members, ws.connection),
});
watchFigures(ws);

// --- the session: who the server takes this connection for ---------------------------------------------

let user; // a name, null for a visitor, undefined until the server has said

async function refreshSession() {
  const { user: present } = await ws.get("/api/session/");
  const changed = user !== present;
  user = present;
  $("#sign-in").hidden = user !== null;
  $("#sign-out").hidden = user === null;
  $("#user-name").textContent = user ?? "";
  $("#mine").hidden = user === null;
  // What the page shows depends on it; but nobody's half-written snippet is thrown away.
  if (changed && !$("#main .editor")) await route();
}

function signIn() {
  // Come back to where one was; the fragment outlives the redirect.
  for (const input of document.querySelectorAll("input[name=next]")) input.value = `/${location.hash}`;
  $("#sign-in-dialog").showModal();
}

// --- routes --------------------------------------------------------------------------------------------

let showing = new AbortController();

async function route() {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  const path = location.hash.slice(1) || "/";
  const [, id, editing] = path.match(/^\/(\d+)(\/edit)?$/) ?? [];
  list.select(id ?? null);
  if (path === "/mine") $("#mine").setAttribute("aria-current", "page");
  else $("#mine").removeAttribute("aria-current");
  $("#columns").dataset.view = path === "/" ? "home" : "snippet";
  try {
    if (id && editing) await openEditor(id, signal);
    else if (id) await openSnippet(id, signal);
    else if (path === "/mine") await openMine(signal);
    else if (path === "/new") openNew();
    else showIntro({ user, signIn, figures });
  } catch (error) {
    if (error.name === "AbortError") return;
    showMessage("That did not work", error.message, h("button", { type: "button", class: "button", onclick: route }, "Try again"));
  }
  retitle();
}

function retitle() {
  document.title = $("#main h1")?.textContent.replace(/\s+/g, " ").concat(" · Snippets") ?? "Snippets";
}

/** Show a snippet for as long as the route is this one, as it is by then; resolve when there is something to see. */
function openSnippet(id, signal) {
  showLoading();
  return new Promise((resolve) => {
    let shown = null;
    let readers = "";
    const live = ws.live(`/api/snippets/${id}/`, {
      onPresence: (members) => showReaders((readers = readersSentence(members, ws.connection))),
    });
    const show = (snippet) => {
      display(snippet, { changed: shown !== null && JSON.stringify(shown) !== JSON.stringify(snippet) });
      shown = snippet;
      showReaders(readers);
      retitle();
      resolve();
    };
    const ended = (error) => {
      if (removing !== id) showGone(error, shown);
      retitle();
      resolve();
    };
    watch(live, show, ended);
    signal.addEventListener("abort", () => (live.close(), resolve()), { once: true });
  });
}

const display = (snippet, { changed = false } = {}) => showSnippet(snippet, { remove, changed });

function showGone(error, shown) {
  const home = h("a", { class: "button", href: "#/" }, "All snippets");
  if (error.status !== 404) showMessage("That did not work", problem(error), home);
  else if (shown) showMessage("This snippet is gone", `Somebody has just deleted “${shown.title}”.`, home);
  else showMessage("No such snippet", "It may have been deleted.", home);
}

/** Show the snippets of whoever is signed in; resolve when there is something to see. */
function openMine(signal) {
  showLoading();
  return new Promise((resolve) => {
    let show = null;
    const pages = new Pages(ws, "/api/snippets/mine/", {
      changed: (news) => {
        show ??= showMine({ more: () => pages.more() });
        if (!pages.empty) show(pages, news);
        resolve();
      },
      ended: (error) => {
        showMessage(
          "Sign in to see your own",
          error.status === 403 ? "What is yours the server tells by the session." : problem(error),
          h("button", { type: "button", class: "button primary", onclick: signIn }, "Sign in as demo"),
        );
        resolve();
      },
    });
    signal.addEventListener("abort", () => (pages.close(), resolve()), { once: true });
  });
}

async function openEditor(id, signal) {
  showLoading();
  try {
    const snippet = await ws.get(`/api/snippets/${id}/`, undefined, { signal });
    if (snippet.may_edit) edit(snippet);
    else display(snippet);
  } catch (error) {
    if (!error.status) throw error;
    showGone(error, null);
  }
}

function openNew() {
  if (user) return edit(null);
  showMessage(
    "Sign in to write",
    "Everybody may read; who writes has to sign in. The demo account is filled in for you.",
    h("button", { type: "button", class: "button primary", onclick: signIn }, "Sign in as demo"),
  );
  if (user === null) signIn();
}

function edit(snippet) {
  const save = async (fields) => {
    try {
      const saved = snippet
        ? await ws.put(`/api/snippets/${snippet.id}/`, fields)
        : await ws.post("/api/snippets/", fields);
      toast(snippet ? "Saved." : "Created.");
      location.hash = `#/${saved.id}`;
    } catch (error) {
      if (error.status === 403) await refreshSession();
      throw error;
    }
  };
  showEditor(ws, snippet, { save, cancelTo: snippet ? `#/${snippet.id}` : "#/" });
}

let removing = null; // the id of the snippet that this page deletes: it needs not be told

function remove(snippet) {
  const dialog = $("#delete-dialog");
  $("#delete-name").textContent = snippet.title;
  dialog.returnValue = "keep";
  dialog.showModal();
  dialog.onclose = async () => {
    if (dialog.returnValue !== "delete") return;
    removing = String(snippet.id);
    try {
      await ws.delete(`/api/snippets/${snippet.id}/`).catch((error) => {
        if (error.status !== 404) throw error;
      });
      toast("Deleted.");
      location.hash = "#/";
    } catch (error) {
      toast(problem(error), "error");
    } finally {
      removing = null;
    }
  };
}

// --- the connection ------------------------------------------------------------------------------------

const WORDS = { connecting: "Connecting…", open: "Connected", idle: "Idle", closed: "Disconnected" };
let countdown = 0;

ws.on("state", ({ state, delay }) => {
  clearInterval(countdown);
  $("#connection").dataset.state = state;
  $("#connection-retry").hidden = state === "connecting" || state === "open";
  const say = (text) => ($("#connection-text").textContent = text);
  if (state === "waiting") {
    const until = Date.now() + delay;
    const tick = () => say(`Offline, next try in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`);
    countdown = setInterval(tick, 1000);
    tick();
  } else {
    say(WORDS[state]);
  }
  // A new connection may speak for another user: ask, in one frame with the subscriptions that are made again.
  if (state === "open") refreshSession().catch(() => {}); // lost once more: the next connection asks again
});

// --- the rest of the page ------------------------------------------------------------------------------

// A client that was sent away does not come back by itself; but a person may try.
$("#connection-retry").addEventListener("click", () => (ws.state === "closed" ? location.reload() : ws.connect()));
$("#sign-in").addEventListener("click", signIn);
$("#log-toggle").addEventListener("click", () => {
  const open = $("#log").classList.toggle("open");
  $("#log-toggle").setAttribute("aria-expanded", String(open));
});
$("#compose").addEventListener("click", ({ target }) => {
  if (target.dataset.message) $("#compose-text").value = target.dataset.message;
});
$("#compose-form").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    wire.send($("#compose-text").value);
  } catch (error) {
    toast(error.message, "error");
  }
});
addEventListener("hashchange", async () => {
  await route();
  // Tell who does not see the screen that the page has changed, unless the form has the focus already.
  if (!$("#main").contains(document.activeElement)) $("#main h1")?.focus({ preventScroll: true });
  $("#main").scrollTop = 0;
});

route();
