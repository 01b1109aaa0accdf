// The counters: what live has cost in the server process that this page talks to, and what it has not.

const elements = () => document.querySelectorAll("[data-figure]");

export const figures = {
  now: {},
  /** Fill in the numbers wherever the page has a place for one. */
  show() {
    for (const element of elements()) {
      const text = this.now[element.dataset.figure]?.toLocaleString("en") ?? "–";
      if (element.textContent === text) continue;
      const news = /\d/.test(element.textContent);
      element.textContent = text;
      element.classList.remove("ticked");
      void element.offsetWidth; // so that the movement begins anew
      element.classList.toggle("ticked", news);
    }
  },
};

export function watchFigures(ws) {
  const show = (now) => {
    figures.now = now;
    figures.show();
  };
  ws.subscribe("/api/figures/", { onSnapshot: show, onEvent: ({ data }) => show(data) });
}
