// Conversations that are kept, newest first.
import { get } from "./api.js";
import { h, say } from "./dom.js";
import { ago, brief, clock, count, dated, duration, usd } from "./format.js";
import { every, report } from "./live.js";
import { empty } from "./parts.js";
import { leading } from "./rows.js";

export const TITLE = "Conversations";
const LIMIT = 100;

export function show(root, { params, signal, keep }) {
  const body = h("tbody");
  const lead = leading(body);
  const many = h("span", { class: "beside" });
  const more = h("button", { type: "button", hidden: true, onclick: () => older() }, "Older");
  const table = h("table", { class: "plain roomy" },
    h("thead", {}, h("tr", {}, [["Last"], ["Conversation"], ["Models"], ["Turns", "n"], ["Lasted", "n"], ["In", "n"], ["Out", "n"], ["Tool calls", "n"], ["Repeated", "n", "Calls of a tool that were made before in the conversation"], ["Errors", "n"], ["Cost", "n"]].map(([name, kind, title]) => h("th", { scope: "col", class: kind, title }, name)))),
    body);
  const sheet = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Conversations" }, table);
  const none = h("div", { hidden: true });
  const several = h("input", { type: "checkbox", id: "several", onchange: () => (keep({ several: several.checked ? "1" : null }), draw()) });
  several.checked = params.get("several") === "1";
  root.append(h("div", { class: "heading" }, h("h1", {}, "Conversations", many), h("label", { class: "check", for: "several" }, several, " of more than one turn")), sheet, none, more);
  let newest = [];
  let rest = [];
  let next = null;

  const draw = () => {
    const known = new Set(newest.map(({ id }) => id));
    const all = [...newest, ...rest.filter(({ id }) => !known.has(id))];
    const shown = several.checked ? all.filter(({ turns }) => turns > 1) : all;
    lead.keep(() => body.replaceChildren(...shown.map(row)));
    say(many, all.length ? `${count(shown.length)}${next === null ? "" : "+"}` : "");
    sheet.hidden = all.length === 0;
    none.hidden = all.length > 0;
    more.hidden = next === null;
  };
  const older = async () => {
    const page = await get("conversations", { limit: LIMIT, before: next }, signal);
    rest = rest.concat(page.conversations);
    next = page.next;
    draw();
  };
  every(3000, async (stop) => {
    const page = await get("conversations", { limit: LIMIT }, stop);
    report("live", "live");
    newest = page.conversations;
    if (rest.length === 0) next = page.next;
    none.replaceChildren(empty("No conversation yet.", "Exchanges that repeat what was said before appear here as one conversation, with their tool calls and what the prompt cache served."));
    draw();
  }, signal);
  return { key: lead.key };
}

function row(one) {
  const number = (value, kind = "") => h("td", { class: `n ${kind}` }, value);
  return h("tr", {},
    h("td", { title: dated(one.last_at_ms) }, clock(one.last_at_ms), h("span", { class: "quiet wide-only" }, `  ${ago(Date.now() - one.last_at_ms)}`)),
    h("td", {}, h("a", { href: `#/conversation/${encodeURIComponent(one.id)}` }, h("code", {}, one.id.slice(0, 12))), one.parent ? h("span", { class: "tag", title: `begun by a tool call of ${one.parent}` }, "agent") : null),
    h("td", { class: "text" }, one.models.join(", ")),
    number(count(one.turns)), number(duration(one.lasted_ms)), number(brief(one.input_tokens)), number(brief(one.output_tokens)),
    number(one.tool_calls || ""), number(one.repeated_calls || "", "odd"), number(one.errors || "", "bad"), number(`${one.cost_estimated ? "~" : ""}${usd(one.cost_usd)}`));
}
