// The gauge itself: what it costs, what waits and is lost, who is behind it, and the configuration in force.
import { get } from "./api.js";
import { h, say } from "./dom.js";
import { bytes, count, dated, DASH, duration, percent } from "./format.js";
import { every, report } from "./live.js";
import { empty, facts, heading, meter, RESULTS } from "./parts.js";

export const TITLE = "Gauge";

export function show(root, { signal }) {
  const top = h("div", { class: "totals" });
  // What can be scrolled and have the focus stays, and its table is another at each look.
  const parts = { upstreams: scroll("Upstreams"), exporters: scroll("Exporters"), queues: h("div"), integrity: h("div") };
  const hint = h("p", { class: "hint", hidden: true }, "Nothing is pushed. ", h("code", {}, "OTEL_EXPORTER_OTLP_ENDPOINT"), " says where to; ", h("a", { href: "metrics" }, "metrics"), " has the metrics for a scraper.");
  const config = configuration();
  root.append(h("h1", {}, "The gauge itself"), top,
    h("div", { class: "sheets" },
      h("section", { class: "wide" }, heading("Upstreams"), parts.upstreams),
      h("section", { class: "wide" }, heading("Exporters"), parts.exporters, hint),
      h("section", {}, heading("Queues"), parts.queues),
      h("section", {}, heading("Bytes passed on, against bytes received"), parts.integrity)),
    h("section", {}, config.head, config.element));
  every(2000, async (stop) => {
    const found = await get("gauge", {}, stop);
    report(found.ready ? "live" : "odd", found.ready ? "live" : "draining");
    top.replaceChildren(facts([
      ["Version", [found.version, found.commit ? ` (${found.commit.slice(0, 9)})` : ""].join("")],
      ["Up for", duration(Date.now() - found.started_at_ms), `since ${dated(found.started_at_ms)}`],
      ["Its own share, median", duration(found.overhead_ms?.p50) || DASH, "What streamgauge adds to an exchange"],
      ["99th percentile", duration(found.overhead_ms?.p99) || DASH],
      ["Memory", bytes(found.memory_bytes)],
      ["Threads", count(found.threads)],
      ["History", found.history ? `${count(found.history.exchanges)}, ${bytes(found.history.bytes)}` : null, "Exchanges that are kept in memory, and what they take"],
    ]));
    parts.upstreams.replaceChildren(upstreams(found.upstreams));
    parts.exporters.replaceChildren(exporters(found.exporters));
    hint.hidden = found.exporters.some(({ state }) => state !== "off");
    parts.queues.replaceChildren(queues(found.queues));
    parts.integrity.replaceChildren(integrity(found.integrity));
    config.put(found.config);
  }, signal);
  return {};
}

const scroll = (label, ...content) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
const heads = (names) => h("thead", {}, h("tr", {}, names.map(([name, kind]) => h("th", { scope: "col", class: kind }, name))));

function upstreams(all) {
  if (!all.length) return empty("No upstream is configured.");
  return h("table", { class: "plain" },
    heads([["Name"], ["URL"], ["Provider"], ["In flight", "n"], ["Requests", "n"], ["Errors", "n"], ["Share", "n"], ["Last error"]]),
    h("tbody", {}, all.map((one) => h("tr", {},
      h("td", {}, light(share(one) > 0.5 ? "bad" : share(one) > 0.05 ? "odd" : "good"), one.name), h("td", {}, h("code", {}, one.url)), h("td", { class: "quiet" }, one.provider ?? ""),
      h("td", { class: "n" }, count(one.in_flight)), h("td", { class: "n" }, count(one.requests)), h("td", { class: `n ${share(one) > 0.05 ? "bad" : ""}` }, count(one.errors)),
      h("td", { class: "n quiet" }, one.requests ? percent(share(one)) : ""), h("td", { class: "quiet" }, one.last_error ?? "")))));
}

/** Which share of its calls failed. */
const share = ({ requests, errors }) => (requests ? errors / requests : 0);
const light = (kind) => h("span", { class: `light ${kind}`, "aria-hidden": "true" });

function exporters(all) {
  return h("table", { class: "plain" },
    heads([["Signal"], ["State"], ["URL"], ["Exported", "n"], ["Failed", "n"], ["Dropped", "n"], ["Last error"]]),
    h("tbody", {}, all.map((one) => h("tr", { class: one.state === "off" ? "off" : "" },
      h("td", {}, one.signal), h("td", {}, light({ ok: "good", failing: "bad" }[one.state] ?? "none"), one.state), h("td", {}, one.url ? h("code", {}, one.url) : DASH),
      h("td", { class: "n" }, count(one.exported)), h("td", { class: `n ${one.failed ? "bad" : ""}` }, count(one.failed)), h("td", { class: `n ${one.dropped ? "bad" : ""}` }, count(one.dropped)), h("td", { class: "bad" }, one.last_error ?? "")))));
}

function queues(all) {
  return h("table", { class: "plain" },
    heads([["Queue"], ["Filled"], ["Waiting", "n"], ["Bound", "n"], ["Dropped", "n"]]),
    h("tbody", {}, all.map((one) => {
      const share = one.bound ? one.waiting / one.bound : 0;
      return h("tr", {}, h("td", {}, one.name), h("td", { class: "filled" }, meter(share, share > 0.8 ? "bad" : share > 0.5 ? "odd" : "", `${percent(share)} filled`)), h("td", { class: "n" }, count(one.waiting)), h("td", { class: "n quiet" }, one.bound === null ? "by bytes" : count(one.bound)), h("td", { class: `n ${one.dropped ? "bad" : ""}` }, count(one.dropped)));
    })));
}

function integrity(all) {
  const entries = Object.entries(all);
  const total = Math.max(1, entries.reduce((sum, [, n]) => sum + n, 0));
  return h("table", { class: "plain" }, h("tbody", {}, entries.map(([name, n]) =>
    h("tr", {}, h("td", {}, light(name === "different" ? (n ? "bad" : "good") : "none"), RESULTS[name] ?? name), h("td", { class: "filled" }, meter(n / total, name === "different" && n ? "bad" : "", percent(n / total))), h("td", { class: `n ${name === "different" && n ? "bad" : ""}` }, count(n))))));
}

/** The settings, filtered as one types. */
function configuration() {
  const body = h("tbody");
  const many = h("span", { class: "beside" });
  const input = h("input", { type: "search", placeholder: "filter", "aria-label": "Filter the configuration", spellcheck: "false", oninput: () => draw() });
  const changed = h("input", { type: "checkbox", id: "changed", onchange: () => draw() });
  let all = [];
  const draw = () => {
    const wanted = input.value.trim().toLowerCase();
    const shown = all.filter(({ key, value, source }) => (!changed.checked || source !== "default") && (!wanted || `${key} ${value} ${source}`.toLowerCase().includes(wanted)));
    body.replaceChildren(...shown.map(({ key, value, source }) => h("tr", { class: source === "default" ? "usual" : "" }, h("th", { scope: "row" }, h("code", {}, key)), h("td", {}, h("code", {}, String(value))), h("td", { class: "quiet" }, source))));
    say(many, `${count(shown.length)} of ${count(all.length)}`);
  };
  let before = "";
  return {
    head: h("div", { class: "heading" }, h("h2", {}, "Configuration in force"), many, h("label", { class: "check", for: "changed" }, changed, " not the default"), input),
    element: scroll("Configuration", h("table", { class: "plain config" }, heads([["Key"], ["Value"], ["Source"]]), body)),
    put(next) {
      const text = JSON.stringify(next);
      if (text === before) return;
      before = text;
      all = next;
      draw();
    },
  };
}
