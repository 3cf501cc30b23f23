// The query box: what the API understands, kept in the URL, with its mistakes shown where they are.
import { h, icon, set } from "./dom.js";

const CHIPS = [
  ["errors", "has:error", "those that went wrong"],
  ["slow first token", "ttft>2s", "first token after more than 2 s"],
  ["stalled", "stalls>0", "streams that stood still"],
  ["client left", "end:client_left", "clients that went before the end"],
  ["tools", "tools>0", "answers that call tools"],
  ["cached", "cached>0", "input tokens that a cache served"],
];

const HELP = [
  ["gpt", "a word in the model, path, upstream, error, conversation or trace"],
  ["model:gpt*", "a field and a pattern; case does not matter"],
  ["end:cut|timeout", "one of several"],
  ["ttft>2s", "a number: > >= < <= = with us ms s m h, or k M"],
  ["ended>=1700000000000", "when it ended, in ms since 1970"],
  ["has:cost", "where it is known at all"],
  ["-status:200", "the opposite of a term"],
  ['error:"two words"', "quotes where there are blanks"],
];

const FIELDS =
  "model upstream route provider operation path method status end error finish stream ttft tpot duration ended chunks in out cached cost tools stalls conversation turn trace key";

let made = 0;

/** The box. `changed(q)` is called when the reader is done typing for a moment. */
export function queryBox(value, changed) {
  const id = `query-${++made}`;
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert", hidden: true });
  const clear = h("button", { type: "button", class: "clear", "aria-label": "Clear the query", hidden: !value }, icon("M4 4l8 8M12 4l-8 8"));
  const input = h("input", {
    id, type: "text", inputmode: "search", spellcheck: "false", autocapitalize: "off", autocomplete: "off", enterkeyhint: "search",
    placeholder: "model:gpt* ttft>2s end:client_left", "aria-label": "Query", "aria-describedby": `${id}-wrong`,
  });
  input.value = value;
  const help = helpOf();
  const chips = CHIPS.map(([name, q, title]) => h("button", { type: "button", class: "chip", title: `${q}: ${title}`, "data-q": q, onclick: () => toggle(q) }, name));
  let timer;
  let sent = value;

  const send = () => {
    clearTimeout(timer);
    const q = input.value.trim();
    clear.hidden = !input.value;
    mark();
    if (q === sent) return;
    sent = q;
    changed(q);
  };
  const mark = () => {
    const terms = input.value.split(/\s+/);
    for (const chip of chips) chip.setAttribute("aria-pressed", String(terms.includes(chip.dataset.q)));
  };
  const toggle = (q) => {
    const terms = input.value.split(/\s+/).filter(Boolean);
    input.value = (terms.includes(q) ? terms.filter((term) => term !== q) : [...terms, q]).join(" ");
    send();
  };
  input.addEventListener("input", () => {
    clear.hidden = !input.value;
    clearTimeout(timer);
    timer = setTimeout(send, 450);
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && send());
  clear.addEventListener("click", () => {
    input.value = "";
    send();
    input.focus();
  });
  mark();

  const element = h("search", { class: "query" },
    h("div", { class: "field" }, icon("M2 3.500h12M4.500 8h7M6.700 12.500h2.600"), input, clear, help.button),
    h("div", { class: "chips", role: "group", "aria-label": "Common queries" }, chips),
    wrong, help.panel);

  return {
    element,
    /** The query as it is asked. */
    get value() {
      return sent;
    },
    /** Puts another query in, as the URL has it. */
    put(q) {
      input.value = sent = q;
      clear.hidden = !q;
      mark();
    },
    /** Shows what is wrong with the query, or nothing. */
    refuse: (refusal) => {
      wrong.hidden = !refusal;
      set(input, { "aria-invalid": refusal ? "true" : "false" });
      wrong.replaceChildren(...(refusal ? explained(sent, refusal) : []));
    },
  };
}

/** The query with the place of the mistake marked, and what would be right. */
function explained(q, { message, position }) {
  if (position === undefined || position === null) return [message];
  // The position counts characters, not their halves.
  const before = [...q].slice(0, position).join("");
  const rest = q.slice(before.length);
  const length = Math.max(1, rest.search(/\s|$/));
  const place = h("code", { class: "place", "aria-hidden": "true" }, before, h("mark", {}, rest.slice(0, length) || " "), rest.slice(length));
  return [place, h("span", {}, message)];
}

function helpOf() {
  const id = `query-help-${made}`;
  const panel = h("div", { class: "query-help", id, hidden: true },
    h("dl", {}, HELP.map(([example, what]) => h("div", {}, h("dt", {}, h("code", {}, example)), h("dd", {}, what)))),
    h("p", {}, "All terms must hold. Fields: ", FIELDS.split(" ").flatMap((field, at) => [at ? " " : null, h("code", {}, field)])));
  const button = h("button", {
    type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": id,
    onclick: () => {
      panel.hidden = !panel.hidden;
      button.setAttribute("aria-expanded", String(!panel.hidden));
    },
  }, "Syntax");
  return { button, panel };
}
