// Light, dark, or as the system is; remembered in this browser.
const KEY = "scistream-theme";
const button = document.getElementById("theme");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function tell() {
  button?.setAttribute("aria-pressed", String(isDark()));
}

button?.addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then it is for this page alone.
  }
  tell();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
tell();
