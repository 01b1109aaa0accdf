// What stands in the middle of the page: the introduction, one snippet, or the editor.

import { $, ago, h, icon, problem, toast } from "./dom.js";
import { label, Rows } from "./rows.js";

const main = $("#main");
const PREVIEW_AFTER = 120; // ms without a keystroke

export function showIntro({ user, signIn, figures }) {
  const intro = $("#intro").content.cloneNode(true);
  $("#intro-actions", intro).classList.toggle("pending", user === undefined);
  if (user === null) {
    const button = h("button", { type: "button", class: "button primary", onclick: signIn }, "Sign in as demo");
    $(".primary", intro).classList.remove("primary");
    $("#intro-actions", intro).prepend(button);
  }
  main.replaceChildren(intro);
  figures.show();
}

/** Make the page of one's own snippets; return what fills it, from then on. */
export function showMine({ more }) {
  const list = h("ul", { class: "list cards" });
  const rows = new Rows(list);
  const count = h("p", { class: "meta", role: "status" });
  const nothing = h("p", { class: "hint" }, "There is nothing of yours yet. What you write shows here, in whichever window you write it.");
  const button = h("button", { type: "button", class: "button", onclick: more }, "Show more");
  main.replaceChildren(
    h(
      "section",
      { class: "mine" },
      backLink(),
      h("header", {}, h("h1", { tabindex: "-1" }, "My snippets"), count, h("div", { class: "actions" }, h("a", { class: "button", href: "#/new" }, icon("plus"), "New"))),
      nothing,
      list,
      button,
    ),
  );
  return (pages, news) => {
    rows.show(pages.rows, { news });
    const number = pages.rows.length;
    count.textContent = `${pages.hasMore ? "The newest " : ""}${number} ${number === 1 ? "snippet" : "snippets"}, kept up to date for you alone`;
    nothing.hidden = number > 0;
    button.hidden = !pages.hasMore;
  };
}

export function showLoading() {
  const bars = ["title", "meta", "block"].map((name) => h("div", { class: `skeleton ${name}` }));
  main.replaceChildren(h("div", { class: "loading", role: "status" }, h("span", { class: "sr" }, "Loading"), ...bars));
}

export function showMessage(title, text, ...actions) {
  main.replaceChildren(
    h("div", { class: "message" }, h("h1", { tabindex: "-1" }, title), h("p", {}, text), h("div", { class: "actions" }, ...actions)),
  );
}

/** `changed`: it has just become another one than was shown before. */
export function showSnippet(snippet, { remove, changed }) {
  const copy = async () => {
    await navigator.clipboard.writeText(snippet.code);
    toast("Copied.");
  };
  const owner = snippet.owner ?? "nobody";
  main.replaceChildren(
    h(
      "article",
      { class: changed ? "snippet changed" : "snippet" },
      backLink(),
      h(
        "header",
        {},
        h("h1", { tabindex: "-1" }, snippet.title),
        h("p", { class: "meta" }, h("span", { class: "tag", "data-language": snippet.language }, label(snippet.language)), `by ${owner} · changed `, ago(snippet.updated), h("span", { class: "readers", role: "status" })),
        h(
          "div",
          { class: "actions" },
          snippet.may_edit && h("a", { class: "button", href: `#/${snippet.id}/edit` }, icon("edit"), "Edit"),
          // Browsers give the clipboard to secure pages only; localhost counts as one.
          navigator.clipboard && h("button", { type: "button", class: "button", onclick: copy }, icon("copy"), "Copy"),
          snippet.may_edit && h("button", { type: "button", class: "button danger-quiet", onclick: () => remove(snippet) }, icon("delete"), "Delete"),
        ),
      ),
      codeBlock(snippet.highlighted),
      !snippet.may_edit && h("p", { class: "hint" }, `Only ${owner === "nobody" ? "staff" : owner} may change this snippet.`),
    ),
  );
}

/** Say who reads the snippet that is shown; "" for nobody else. */
export function showReaders(sentence) {
  $(".readers", main)?.replaceChildren(sentence);
}

/** Show the form; `save(fields)` throws what the API has against them. */
export function showEditor(ws, snippet, { save, cancelTo }) {
  const form = $("#editor").content.cloneNode(true).firstElementChild;
  $("h1", form).textContent = snippet ? "Edit snippet" : "New snippet";
  $(".actions a", form).href = cancelTo;
  for (const name of ["title", "language", "code"]) if (snippet) form.elements[name].value = snippet[name];
  main.replaceChildren(form);
  form.prepend(backLink(cancelTo));
  livePreview(ws, form, snippet?.highlighted);
  form.addEventListener("input", ({ target }) => showError(target.closest("[data-field]"), null));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await submit(form, save, ws);
  });
  if (!snippet) form.elements.title.focus();
}

async function submit(form, save, ws) {
  const button = $("button[type=submit]", form);
  if (button.disabled) return;
  showErrors(form, {});
  button.disabled = true;
  button.textContent = ws.state === "open" ? "Saving…" : "Waiting for the connection…";
  try {
    const { title, language, code } = form.elements;
    await save({ title: title.value, language: language.value, code: code.value });
  } catch (error) {
    showErrors(form, error.status === 400 ? error.data : { detail: problem(error) });
  } finally {
    button.disabled = false;
    button.textContent = "Save";
  }
}

/** Put a serializer's errors, {field: [sentence, ...]}, where they belong; what has no field goes to the top. */
function showErrors(form, errors) {
  const rest = Object.entries(errors).filter(([name]) => !$(`[data-field=${name}]`, form));
  const alert = $(".alert", form);
  alert.hidden = !rest.length;
  alert.textContent = rest.map(([, sentences]) => [sentences].flat().join(" ")).join(" ");
  for (const field of form.querySelectorAll("[data-field]")) showError(field, errors[field.dataset.field]);
  $("[aria-invalid=true]", form)?.focus();
}

/** Show a field's errors, or take them away: what is being mended is no longer known to be wrong. */
function showError(field, sentences) {
  const text = $(".error", field);
  text.hidden = !sentences;
  text.textContent = sentences ? [sentences].flat().join(" ") : "";
  $("input, select, textarea", field).setAttribute("aria-invalid", String(Boolean(sentences)));
}

function livePreview(ws, form, highlighted) {
  const target = $(".preview .code", form);
  const { code, language } = form.elements;
  let timer = 0;
  let asking = null;
  const show = (html) => target.replaceChildren(html ? codeBlock(html) : h("p", { class: "hint" }, "What you write shows here."));
  const ask = async () => {
    asking?.abort();
    if (!code.value.trim()) return show(null);
    asking = new AbortController();
    try {
      const data = { code: code.value, language: language.value };
      const { highlighted } = await ws.post("/api/snippets/preview/", data, { signal: asking.signal });
      show(highlighted);
    } catch {
      // An outdated preview, a refusal, or a lost connection: the next keystroke asks again.
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PREVIEW_AFTER);
  };
  code.addEventListener("input", later);
  language.addEventListener("change", later);
  show(highlighted);
}

/** Pygments' HTML. The server escaped the code in it, and the page's policy would run no script of it anyway. */
function codeBlock(html) {
  const block = h("div", { class: "code", tabindex: "0", role: "region", "aria-label": "Highlighted code" });
  block.innerHTML = html;
  return block;
}

function backLink(href = "#/") {
  return h("a", { class: "back", href }, icon("back"), "All snippets");
}
