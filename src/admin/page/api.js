// Asks the admin API. The token, where one is needed, is asked for once and kept for this tab.
import { h } from "./dom.js";

const KEY = "streamgauge.token";
let token = stored();

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** What the API says is wrong. `position` is where in the query. */
export class Refusal extends Error {
  constructor(status, error) {
    super(error.message ?? `the answer was ${status}`);
    this.status = status;
    this.parameter = error.parameter;
    this.position = error.position;
  }
}

/** An address of the API with those parameters that have a value. */
export function address(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given).toString();
  return `api/${path}${query ? `?${query}` : ""}`;
}

/** Whether a link, which cannot bring a token, gets an answer. */
export const isOpen = () => !token;

/** The JSON of an answer. */
export async function get(path, params, signal) {
  const response = await ask(address(path, params), {}, signal);
  return response.json();
}

/** An answer that is one, or a `Refusal`; asks for the token where that is missing. */
export async function ask(url, headers, signal) {
  for (;;) {
    const bearer = token ? { authorization: `Bearer ${token}` } : {};
    const used = token;
    const response = await fetch(url, { headers: { ...bearer, ...headers }, signal, cache: "no-store" });
    if (response.status === 401) {
      // Several views may have asked with the old one.
      if (used === token) await prompt(used !== null);
      continue;
    }
    if (!response.ok) throw new Refusal(response.status, await reason(response));
    return response;
  }
}

async function reason(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error ?? {};
  } catch {
    return { message: text.trim() || undefined };
  }
}

let asked = null;

function prompt(wasWrong) {
  asked ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    const input = h("input", { id: "token-value", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
    const enter = (event) => {
      event.preventDefault();
      token = input.value.trim();
      try {
        sessionStorage.setItem(KEY, token);
      } catch {
        // Then it is asked for again when the page is loaded again.
      }
      asked = null;
      dialog.close();
      resolve();
    };
    dialog.replaceChildren(
      h("form", { class: "ask", onsubmit: enter },
        h("h2", { id: "token-title" }, "This gauge wants a token"),
        h("p", {}, "It is what ", h("code", {}, "admin.token"), " or ", h("code", {}, "STREAMGAUGE_ADMIN_TOKEN"), " says. This tab keeps it until it is closed."),
        wasWrong ? h("p", { class: "bad", role: "alert" }, "That token was not accepted.") : null,
        h("label", { for: "token-value" }, "Token"),
        input,
        h("button", { type: "submit", class: "solid" }, "Continue")),
    );
    dialog.oncancel = (event) => event.preventDefault();
    if (!dialog.open) dialog.showModal();
    input.focus();
  });
  return asked;
}
