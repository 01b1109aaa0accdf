// Who is here: one face for each user, and one for each guest.

import { $, h } from "./dom.js";

const SHOWN = 4;
const HUES = 6;

/** The members as people: a user with two windows is one; oneself comes first. */
function people(members, own) {
  const found = new Map();
  for (const { connection, user, info } of members) {
    const key = user ?? `guest ${connection}`;
    const isMe = connection === own || found.get(key)?.isMe;
    found.set(key, { name: info?.name ?? "Guest", guest: user === null, isMe, key });
  }
  return [...found.values()].sort((a, b) => Boolean(b.isMe) - Boolean(a.isMe) || a.name.localeCompare(b.name));
}

/** Fill the row of faces at the top of the page. */
export function showPeople(members, own) {
  const all = people(members, own);
  const label = ({ name, isMe }) => (isMe ? `${name} (you)` : name);
  const faces = all.slice(0, SHOWN).map((person) =>
    h("li", { class: person.guest ? "face guest" : "face", title: label(person), "data-hue": hue(person.key) }, h("span", { "aria-hidden": "true" }, person.guest ? "?" : person.name.slice(0, 1)), h("span", { class: "sr" }, label(person))),
  );
  const rest = all.slice(SHOWN);
  if (rest.length) faces.push(h("li", { class: "face rest", title: rest.map(label).join(", ") }, `+${rest.length}`));
  $("#here").replaceChildren(...faces);
  $("#here-text").textContent = all.length > 1 ? `${all.length} here` : "Only you";
}

/** "ada and a guest are reading this, too", or nothing. */
export function readersSentence(members, own) {
  const others = people(members, own).filter(({ isMe }) => !isMe);
  const users = others.filter(({ guest }) => !guest).map(({ name }) => name);
  const guests = others.length - users.length;
  if (guests) users.push(guests === 1 ? "a guest" : `${guests} guests`);
  if (!users.length) return "";
  return `${new Intl.ListFormat("en").format(users)} ${others.length === 1 ? "is" : "are"} reading this, too`;
}

function hue(key) {
  let sum = 0;
  for (const character of String(key)) sum = (sum * 31 + character.codePointAt(0)) % 997;
  return sum % HUES;
}
