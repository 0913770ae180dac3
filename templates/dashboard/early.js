// Before anything is painted: the theme that was chosen last.
try {
  const theme = localStorage.getItem("scistream-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // The system's, then.
}
