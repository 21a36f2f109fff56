// What the pages share: elements, the sign of a connection, signing in.

import { pause } from "./spoke.js";

/** An element: make("p", {class: "soft", onclick: f}, "text", child). */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** A sign and a word; `tone` (good, warn, bad) gives the colour, which says nothing of its own. */
export function showPill(element, sign, text, tone = "") {
  element.className = `pill ${tone}`;
  element.replaceChildren(make("span", { "aria-hidden": "true" }, sign), text);
}

/** For onState of a feed. */
export function showState(element, { state, why, retryMs }) {
  element.dataset.state = state;
  element.title = why;
  if (state === "live") return showPill(element, "●", "live", "good");
  if (state === "connecting") return showPill(element, "◌", "connecting");
  if (state === "closed") return showPill(element, "■", "closed");
  return showPill(element, "↻", `again in ${Math.max(1, Math.round(retryMs / 1000))} s`, "warn");
}

/** A value of the address, such as ?room=lobby, within what topics and ids are made of. */
export function fromAddress(name, otherwise) {
  const value = new URLSearchParams(location.search).get(name) ?? "";
  return /^[\w.-]{1,40}$/.test(value) ? value : otherwise;
}

/** Something that is kept in the tab, over a reload, as JSON. */
export function kept(name, otherwise) {
  const text = sessionStorage.getItem(name);
  return text === null ? otherwise : JSON.parse(text);
}

export function keep(name, value) {
  sessionStorage.setItem(name, JSON.stringify(value));
}

export function timeOf(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// --- Signing in ------------------------------------------------------------------------------

let question;  // the dialog that is open

/** For the option `bearer`: the token or key of this tab, asked for once the bridge wants one. */
export async function bearer(isRefused) {
  if (isRefused) question ??= askForToken().finally(() => { question = undefined; });
  if (question) await question;
  return kept("spoke:bearer", "");
}

function askForToken() {
  return new Promise((done) => {
    const input = make("input", { type: "password", required: true, autocomplete: "off" });
    const dialog = make("dialog", {},
      make("form", { method: "dialog", onsubmit: () => keep("spoke:bearer", input.value.trim()) },
        make("h2", {}, "This bridge asks who you are"),
        make("p", { class: "soft" }, "Paste a JSON Web Token or an API key. It stays in this tab."),
        make("label", {}, "Token or key", input),
        make("p", { class: "row" }, make("button", { class: "main" }, "Sign in"))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      done();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** For the option `ticket`: a token for one connection and no more than `scope`. */
export function ticketFor(scope) {
  return async () => {
    const token = await bearer(false);
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch("/v1/tokens", { method: "POST", headers, body: JSON.stringify({ scope, ttl_s: 60 }) });
    if (response.status === 401) await bearer(true);
    const body = await response.json();
    if (response.status !== 201) throw new Error(body.title ?? `the bridge answers ${response.status}`);
    return body.token;
  };
}

/** GETs a document, as often as it takes: {status, body}. `body` is a problem from 400 on. */
export async function read(path) {
  for (let refused = false; ;) {
    try {
      const token = await bearer(refused);
      const headers = token ? { authorization: `Bearer ${token}` } : {};
      const response = await fetch(path, { headers, cache: "no-store" });
      refused = response.status === 401;
      if (response.status < 500 && response.status !== 429 && !refused) {
        return { status: response.status, body: await response.json() };
      }
      if (refused) continue;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;  // fetch says so if there is no connection
    }
    await pause(300 + Math.random() * 700);
  }
}
