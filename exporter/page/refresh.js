// Takes a fresh copy of the page every 15 s, without losing the place, what is open, or what is selected.
// Without JavaScript the <noscript> meta refresh does the same less gently.
"use strict";
const PERIOD = 15000;
async function refresh() {
  if (!document.hidden && String(getSelection()) === "") {
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set([...document.querySelectorAll("details[open]")].map((part) => part.id));
      for (const part of fresh.querySelectorAll("details")) part.open = open.has(part.id);
      document.getElementById("page").replaceWith(fresh.getElementById("page"));
      document.title = fresh.title;
      document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
      stale.hidden = true;
    } catch {
      stale.hidden = false;
    }
  }
  setTimeout(refresh, PERIOD);
}
setTimeout(refresh, PERIOD);
