// The page: one connection, one live list. No framework, no build step.
import { WSRequest } from "./wsrequest/wsrequest.js";

const FRAMES = 14; // that are shown
const LONGEST = 240; // characters of one

const find = (id) => document.getElementById(id);

/** A WebSocket whose frames are shown. */
function overheard(url, protocols) {
  const socket = new WebSocket(url, protocols);
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    show(text, "out");
    send(text);
  };
  socket.addEventListener("message", ({ data }) => show(data, "in"));
  return socket;
}

function show(text, way) {
  const line = document.createElement("li");
  line.className = way;
  line.textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  find("wire").prepend(line);
  while (find("wire").children.length > FRAMES) find("wire").lastChild.remove();
}

const ws = new WSRequest("/ws/", { socket: overheard });
ws.on("state", ({ state }) => {
  find("state").textContent = state;
  find("state").dataset.state = state;
});

/** Do it, and say what went wrong, by the view's own words where it has some. */
async function attempt(work) {
  find("error").textContent = "";
  try {
    await work();
  } catch (error) {
    find("error").textContent = error.data?.text ?? error.message;
  }
}

const rows = new Map();

function rowOf({ id, text }) {
  const row = find("idea").content.firstElementChild.cloneNode(true);
  row.querySelector(".text").textContent = text;
  const star = row.querySelector(".star");
  star.addEventListener("click", () => attempt(() => ws.post(`/api/ideas/${id}/star/`)));
  const remove = row.querySelector(".remove");
  remove.setAttribute("aria-label", `Remove: ${text}`);
  remove.addEventListener("click", () => attempt(() => ws.delete(`/api/ideas/${id}/`)));
  return row;
}

function draw(ideas) {
  const present = new Set(ideas.map(({ id }) => id));
  for (const id of [...rows.keys()].filter((id) => !present.has(id))) {
    rows.get(id).remove();
    rows.delete(id);
  }
  ideas.forEach((idea, place) => {
    if (!rows.has(idea.id)) rows.set(idea.id, rowOf(idea));
    const row = rows.get(idea.id);
    row.querySelector(".stars").textContent = idea.stars;
    row.querySelector(".star").setAttribute("aria-label", `Star: ${idea.text}, ${idea.stars} so far`);
    // Only what has moved: a button that is moved loses its focus.
    if (find("ideas").children[place] !== row) find("ideas").insertBefore(row, find("ideas").children[place] ?? null);
  });
  find("empty").hidden = ideas.length > 0;
}

const form = find("add");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = form.elements.text.value;
  form.reset();
  attempt(() => ws.post("/api/ideas/", { text }));
});

for await (const ideas of ws.live("/api/ideas/")) draw(ideas);
