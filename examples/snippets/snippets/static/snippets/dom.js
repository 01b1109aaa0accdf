// The few helpers that every part of the page uses.

export const $ = (selector, root = document) => root.querySelector(selector);

/** Make an element: h("a", { href: "#/new", class: "button" }, "New"). Text is text, never markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** An icon of the sprite that stands in the page. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Say something in a corner for a while; a screen reader says it too. */
export function toast(text, kind = "info") {
  const close = () => element.remove();
  const element = h(
    "div",
    { class: `toast ${kind}` },
    h("p", {}, text),
    h("button", { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: close }, icon("close")),
  );
  $("#toasts").append(element);
  setTimeout(close, kind === "error" ? 9000 : 4000);
}

/** The API's own words for what went wrong, or at least its status; what was no answer speaks for itself. */
export const problem = ({ status, data, message }) =>
  data?.detail ?? data?.error ?? (status ? `The server answered ${status}.` : message);

const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** A <time> such as "3 hr. ago", with the whole date for those who want it. */
export function ago(iso) {
  const date = new Date(iso);
  const seconds = (Date.now() - date) / 1000;
  const unit = UNITS.find(([, length]) => seconds >= length);
  const text = unit ? relative.format(-Math.floor(seconds / unit[1]), unit[0]) : "just now";
  return h("time", { datetime: iso, title: date.toLocaleString() }, text);
}
