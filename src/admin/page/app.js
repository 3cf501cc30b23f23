// The frame of the page: which view is shown, the keys, the theme, and how the connection is.
import { copy, h, icon, say, told } from "./dom.js";
import { isPaused, onState, pause } from "./live.js";
import * as conversation from "./conversation.js";
import * as conversations from "./conversations.js";
import * as exchange from "./exchange.js";
import * as exchanges from "./exchanges.js";
import * as gauge from "./gauge.js";
import * as latency from "./latency.js";
import * as now from "./now.js";

const VIEWS = { now, latency, exchanges, exchange, conversations, conversation, gauge };
const TABS = ["now", "latency", "exchanges", "conversations", "gauge"];
/** Which tab a view without one of its own belongs to. */
const UNDER = { exchange: "exchanges", conversation: "conversations" };

const main = document.getElementById("main");
let shown = null;

/** `#/exchange/12?q=…` as a view, an id and parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  return { view: Object.hasOwn(VIEWS, view) ? view : "now", id: decode(rest.join("/")), params: new URLSearchParams(query) };
}

/** Goes to another place that takes this one's entry in the history. */
function swap(hash) {
  history.replaceState(null, "", hash);
  route();
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Writes parameters into the URL, without an entry in the history. */
function keep(changes) {
  const { view, id, params } = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  history.replaceState(null, "", `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${query ? `?${query}` : ""}`);
  marked();
}

function route() {
  const { view, id, params } = place();
  if (shown?.view === view && shown.id === id && shown.change?.(params)) return marked();
  shown?.stop.abort();
  const stop = new AbortController();
  const root = h("div", { class: `view ${view}` });
  main.replaceChildren(root);
  main.className = view;
  document.title = `${VIEWS[view].TITLE} · streamgauge`;
  shown = { view, id, stop };
  const context = { id, params, signal: stop.signal, keep, go: (hash) => (location.hash = hash), swap };
  Object.assign(shown, VIEWS[view].show(root, context));
  marked();
  // So that a screen reader and the keys begin in the view; not when the page is just loaded.
  if (visited) main.focus({ preventScroll: true });
  visited = true;
  window.scrollTo(0, 0);
}
let visited = false;

/** Marks the tab, and has tabs keep the query and the range of time that other views share. */
function marked() {
  const { view, params } = place();
  const tab = UNDER[view] ?? view;
  document.querySelectorAll(".tabs a").forEach((link, at) => {
    const own = new URLSearchParams();
    for (const name of SHARED[TABS[at]] ?? []) if (params.get(name)) own.set(name, params.get(name));
    link.href = `#/${TABS[at]}${own.size ? `?${own}` : ""}`;
    if (TABS[at] === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
}
const SHARED = { now: ["since"], latency: ["q", "since"], exchanges: ["q"] };

const THEMES = ["auto", "light", "dark"];
const ICONS = {
  auto: ["M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z", "M8 2v12M8 5h4.5M8 8h5.8M8 11h4.5"],
  light: ["M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z", "M8 1v1.8M8 13.2V15M1 8h1.8M13.2 8H15M3.05 3.05l1.27 1.27M11.68 11.68l1.27 1.27M3.05 12.95l1.27-1.27M11.68 4.32l1.27-1.27"],
  dark: ["M13.5 9.7A6 6 0 0 1 6.3 2.5a6 6 0 1 0 7.2 7.2z"],
};
const themeButton = document.getElementById("theme");

function drawTheme() {
  const choice = document.documentElement.dataset.choice;
  themeButton.replaceChildren(icon(...ICONS[choice]));
  themeButton.setAttribute("aria-label", `Theme: ${choice === "auto" ? "as the system" : choice}`);
}

function nextTheme() {
  const choice = document.documentElement.dataset.choice;
  const next = THEMES[(THEMES.indexOf(choice) + 1) % THEMES.length];
  document.dispatchEvent(new CustomEvent("choose-theme", { detail: next }));
  told(`Theme: ${next === "auto" ? "as the system" : next}`);
}

const pauseButton = document.getElementById("pause");

function drawPause() {
  const paused = isPaused();
  pauseButton.replaceChildren(paused ? icon("M5 3l8 5-8 5z") : icon("M5.5 3v10M10.5 3v10"));
  pauseButton.setAttribute("aria-pressed", String(paused));
}

function togglePause() {
  pause(!isPaused());
  drawPause();
}

const KEYS = [
  ["1 – 5", "Now, Latency, Exchanges, Conversations, Gauge"],
  ["/", "Go to the query"],
  ["j  k", "Next and previous row of a table on Now, Exchanges and Conversations; next and previous exchange"],
  ["↓  ↑", "The same, in the table"],
  ["Enter", "Open the row"],
  ["Esc", "Leave the query; back to the list"],
  ["y", "Copy the exchange as a curl command"],
  ["c", "From an exchange to its conversation"],
  ["← →", "In a heat map: earlier and later"],
  ["p", "Pause, go on"],
  ["t", "Theme: as the system, light, dark"],
  ["?", "These keys"],
];

function showKeys() {
  const dialog = document.getElementById("keys");
  if (dialog.open) return dialog.close();
  const rows = KEYS.map(([keys, what]) => [
    h("dt", {}, keys.split("  ").flatMap((key, at) => [at ? " " : null, h("kbd", {}, key)])),
    h("dd", {}, what),
  ]);
  dialog.replaceChildren(
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", { class: "keys" }, rows.flat()),
    h("form", { method: "dialog" }, h("button", { type: "submit" }, "Close")),
  );
  dialog.showModal();
}

/** Keys of every view; a view's own come first. */
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (document.querySelector("dialog[open]")) {
    if (event.key === "?" && !typing) showKeys();
    return;
  }
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (shown?.key?.(event)) return event.preventDefault();
  const act = ACTS[event.key] ?? (/^[1-5]$/.test(event.key) ? () => (location.hash = tabHash(Number(event.key) - 1)) : null);
  if (!act) return;
  event.preventDefault();
  act();
}
const tabHash = (at) => document.querySelectorAll(".tabs a")[at].getAttribute("href");
const ACTS = {
  "?": showKeys,
  t: nextTheme,
  p: togglePause,
  "/": () => document.querySelector(".query input")?.focus(),
  y: () => shown?.curl && copy(shown.curl(), "the curl command"),
};

const stateElement = document.getElementById("state");
onState(({ kind, text }) => {
  const isRefusal = kind === "refused" || kind === "closed";
  say(stateElement, isRefusal ? kind : text);
  const notice = document.getElementById("notice");
  notice.hidden = !isRefusal;
  say(notice, isRefusal ? text : "");
  // Empty views would look as if there was nothing to see.
  if (kind !== "paused") main.hidden = kind === "closed";
  stateElement.className = `state ${kind}`;
});

const helpButton = document.getElementById("help");
helpButton.append(icon("M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.8.45-1.1.9-1.1 1.7", "M8 12.2v.1"));
helpButton.addEventListener("click", showKeys);
pauseButton.addEventListener("click", togglePause);
themeButton.addEventListener("click", nextTheme);
document.addEventListener("theme", drawTheme);
document.addEventListener("keydown", pressed);
window.addEventListener("hashchange", route);
drawTheme();
drawPause();
route();
