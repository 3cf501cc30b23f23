// What goes on: the stream of events, polls, and when to rest. Nothing is asked for while the page is hidden or paused.
import { address, ask, Refusal } from "./api.js";

const watchers = new Set();
let paused = false;
let state = { kind: "wait", text: "connecting" };
/** What it was before the pause. */
let before = null;

/** Whether anything is to be asked for and drawn. */
export const awake = () => !paused && !document.hidden;

/** Whether the reader has paused the page. */
export const isPaused = () => paused;

/** Pauses, or goes on. */
export function pause(wanted) {
  paused = wanted;
  wake();
}

document.addEventListener("visibilitychange", wake);

function wake() {
  if (!awake() && state.kind !== "paused") {
    before = state;
    report("paused", "paused");
  } else if (awake() && before) {
    // Views that ask no more are as they were.
    report(before.kind, before.text);
    before = null;
  }
  for (const watcher of [...watchers]) watcher(awake());
}

/** Calls `told` with `{kind, text}` of the connection, now and whenever it is another. */
export function onState(told) {
  stateTold = told;
  told(state);
}
let stateTold = () => {};

/** Says how the connection is. */
export function report(kind, text) {
  if (!awake() && kind !== "paused") return;
  if (state.kind === kind && state.text === text) return;
  state = { kind, text };
  stateTold(state);
}

const CLOSED = "This page is closed: other machines can reach its port, and no token is set. Whoever runs streamgauge sets admin.token (or \
STREAMGAUGE_ADMIN_TOKEN); the page then asks for that token. With admin.open = true everybody who reaches this address sees what \
it shows.";

/** Says what an error means for the connection. */
export function failed(error) {
  if (error.name === "AbortError") return;
  if (error instanceof Refusal && error.status === 403) report("closed", CLOSED);
  else if (error instanceof Refusal) report("refused", error.message);
  else report("lost", "no connection; trying again");
}

/** Calls `work(signal)` at once and again every `ms` while awake; ends with `signal`. */
export function every(ms, work, signal) {
  let timer;
  let current;
  const turn = async () => {
    current = new AbortController();
    const mine = current;
    try {
      await work(mine.signal);
    } catch (error) {
      if (!mine.signal.aborted) failed(error);
    }
    if (!mine.signal.aborted && !signal.aborted) timer = setTimeout(turn, ms);
  };
  const watcher = (isAwake) => {
    clearTimeout(timer);
    current?.abort();
    if (isAwake) turn();
  };
  const again = () => awake() && watcher(true);
  watchers.add(watcher);
  signal.addEventListener("abort", () => {
    watchers.delete(watcher);
    clearTimeout(timer);
    current?.abort();
  });
  if (awake()) turn();
  return again;
}

/** Calls `draw(now)` for each frame while awake; ends with `signal`. */
export function frames(draw, signal) {
  let request = 0;
  const step = (now) => {
    request = requestAnimationFrame(step);
    draw(now);
  };
  const watcher = (isAwake) => {
    cancelAnimationFrame(request);
    if (isAwake) request = requestAnimationFrame(step);
  };
  watchers.add(watcher);
  signal.addEventListener("abort", () => {
    watchers.delete(watcher);
    cancelAnimationFrame(request);
  });
  watcher(awake());
}

const PATIENCE = [500, 1000, 2000, 5000];

/**
 * Listens to the stream: `told(event, value)` for each. `after` is the id of the last exchange that is known, from which
 * it goes on after a break.
 */
export function listen({ q, after }, told, signal) {
  let current = null;
  let last = after;
  let tries = 0;
  const run = async () => {
    current?.abort();
    current = new AbortController();
    const mine = current.signal;
    while (!mine.aborted) {
      try {
        const known = last === undefined ? {} : { "last-event-id": String(last) };
        const response = await ask(address("stream", { q }), { accept: "text/event-stream", ...known }, mine);
        report("live", "live");
        tries = 0;
        await read(response.body, (event, id, value) => {
          if (id) last = id;
          told(event, value);
        });
      } catch (error) {
        if (mine.aborted) return;
        failed(error);
        if (error instanceof Refusal && error.status === 400) return;
      }
      await wait(PATIENCE[Math.min(tries++, PATIENCE.length - 1)], mine);
    }
  };
  const watcher = (isAwake) => (isAwake ? run() : current?.abort());
  watchers.add(watcher);
  signal.addEventListener("abort", () => {
    watchers.delete(watcher);
    current?.abort();
  });
  watcher(awake());
}

const wait = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()));
  });

/** Server-sent events from a body: by their own rules, less `retry`, which the server does not send. */
async function read(body, told) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { name: "message", id: null, data: [] };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (event.data.length) told(event.name, event.id, JSON.parse(event.data.join("\n")));
        event = { name: "message", id: null, data: [] };
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event.name = text;
      else if (field === "id") event.id = text;
      else if (field === "data") event.data.push(text);
    }
  }
}
