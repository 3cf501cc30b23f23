// Exchanges that ended, newest first, by a query.
import { get, Refusal } from "./api.js";
import { h, say } from "./dom.js";
import { count } from "./format.js";
import { failed, listen, report } from "./live.js";
import { empty, pointHere } from "./parts.js";
import { queryBox } from "./query.js";
import { table } from "./table.js";

export const TITLE = "Exchanges";
const FIRST = 200;
const PAGE = 1000;
/** As many as the page holds; the ring holds as many by default. */
const MOST = 10_000;

/** The exchanges of the list that was shown last, for going from one to the next. */
export let listed = [];

export function show(root, { params, signal, keep, go }) {
  let round = new AbortController();
  let next = null;
  let busy = false;
  let fresh = [];
  const many = h("span", { class: "beside", role: "status" });
  const newer = h("button", { type: "button", class: "newer", hidden: true, onclick: () => (grid.toTop(), flush()) });
  const grid = table({ label: "Exchanges", more: () => load(), open: (row) => go(`#/exchange/${row.id}`), signal });
  const box = queryBox(params.get("q") ?? "", (q) => (keep({ q }), begin()));
  const none = h("div", { hidden: true });
  root.append(h("h1", { class: "away" }, "Exchanges"), box.element, h("div", { class: "under" }, many, newer), h("div", { class: "sheet" }, grid.element, none));
  grid.element.addEventListener("scroll", () => grid.isAtTop() && fresh.length && flush(), { passive: true, signal });

  const tally = () => {
    listed = grid.rows;
    say(many, `${count(grid.rows.length)}${next === null ? "" : "+"} ${box.value ? "match" : "exchanges"}${kept ? `, of ${count(kept)} kept` : ""}`);
    newer.hidden = fresh.length === 0;
    say(newer, `${count(fresh.length)} new`);
  };
  let kept = 0;

  const begin = async () => {
    round.abort();
    round = new AbortController();
    const mine = AbortSignal.any([round.signal, signal]);
    const q = box.value;
    fresh = [];
    busy = true;
    try {
      const page = await get("exchanges", { q, limit: FIRST }, mine);
      box.refuse(null);
      next = page.next;
      kept = page.kept;
      grid.put(page.exchanges);
      tally();
      await shown(page, q, mine);
      listen({ q, after: page.exchanges[0]?.id ?? 0 }, (event, value) => {
        if (event === "exchange") arrive(value);
        // More ended while nobody listened than is kept.
        if (event === "missed") begin();
      }, mine);
    } catch (error) {
      if (mine.aborted) return;
      if (error instanceof Refusal && error.status === 400) {
        box.refuse(error);
        if (grid.rows.length) say(many, "These are of the query before.");
        report("live", "live");
      } else {
        failed(error);
        setTimeout(() => !mine.aborted && begin(), 2000);
      }
    } finally {
      if (!mine.aborted) busy = false;
    }
  };

  const shown = async (page, q, mine) => {
    const nothing = page.exchanges.length === 0;
    none.hidden = !nothing;
    grid.element.classList.toggle("bare", nothing);
    if (!nothing) return;
    none.replaceChildren(
      page.kept ? empty("No exchange matches.", "Take a term away, or look at ", h("a", { href: "#/exchanges" }, "all of them"), ".") : pointHere((await get("summary", { since: "5m", step: "15s" }, mine)).base_url),
    );
  };

  const load = async () => {
    if (busy || next === null || grid.rows.length >= MOST) return;
    busy = true;
    const mine = AbortSignal.any([round.signal, signal]);
    try {
      const page = await get("exchanges", { q: box.value, limit: PAGE, before: next }, mine);
      next = page.next;
      kept = page.kept;
      grid.append(page.exchanges);
      tally();
    } catch (error) {
      if (!mine.aborted) failed(error);
    } finally {
      if (!mine.aborted) busy = false;
    }
  };

  let timer = 0;
  const arrive = (row) => {
    // Ids that begin anew are those of a process that began anew.
    if ((fresh[0] ?? grid.rows[0])?.id >= row.id) return begin();
    fresh.unshift(row);
    if (fresh.length > MOST) fresh.length = MOST;
    timer ||= setTimeout(come, 120);
  };
  /** One change of the table for all that come at once; none under a pointer that is pressed, whose click would be lost. */
  const come = () => {
    timer = 0;
    if (signal.aborted) return;
    if (grid.isPressed()) timer = setTimeout(come, 120);
    else if (grid.isAtTop()) flush();
    else tally();
  };
  const flush = () => {
    kept += fresh.length;
    if (grid.rows.length === 0) {
      none.hidden = true;
      grid.element.classList.remove("bare");
    }
    grid.prepend(fresh, MOST);
    fresh = [];
    tally();
  };

  begin();
  return {
    key: (event) => grid.key(event),
    /** Another query in the URL needs no other view. */
    change(to) {
      const q = to.get("q") ?? "";
      if (q !== box.value) {
        box.put(q);
        begin();
      }
      return true;
    },
  };
}
