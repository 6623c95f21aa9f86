// Records the view once the page was visible for two seconds without a break, and keeps this visit's summary on reload.
"use strict";

const form = document.querySelector("form.seen");
const VISIBLE_MILLISECONDS = 2000;
let timer = 0;

function watch() {
  clearTimeout(timer);
  if (document.visibilityState === "visible") {
    timer = setTimeout(record, VISIBLE_MILLISECONDS);
  }
}

async function record() {
  document.removeEventListener("visibilitychange", watch);
  const { csrf_token: token, version, viewed_at: viewedAt } = Object.fromEntries(new FormData(form));
  const body = { viewed_at: viewedAt, ...(version && { version: Number(version) }) };
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": token };
  const answer = await fetch(form.dataset.url, { method: "POST", headers, body: JSON.stringify(body), keepalive: true });
  if (answer.ok) {
    history.replaceState(null, "", form.dataset.reload);
    form.querySelector("button").hidden = true;
    form.querySelector("[role=status]").textContent = "Seen";
    await showCount();
  }
}

async function showCount() {
  const label = document.querySelector("[data-max-count]");
  const maxCount = label && Number(label.dataset.maxCount);
  const answer = label && (await fetch(`/v1/whats-new/count?at_most=${maxCount + 1}`));
  if (answer && answer.ok) {
    const { count } = await answer.json();
    label.firstChild.data = count > maxCount ? `${maxCount}+` : count;
    label.hidden = count === 0;
  }
}

document.addEventListener("visibilitychange", watch);
watch();
