// Light, dark, or as the system has it. Calls back when the colours have changed.

const NAMES = { system: "as the system", light: "light", dark: "dark" };
const SIGNS = { system: "◐", light: "○", dark: "●" };

export function theme(changed) {
  const button = document.getElementById("theme");
  let chosen = kept();

  function apply() {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-label", `Colours: ${NAMES[chosen]}`);
    button.title = `Colours: ${NAMES[chosen]}`;
    document.getElementById("theme-sign").textContent = SIGNS[chosen];
    changed();
  }

  button.addEventListener("click", () => {
    const names = Object.keys(NAMES);
    chosen = names[(names.indexOf(chosen) + 1) % names.length];
    try {
      localStorage.setItem("theme", chosen);
    } catch {
      // Without storage it lasts as long as the page.
    }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

function kept() {
  try {
    const name = localStorage.getItem("theme");
    return name in NAMES ? name : "system";
  } catch {
    return "system";
  }
}
