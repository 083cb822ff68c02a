// Keeps the page live: fetches it again and takes over what changed.
//
// What is drawn is drawn by the server alone. An element that stays keeps its
// state: what is unfolded, selected or focused stays so.
"use strict";

(() => {
  const EVERY_MS = 2000;
  let paused = false;
  let failures = 0;

  /** Whether two nodes show the same thing at different times. */
  const alike = (a, b) =>
    a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");

  /** Makes `old` the same as `fresh`, in place as far as that goes. */
  const renew = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    // Who looks has a button there.
    if (old.id === "live" || old.isEqualNode(fresh)) return;
    // What is unfolded is the reader's own affair.
    const own = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name } of [...old.attributes]) {
      if (!own(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (!own(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    renewChildren(old, fresh);
  };

  const renewChildren = (old, fresh) => {
    const named = new Map();
    for (const child of old.children) if (child.id) named.set(child.id, child);
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const known = wanted.id ? named.get(wanted.id) : undefined;
      if (known && alike(known, wanted)) {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        renew(known, wanted);
      } else if (at && !wanted.id && !at.id && alike(at, wanted)) {
        const next = at.nextSibling;
        renew(at, wanted);
        at = next;
      } else {
        const added = document.importNode(wanted, true);
        // What comes unasked comes folded.
        for (const details of added.querySelectorAll?.("details") ?? []) details.open = false;
        old.insertBefore(added, at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  const live = document.getElementById("live");
  const state = document.createElement("span");
  state.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  live.append(state, " ", button);

  const tell = () => {
    const lost = failures > 1;
    live.className = lost ? "live lost" : paused ? "live paused" : "live on";
    const text = lost ? "no answer from unjack: what is shown is old" : paused ? "paused" : "live";
    if (state.textContent !== text) state.textContent = text;
    button.textContent = paused ? "Go on" : "Pause";
  };

  const refresh = async () => {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(new URL("/", location.origin), { cache: "no-store", credentials: "same-origin" });
      const text = await answer.text();
      const fresh = new DOMParser().parseFromString(text, "text/html");
      const main = fresh.querySelector("main");
      if (!main) throw new Error("not the page");
      if (!paused) {
        document.title = fresh.title;
        for (const part of ["header", "main", "footer"]) {
          const [old, next] = [document.querySelector(part), fresh.querySelector(part)];
          if (old && next) renew(old, next);
        }
      }
      failures = answer.ok ? 0 : failures + 1;
    } catch {
      failures += 1;
    }
    tell();
  };

  button.addEventListener("click", () => {
    paused = !paused;
    tell();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);

  const loop = async () => {
    await refresh();
    setTimeout(loop, EVERY_MS);
  };
  tell();
  setTimeout(loop, EVERY_MS);
})();
