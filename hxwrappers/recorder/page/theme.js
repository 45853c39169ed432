// Light, dark, or as the system has it; remembered on this machine.

const KEY = "hxw-studio-theme";
const THEMES = { system: "◐", light: "☀", dark: "☾" };

export function bindTheme(button, changed) {
  const names = Object.keys(THEMES);
  let name = localStorage.getItem(KEY);
  const show = () => {
    if (!(name in THEMES)) name = "system";
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = THEMES[name];
    button.setAttribute("aria-label", `Colours: ${name === "system" ? "as the system" : name}`);
    button.title = button.getAttribute("aria-label");
    changed();
  };
  button.addEventListener("click", () => {
    name = names[(names.indexOf(name) + 1) % names.length];
    localStorage.setItem(KEY, name);
    show();
  });
  show();
}
