// Elements from plain values. Text is only ever set as text; there is no way here to set markup.

/** Makes an element: `h("td", { class: "number", title: "…" }, "text", child)`. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  set(element, props);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets attributes, `on…` listeners, and `style`, an object that goes through the CSSOM. */
export function set(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, to] of Object.entries(value)) element.style.setProperty(key, to);
    else if (name === "href") element.href = safe(value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/** A link's address; one that would run code leads nowhere. */
function safe(href) {
  const { protocol } = new URL(href, location.href);
  return protocol === "http:" || protocol === "https:" ? href : "#";
}

/** Sets the text where it is another, which spares the layout. */
export function say(element, text) {
  const to = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== to) element.textContent = to;
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A line icon of 16 by 16 from the `d` of its paths. */
export function icon(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", class: "icon" })) {
    svg.setAttribute(name, value);
  }
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** A canvas as sharp as the screen; `draw(context, width, height)` in CSS pixels. */
export function paint(canvas, draw) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== t) canvas.height = t;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  draw(context, width, height);
}

/** Hides the texts in bars that are too narrow for them. */
export function fit(root) {
  const texts = [...root.querySelectorAll(".seg > span")];
  const wide = texts.map((text) => text.offsetLeft + text.scrollWidth <= text.parentElement.clientWidth + 1);
  texts.forEach((text, at) => text.classList.toggle("cut", !wide[at]));
}

let colours = null;
document.addEventListener("theme", () => (colours = null));

/** The value of a custom property of the theme. */
export function colour(name) {
  colours ??= getComputedStyle(document.documentElement);
  return colours.getPropertyValue(`--${name}`).trim();
}

/** Copies a text, and says so. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    told(`Copied ${what}.`);
  } catch {
    const area = h("textarea", { class: "away", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    told(done ? `Copied ${what}.` : "The browser does not allow copying here.");
  }
}

let silence;

/** Says something for a moment, to the eye and to a screen reader. */
export function told(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.add("shown");
  clearTimeout(silence);
  silence = setTimeout(() => said.classList.remove("shown"), 2500);
}
