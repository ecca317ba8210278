// Light or dark: as the system says, until someone chooses.
const KEY = "ringside.theme";

/** @returns {"light" | "dark" | ""} the choice; "" follows the system */
export const theme = () => /** @type {any} */ (document.documentElement.dataset.theme || "");

/** @param {"light" | "dark" | ""} choice */
export function setTheme(choice) {
  document.documentElement.dataset.theme = choice;
  try {
    if (choice) localStorage.setItem(KEY, choice);
    else localStorage.removeItem(KEY);
  } catch {
    // Kept for this page only.
  }
}

addEventListener("storage", (event) => event.key === KEY && setTheme(/** @type {any} */ (event.newValue || "")));
