// On every page: "Back" shows what is true now, and a button copies a text.
"use strict";

function wasRestored(event) {
  const [navigation] = performance.getEntriesByType("navigation");
  return event.persisted || (navigation && navigation.type === "back_forward");
}

window.addEventListener("pageshow", (event) => {
  if (wasRestored(event)) {
    location.reload();
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    const source = document.querySelector(button.dataset.copy);
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  }
});
