// The list on the left: rows, search, further pages.

import { $, ago, h, toast } from "./dom.js";

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

  constructor(socket) {
    this.#socket = socket;
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
    return this.#load("/api/snippets/", search ? { search } : undefined);
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
      if (loading === this.#loading) this.#rows.removeAttribute("aria-busy");
    }
  }

  #show({ results, next }, append) {
    const rows = results.map((snippet) => this.#row(snippet));
    if (append) this.#rows.append(...rows);
    else this.#rows.replaceChildren(...rows);
    this.select(this.#selected);
    // The API gives whole addresses; a message's url has no domain.
    this.#next = next && new URL(next).pathname + new URL(next).search;
    this.#more.hidden = !this.#next;
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
