// What is marked "live" is fetched anew every ten seconds while somebody looks, unless the focus is inside of it.
"use strict";
const live = document.querySelector("[data-live]");
async function refresh() {
  if (document.hidden || live.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    if (fresh && fresh.innerHTML !== live.innerHTML) live.innerHTML = fresh.innerHTML;
  } catch {
    // The server is away for a moment, or the session has ended: what is shown stays.
  }
}
if (live) setInterval(refresh, 10000);
