// Lists of snippets that stay up to date: the pages of them that were asked for, and their rows.

import { ago, h } from "./dom.js";
import { watch } from "./watch.js";

const LABELS = new Map([...document.querySelector("#editor").content.querySelectorAll("option")].map((o) => [o.value, o.textContent]));

/** What people call a language. */
export const label = (language) => LABELS.get(language) ?? language;

/** The pages of a list in the API, from the first one on. Each is a live GET: it changes by itself. */
export class Pages {
  #ws;
  #pages = [];
  #changed;

  /** `changed(news)`: there is something else to be shown; `news` says whether it is the world that has changed.
   * `ended(error)`: the first page is to be had no longer. Other options are those of `live` for it. */
  constructor(ws, url, { changed, ended, ...options }) {
    this.#ws = ws;
    this.#changed = changed;
    this.#open(url, options, ended);
  }

  #open(url, options, ended) {
    const page = { rows: null, next: null, live: this.#ws.live(url, options) };
    this.#pages.push(page);
    const show = ({ results, next }) => {
      const news = page.rows !== null;
      page.rows = results;
      // The API gives whole addresses; a message's url has no domain.
      page.next = next && new URL(next).pathname + new URL(next).search;
      this.#changed(news);
    };
    watch(page.live, show, ended ?? (() => this.#drop(page))); // else there are fewer pages by now
  }

  #drop(page) {
    for (const each of this.#pages.splice(this.#pages.indexOf(page))) each.live.close();
    this.#changed(true);
  }

  /** The snippets on all pages. One that is on its way from a page to the next is there once. */
  get rows() {
    return [...new Map(this.#pages.flatMap(({ rows }) => rows ?? []).map((row) => [row.id, row])).values()];
  }

  /** Whether there is nothing to be shown yet. */
  get empty() {
    return this.#pages[0].rows === null;
  }

  /** Whether a page is on its way. */
  get loading() {
    return this.#pages.some(({ rows }) => rows === null);
  }

  /** Whether there are further pages. */
  get hasMore() {
    return Boolean(this.#pages.at(-1).next);
  }

  more() {
    this.#open(this.#pages.at(-1).next);
    this.#changed(false);
  }

  close() {
    for (const { live } of this.#pages) live.close();
  }
}

/** The rows in an <ul>: a row that has not changed stays where it is, with the focus and the movement that it has. */
export class Rows {
  #list;
  #rows = new Map(); // id -> {text, item}
  #seen = new Map(); // id -> text, also of rows that are between two pages just now

  constructor(list) {
    this.#list = list;
  }

  /** `news`: what has changed shows that it has. */
  show(snippets, { news = false } = {}) {
    const before = this.#rows;
    this.#rows = new Map(snippets.map((snippet) => [snippet.id, this.#row(snippet, before.get(snippet.id), news)]));
    const items = [...this.#rows.values()].map(({ item }) => item);
    for (const item of [...this.#list.children]) if (!items.includes(item)) item.remove();
    let next = this.#list.firstElementChild;
    for (const item of items) {
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
  }

  #row(snippet, known, news) {
    const text = JSON.stringify(snippet);
    if (known?.text === text) return known;
    const item = makeRow(snippet);
    item.classList.toggle("fresh", news && this.#seen.get(snippet.id) !== text);
    this.#seen.set(snippet.id, text);
    return { text, item };
  }
}

function makeRow({ id, title, language, owner, updated }) {
  const link = h(
    "a",
    { href: `#/${id}`, "data-id": id },
    h("span", { class: "row-title" }, title),
    h("span", { class: "row-meta" }, h("span", { class: "tag", "data-language": language }, label(language)), owner ?? "nobody", " · ", ago(updated)),
  );
  return h("li", {}, link);
}
