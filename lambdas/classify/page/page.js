// What every view uses: elements, requests, the key, and what is said when something is wrong.
const CONTRACT = {contract};
const $ = id => document.getElementById(id);
// relative to the stage, also where the last slash is missing
const base = location.origin + location.pathname.replace(/\/?$/, "/");
const own = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
const POLL_MS = 1500, HEALTH_MS = 5000, LATE_MS = 300, TYPED_MS = 250;

/** An element: `el("p.soft", {id: "x"}, "words", [more])`. */
function el(what, ...children) {
  const [tag, ...classes] = what.split("."), made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  if (children[0]?.constructor === Object)
    for (const [name, value] of Object.entries(children.shift())) if (name in made) made[name] = value; else made.setAttribute(name, value);
  made.append(...nodes(children));
  return made;
}

const nodes = children => children.flat(Infinity).filter(child => child || child === 0);
const fill = (id, ...children) => { $(id).replaceChildren(...nodes(children)); $(id).hidden = !$(id).hasChildNodes(); };
const button = (text, onclick, what = "btn", properties = {}) => el("button." + what, {type: "button", onclick, ...properties}, text);
const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
const count = number => number.toLocaleString("en");
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const sum = numbers => numbers.reduce((all, each) => all + each, 0);
const later = ms => new Promise(done => setTimeout(done, ms));
const duration = s => s < 90 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`;
const sentence = text => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
const joined = parts => parts.filter(Boolean).join(" · ");
const place = encodeURIComponent;

function width(made, share) {
  made.style.width = 100 * Math.min(1, share || 0) + "%";
  return made;
}
const bar = share => width(el("i.bar", {"aria-hidden": "true"}), share);

function segments(choices, chosen, choose, label) {
  const group = el("span.seg", {role: "group", "aria-label": label});
  const shown = value => { for (const each of group.children) each.ariaPressed = String(each.value === value); };
  group.append(...Object.entries(choices).map(([value, text]) => button(text, () => { shown(value); choose(value); }, "", {value})));
  shown(chosen);
  return Object.assign(group, {shown});
}

/** A modal question; resolves to what `read` makes of it if it is answered, else to undefined. */
function dialog(title, body, main, read = () => true) {
  const box = $("dialog");
  return new Promise(done => {
    const ended = answer => { box.onclose = null; box.close(); done(answer); };
    box.replaceChildren(el("form", {onsubmit: event => { event.preventDefault(); ended(read()); }}, el("h2", {id: "dialog-title"}, title), body,
      el("div.line", button(main ? "Cancel" : "Close", () => ended()), main && el("button.btn.main", main))));
    box.onclose = () => done();
    box.showModal();
  });
}

const nameField = (value = "") => el("input.field", {value, required: true, maxLength: 63, pattern: "[a-z0-9][a-z0-9_\\-]*", title: "Lower-case letters, digits, _ and -",
  oninput: event => { event.target.value = event.target.value.toLowerCase().replace(/[^a-z0-9_-]+/g, "-"); }});

// the key: once from the link that `make local` prints, from then on only in this tab
let key = sessionStorage.getItem("key") || "";

function setKey(value) {
  key = value.trim();
  sessionStorage.setItem("key", key);
}

function takeKey() {
  if (!location.hash.startsWith("#key=")) return;
  setKey(decodeURIComponent(location.hash.slice(5)));
  history.replaceState(null, "", location.pathname + location.search);
}

const told = own ? "make local prints a link that holds it." : "make api-key prints it.";
const NEEDS = {
  missing: "This API asks for a key: " + told,
  wrong: "The API does not take this key: " + told + " A new one may take a minute or two to be known.",
  signed: "This API takes only requests that are signed with AWS credentials (SigV4), which a page can't do. In a shell that has credentials, wordsight open shows this page and signs what it asks.",
  asked: "The key is kept until this tab is closed.",
};

function needs(what) {
  if (what && !$("access").hidden && $("access-words").textContent === NEEDS[what]) return;  // somebody may be typing
  $("access-words").textContent = NEEDS[what] || "";
  $("access").hidden = !what;
  $("access-key").hidden = what === "signed";
  $("key-button").ariaExpanded = String(Boolean(what));
  $("key").value = key;
}

class Problem extends Error {
  constructor(status, detail, retryAfter, state) {
    super(detail);
    Object.assign(this, {status, retryAfter, state});
  }
}

async function once(path, {method = "GET", body, headers} = {}) {
  const json = body && !(body instanceof FormData);
  const sent = {...headers, ...key && {[CONTRACT.key_header]: key}, ...json && {"content-type": "application/json"}};
  const answer = await fetch(base + path, {method, headers: sent, body: json ? JSON.stringify(body) : body}).catch(() => {
    throw new Problem(0, navigator.onLine ? "The API can't be reached. Is it still running?" : "This machine is offline.");
  });
  const said = await answer.json().catch(() => null);
  if (answer.ok) return {body: said, headers: answer.headers, status: answer.status};
  const detail = said?.detail || said?.message || `The API answered with status ${answer.status}.`;
  if (answer.status === 403) needs(detail.includes("SigV4") ? "signed" : key ? "wrong" : "missing");
  throw new Problem(answer.status, detail, said?.retry_after_s || Number(answer.headers.get("retry-after")), said?.state);
}

const LATER_S = {504: 2};
/** A request. What is too busy is asked once more, when it says so, if its answer is still `wanted` then. */
async function api(path, options, wanted = () => true) {
  try {
    return await once(path, options);
  } catch (problem) {
    const pause = problem.retryAfter || LATER_S[problem.status];
    if (![429, 503, 504].includes(problem.status) || !pause || problem.state) throw problem;
    for (let left = Math.ceil(pause); left > 0; left--) {
      if (!wanted()) throw problem;
      const words = `${sentence(problem.message)} Trying again in ${left} s.`;
      notice(words);
      await later(1000);
      if ($("notice").textContent === words) notice("");  // else something newer is said
    }
    return once(path, options);
  }
}

const get = async (path, wanted) => (await api(path, {}, wanted)).body;
const creating = () => ({"idempotency-key": String(Math.random()).slice(2)});

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

/** Does what somebody asked for, and says why if that fails. */
const tried = work => work().catch(problem => { if (problem.status === 403) return; if (!(problem instanceof Problem)) throw problem; notice(sentence(problem.message)); });

let served = "", state = "connecting";
function pill(now, version = served) {
  [state, served] = [now, version];
  $("pill").textContent = joined([state, served]);
  $("pill").className = state === "in service" ? "up" : "";
}

async function health() {
  try {
    const {status, knows, licence} = (await once("health")).body, back = !["connecting", "in service", "updating"].includes(state);
    pill(status === "InService" ? "in service" : "updating");
    fill("knows", knows && [knows, licence && ` Licence: ${licence}.`, own && [" For photographs: ", el("code", "make local MODEL=openai/clip-vit-base-patch32")]]);
    if (back) { notice(""); show(); }
    if (status === "InService") return;
  } catch (problem) {
    pill(problem.state || (problem.status === 503 ? "starting" : "unreachable"));
    notice(sentence(problem.message) + (problem.status === 503 && !problem.state ? " A new endpoint usually takes 5 to 10 minutes; this page goes on by itself." : ""));
  }
  setTimeout(health, HEALTH_MS);
}

let described;
/** The API's own description, fetched once. */
const openapi = () => described ??= get("openapi.json").catch(problem => { described = null; throw problem; });
