/**
 * `<live-fragment src="/orders/42/card/">`: HTML of a Django template that stays as the view would render it now.
 *
 * The page's own template renders what is in it at first; the element asks for `src` by a live GET, and shows each new
 * answer. It works without a line of script of the page's own:
 *
 *     <script type="module" src="{% static 'wsrequest/fragment.js' %}"></script>
 *     <live-fragment src="{% url 'card' order.pk %}">{% include "orders/card.html" %}</live-fragment>
 *
 * Attributes: `src`, and `socket` (the connection's path, "/ws/"). `state` is set by the element: "live", "waiting" or
 * "ended". Events, which bubble: `live-fragment:update`, and `live-fragment:end` with the answer's `status`.
 */

import { WSRequest, WSRequestError, type Live } from "../index.js";

const connections = new Map<string, WSRequest>();

function connectionTo(path: string): WSRequest {
  const known = connections.get(path) ?? new WSRequest(path);
  connections.set(path, known);
  return known;
}

export class LiveFragment extends HTMLElement {
  static observedAttributes = ["src", "socket"];
  /** The connection of a page that has one already. */
  static connection: WSRequest | undefined;
  /** Puts HTML into an element; a project may set one that morphs, as idiomorph does. */
  static render: (element: HTMLElement, html: string) => void = replace;

  #live: Live<string> | undefined;

  connectedCallback(): void {
    void this.#follow();
  }

  disconnectedCallback(): void {
    this.#live?.close();
    this.#live = undefined;
  }

  attributeChangedCallback(_name: string, before: string | null, now: string | null): void {
    if (!this.isConnected || before === now) return;
    this.disconnectedCallback();
    this.connectedCallback();
  }

  async #follow(): Promise<void> {
    const src = this.getAttribute("src");
    if (!src) return;
    const ws = LiveFragment.connection ?? connectionTo(this.getAttribute("socket") ?? "/ws/");
    const live = ws.live<string>(src, { headers: { accept: "text/html" } });
    this.#live = live;
    this.setAttribute("state", "waiting");
    try {
      for await (const html of live) this.#show(html);
    } catch (error) {
      if (this.#live === live) this.#end(error);
    }
  }

  #show(html: string): void {
    this.setAttribute("state", "live");
    if (html === this.#shown) return;
    this.#shown = html;
    LiveFragment.render(this, html);
    this.dispatchEvent(new CustomEvent("live-fragment:update", { bubbles: true }));
  }
  #shown: string | undefined;

  #end(error: unknown): void {
    this.setAttribute("state", "ended");
    const status = error instanceof WSRequestError ? error.status : 0;
    this.dispatchEvent(new CustomEvent("live-fragment:end", { bubbles: true, detail: { status, error } }));
  }
}

/** Put HTML into an element; what has the focus keeps it, with its text, its selection and its scroll position. */
function replace(element: HTMLElement, html: string): void {
  const before = kept(element);
  element.innerHTML = html;
  if (before) restore(element, before);
}

type Field = HTMLInputElement | HTMLTextAreaElement;

interface Kept {
  selector: string;
  field?: { value: string; start: number | null; end: number | null };
}

const isField = (element: Element): element is Field => /^(INPUT|TEXTAREA)$/.test(element.tagName);

function kept(root: HTMLElement): Kept | undefined {
  const active = root.ownerDocument.activeElement;
  if (!active || active === root || !root.contains(active)) return undefined;
  const selector = pathTo(root, active);
  if (!isField(active)) return { selector };
  return { selector, field: { value: active.value, start: active.selectionStart, end: active.selectionEnd } };
}

/** By its id or name, which survive what comes and goes around it; else by its place. */
function pathTo(root: HTMLElement, element: Element): string {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const name = element.getAttribute("name");
  const named = name && `${element.localName}[name=${JSON.stringify(name)}]`;
  if (named && root.querySelectorAll(named).length === 1) return named;
  const steps: string[] = [];
  for (let at: Element | null = element; at && at !== root; at = at.parentElement) {
    steps.unshift(`:nth-child(${[...(at.parentElement?.children ?? [])].indexOf(at) + 1})`);
  }
  return `:scope > ${steps.join(" > ")}`;
}

function restore(root: HTMLElement, { selector, field }: Kept): void {
  const element = root.querySelector<HTMLElement>(selector);
  if (!element) return;
  element.focus({ preventScroll: true });
  if (!field || !isField(element)) return;
  element.value = field.value;
  if (field.start !== null) element.setSelectionRange(field.start, field.end);
}

if (!customElements.get("live-fragment")) customElements.define("live-fragment", LiveFragment);
