// Sets the theme before anything is drawn: as chosen, else as the system has it.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("streamgauge.theme") ?? "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const choice = chosen();
    document.documentElement.dataset.theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.choice = choice;
    document.dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", apply);
  document.addEventListener("choose-theme", (event) => {
    try {
      localStorage.setItem("streamgauge.theme", event.detail);
    } catch {
      // Without storage the choice cannot be kept; the system's theme stays.
    }
    apply();
  });
  apply();
})();
