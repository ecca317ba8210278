// Before the first paint, so that a chosen theme never flashes. The rest of it is in look.js.
try {
  document.documentElement.dataset.theme = localStorage.getItem("ringside.theme") || "";
} catch {
  // Without storage the system's theme it is.
}
