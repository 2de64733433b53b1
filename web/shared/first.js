// Before anything is drawn: the colours that were chosen last time.
try {
  const theme = JSON.parse(localStorage.getItem('fathom.theme'));
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing shows what its system prefers.
}
