// Lists of snippets that stay up to date: the pages of them that were asked for, and their rows.

import { ago, h } from "./dom.js";

const LABELS = new Map([...document.querySelector("#editor").content.querySelectorAll("option")].map((o) => [o.value, o.textContent]));

/** What people call a language. */
export const label = (language) => LABELS.get(language) ?? language;

/** The pages of a list in the API, from the first one on. Each is a live GET: it changes by itself. */
export class Pages {
  #socket;
  #pages = [];
  #changed;

  /** `changed(news)`: there is something else to be shown; `news` says whether it is the world that has changed.
   * `ended(answer)`: the first page is to be had no longer. Other handlers are those of `subscribe` for it. */
  constructor(socket, url, { data, changed, ended, ...on }) {
    this.#socket = socket;
    this.#changed = changed;
    this.#open(url, { data, ...on, end: ended });
  }

  #open(url, on) {
    const page = { rows: null, next: null };
    this.#pages.push(page);
    page.subscription = this.#socket.subscribe(url, {
      end: () => this.#drop(page), // there are fewer pages by now
      ...on,
      live: true,
      state: ({ results, next }) => {
        const news = page.rows !== null;
        page.rows = results;
        // The API gives whole addresses; a message's url has no domain.
        page.next = next && new URL(next).pathname + new URL(next).search;
        this.#changed(news);
      },
    });
  }

  #drop(page) {
    for (const each of this.#pages.splice(this.#pages.indexOf(page))) each.subscription.close();
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
    this.#open(this.#pages.at(-1).next, {});
    this.#changed(false);
  }

  close() {
    for (const { subscription } of this.#pages) subscription.close();
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
