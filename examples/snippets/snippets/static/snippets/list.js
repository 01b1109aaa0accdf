// The list on the left: search, further pages, and rows that change by themselves.

import { $, h, problem, toast } from "./dom.js";
import { Pages, Rows } from "./rows.js";

const LIST = "/api/snippets/";

export class SnippetList {
  #ws;
  #list = $("#list");
  #rows = new Rows($("#list"));
  #empty = $("#list-empty");
  #more = $("#more");
  #search = $("#search");
  #whole; // the list as it is without a search
  #shown; // that, or what was searched for
  #selected = null;

  /** `announced(text)` and `met(members)` are told what else is heard of the list. */
  constructor(ws, { announced, met }) {
    this.#ws = ws;
    this.#whole = this.#open({
      onEvent: ({ event, data }) => event === "announcement" && announced(String(data)),
      onPresence: met,
    });
    this.#shown = this.#whole;
    this.#search.addEventListener("input", () => this.#seek());
    this.#more.addEventListener("click", () => this.#shown.more());
  }

  #open(on) {
    const pages = new Pages(this.#ws, LIST, {
      ...on,
      changed: (news) => pages === this.#shown && this.#show(news),
      ended: (error) => toast(problem(error), "error"),
    });
    return pages;
  }

  /** Each search is a list of its own, which stays up to date as the whole one does. */
  #seek() {
    const search = this.#search.value.trim();
    if (this.#shown !== this.#whole) this.#shown.close();
    this.#shown = search ? this.#open({ data: { search } }) : this.#whole;
    this.#show(false);
  }

  /** Mark the row of the snippet that is shown beside the list. */
  select(id) {
    this.#selected = id;
    for (const link of this.#list.querySelectorAll("a")) {
      if (link.dataset.id === String(id)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  #show(news) {
    if (this.#shown.loading) this.#list.setAttribute("aria-busy", "true");
    else this.#list.removeAttribute("aria-busy");
    if (this.#shown.empty) return; // what was there before stays until something else is
    this.#rows.show(this.#shown.rows, { news });
    this.select(this.#selected);
    this.#more.hidden = !this.#shown.hasMore;
    this.#empty.hidden = this.#list.children.length > 0;
    this.#empty.replaceChildren(...this.#nothing());
  }

  #nothing() {
    const search = this.#search.value.trim();
    if (!search) return [h("p", {}, "There are no snippets yet."), h("a", { href: "#/new" }, "Write the first one")];
    const clear = () => {
      this.#search.value = "";
      this.#search.focus();
      this.#seek();
    };
    return [
      h("p", {}, "Nothing matches ", h("b", {}, search), "."),
      h("button", { type: "button", class: "link", onclick: clear }, "Clear the search"),
    ];
  }
}
