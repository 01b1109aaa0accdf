// The list on the left: rows that change by themselves, search, further pages.

import { $, ago, h, toast } from "./dom.js";

const LIST = "/api/snippets/";

export class SnippetList {
  #socket;
  #rows = $("#list");
  #empty = $("#list-empty");
  #more = $("#more");
  #search = $("#search");
  #next = null; // the path of the next page
  #loading = null; // the AbortController of the request that is on its way
  #selected = null;
  #labels = new Map([...$("#editor").content.querySelectorAll("option")].map((o) => [o.value, o.textContent]));

  /** `announced(text)` and `met(members)` are told what else is heard of the list. */
  constructor(socket, { announced, met }) {
    this.#socket = socket;
    socket.subscribe(LIST, {
      state: (data) => (this.#isWhole ? this.#show(data) : this.refresh()),
      event: (name, data) => (name === "announcement" ? announced(String(data)) : this.#changed(name, data)),
      presence: met,
      end: ({ status }) => toast(`The list was answered ${status}.`, "error"),
    });
    this.#search.addEventListener("input", () => this.refresh());
    this.#more.addEventListener("click", () => this.#load(this.#next, undefined, true));
  }

  /** What people call a language. */
  label(language) {
    return this.#labels.get(language) ?? language;
  }

  /** Ask for the first page again. */
  refresh() {
    const search = this.#search.value.trim();
    return this.#load(LIST, search ? { search } : undefined);
  }

  /** Whether the rows are those that the subscription is about: neither searched, nor on their way. */
  get #isWhole() {
    return !this.#search.value.trim() && !this.#loading;
  }

  /** Somebody has written: in this page, in another one, or from a shell. */
  #changed(name, snippet) {
    if (!this.#isWhole) return this.refresh();
    this.#rows.querySelector(`[data-id="${snippet.id}"]`)?.parentElement.remove();
    if (name !== "deleted") {
      const row = this.#row(snippet);
      row.classList.add("fresh");
      this.#rows.prepend(row);
      this.select(this.#selected);
    }
    this.#showEmpty();
  }

  /** Mark the row of the snippet that is shown beside the list. */
  select(id) {
    this.#selected = id;
    for (const link of this.#rows.querySelectorAll("a")) {
      if (link.dataset.id === String(id)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  async #load(url, data, append = false) {
    this.#loading?.abort();
    const loading = (this.#loading = new AbortController());
    this.#rows.setAttribute("aria-busy", "true");
    try {
      const answer = await this.#socket.request("GET", url, { data, signal: loading.signal });
      if (answer.ok) this.#show(answer.data, append);
      else toast(answer.data?.detail ?? `The list was answered ${answer.status}.`, "error");
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message, "error");
    } finally {
      if (loading === this.#loading) {
        this.#loading = null;
        this.#rows.removeAttribute("aria-busy");
      }
    }
  }

  #show({ results, next }, append) {
    // A row that was written meanwhile has pushed others onto the next page.
    const known = (id) => append && this.#rows.querySelector(`[data-id="${id}"]`);
    const rows = results.filter(({ id }) => !known(id)).map((snippet) => this.#row(snippet));
    this.#rows.removeAttribute("aria-busy");
    if (append) this.#rows.append(...rows);
    else this.#rows.replaceChildren(...rows);
    this.select(this.#selected);
    // The API gives whole addresses; a message's url has no domain.
    this.#next = next && new URL(next).pathname + new URL(next).search;
    this.#more.hidden = !this.#next;
    this.#showEmpty();
  }

  #showEmpty() {
    this.#empty.hidden = this.#rows.children.length > 0;
    this.#empty.replaceChildren(...this.#nothing());
  }

  #row({ id, title, language, owner, updated }) {
    const link = h(
      "a",
      { href: `#/${id}`, "data-id": id },
      h("span", { class: "row-title" }, title),
      h("span", { class: "row-meta" }, h("span", { class: "tag", "data-language": language }, this.label(language)), owner ?? "nobody", " · ", ago(updated)),
    );
    return h("li", {}, link);
  }

  #nothing() {
    const search = this.#search.value.trim();
    if (!search) return [h("p", {}, "There are no snippets yet."), h("a", { href: "#/new" }, "Write the first one")];
    const clear = () => {
      this.#search.value = "";
      this.#search.focus();
      this.refresh();
    };
    return [
      h("p", {}, "Nothing matches ", h("b", {}, search), "."),
      h("button", { type: "button", class: "link", onclick: clear }, "Clear the search"),
    ];
  }
}
