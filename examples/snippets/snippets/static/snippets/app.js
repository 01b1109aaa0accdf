// The page: one socket, the session that it speaks for, and the routes #/, #/mine, #/new, #/7 and #/7/edit.

import { $, h, toast } from "./dom.js";
import { SnippetList } from "./list.js";
import { FrameLog } from "./log.js";
import { readersSentence, showPeople } from "./people.js";
import { figures, watchFigures } from "./figures.js";
import { Socket } from "./socket.js";
import { Pages } from "./rows.js";
import { problem, showEditor, showIntro, showLoading, showMessage, showMine, showReaders, showSnippet } from "./views.js";

const socket = new Socket("/ws/");
new FrameLog(socket);
const list = new SnippetList(socket, {
  announced: (text) => toast(text, "announcement"),
  met: (members) => showPeople(members, socket.connection),
});
watchFigures(socket);

// --- the session: who the server takes this connection for ---------------------------------------------

let user; // a name, null for a visitor, undefined until the server has said

async function refreshSession() {
  const answer = await socket.request("GET", "/api/session/");
  if (!answer.ok) return;
  const changed = user !== answer.data.user;
  user = answer.data.user;
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
    const subscription = socket.subscribe(`/api/snippets/${id}/`, {
      live: true,
      state: (snippet) => {
        display(snippet, { changed: shown !== null && JSON.stringify(shown) !== JSON.stringify(snippet) });
        shown = snippet;
        showReaders(readers);
        retitle();
        resolve();
      },
      presence: (members) => showReaders((readers = readersSentence(members, socket.connection))),
      end: (answer) => {
        if (removing !== id) showGone(answer, shown);
        retitle();
        resolve();
      },
    });
    signal.addEventListener("abort", () => (subscription.close(), resolve()), { once: true });
  });
}

const display = (snippet, { changed = false } = {}) => showSnippet(snippet, { remove, changed });

function showGone(answer, shown) {
  const home = h("a", { class: "button", href: "#/" }, "All snippets");
  if (answer.status !== 404) showMessage("That did not work", problem(answer), home);
  else if (shown) showMessage("This snippet is gone", `Somebody has just deleted “${shown.title}”.`, home);
  else showMessage("No such snippet", "It may have been deleted.", home);
}

/** Show the snippets of whoever is signed in; resolve when there is something to see. */
function openMine(signal) {
  showLoading();
  return new Promise((resolve) => {
    let show = null;
    const pages = new Pages(socket, "/api/snippets/mine/", {
      changed: (news) => {
        show ??= showMine({ more: () => pages.more() });
        if (!pages.empty) show(pages, news);
        resolve();
      },
      ended: (answer) => {
        showMessage(
          "Sign in to see your own",
          answer.status === 403 ? "What is yours the server tells by the session." : problem(answer),
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
  const answer = await socket.request("GET", `/api/snippets/${id}/`, { signal });
  if (!answer.ok) showGone(answer, null);
  else if (answer.data.may_edit) edit(answer.data);
  else display(answer.data);
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
    const answer = snippet
      ? await socket.request("PUT", `/api/snippets/${snippet.id}/`, { data: fields })
      : await socket.request("POST", "/api/snippets/", { data: fields });
    if (answer.ok) {
      toast(snippet ? "Saved." : "Created.");
      location.hash = `#/${answer.data.id}`;
    } else if (answer.status === 403) {
      await refreshSession();
    }
    return answer;
  };
  showEditor(socket, snippet, { save, cancelTo: snippet ? `#/${snippet.id}` : "#/" });
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
      const answer = await socket.request("DELETE", `/api/snippets/${snippet.id}/`);
      if (!answer.ok && answer.status !== 404) return toast(problem(answer), "error");
      toast("Deleted.");
      location.hash = "#/";
    } catch (error) {
      toast(error.message, "error");
    } finally {
      removing = null;
    }
  };
}

// --- the connection ------------------------------------------------------------------------------------

const WORDS = { connecting: "Connecting…", open: "Connected", idle: "Idle", closed: "Disconnected" };
let countdown = 0;

socket.addEventListener("state", ({ detail: { state, delay } }) => {
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

$("#connection-retry").addEventListener("click", () => socket.open());
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
    socket.sendText($("#compose-text").value);
  } catch {
    toast("There is no connection just now.", "error");
  }
});
addEventListener("hashchange", async () => {
  await route();
  // Tell who does not see the screen that the page has changed, unless the form has the focus already.
  if (!$("#main").contains(document.activeElement)) $("#main h1")?.focus({ preventScroll: true });
  $("#main").scrollTop = 0;
});

socket.open();
route();
