// What every view uses: elements, requests, the key, and what is said when something is wrong.
const CONTRACT = {contract};
const $ = id => document.getElementById(id);
// relative to the stage, also where the last slash is missing
const base = location.origin + location.pathname.replace(/\/?$/, "/");
const own = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname);
const POLL_MS = 1500, HEALTH_MS = 5000, LATE_MS = 300, TYPED_MS = 150, LATER_S = 2;

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
/** A button; what its work fails of is said. */
const button = (text, work, what = "btn", properties = {}) => el("button." + what, {type: "button", onclick: event => tried(async () => work(event)), ...properties}, text);
const card = (title, ...content) => el("div.card", title && el("h2", title), content);
const para = text => el("p", sentence(text));
const JPEG = "data:image/jpeg;base64,";
const soft = (...words) => el("p.soft", words);
const cell = (each, what) => each?.matches?.("td, th") ? each : el(what, each);
const table = (head, rows) => el("div.scroll", el("table", head.length > 0 && el("tr", head.map(each => cell(each, "th"))),
  rows.map(row => el("tr", row.map(each => cell(each, "td"))))));
/** Fills a list to choose from: `choices` are values, or [value, words]. */
function choices(list, choices, chosen, onchange) {
  list.replaceChildren(...choices.map(each => [each].flat()).map(([value, words = value]) => el("option", {value}, words)));
  return Object.assign(list, {value: chosen, onchange: onchange && (() => tried(async () => onchange(list.value)))});
}
const choice = (label, ...rest) => choices(el("select.field", {ariaLabel: label}), ...rest);

const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";
const whole = share => percent(share, 0);
const count = number => number.toLocaleString("en");
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
const isKnown = Number.isFinite;
const sum = numbers => numbers.reduce((all, each) => all + each, 0);
const later = ms => new Promise(done => setTimeout(done, ms));
const duration = s => s < 90 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`;
const sentence = text => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
const moment = created => created.slice(0, 16).replace("T", " ");
const joined = parts => parts.filter(Boolean).join(" · ");
const short = (said, most = 22) => said.length > most ? said.slice(0, most - 1) + "…" : said;
const place = encodeURIComponent;
/** As `place` has written it; where somebody wrote a % themselves, it stays. */
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}
const inShell = text => /^[\w ,.:/@%=-]+$/.test(text) ? `"${text}"` : `'${text.replaceAll("'", `'\\''`)}'`;
const keyInShell = () => key ? '-H "x-api-key: $KEY" ' : "";

function width(made, share) {
  made.style.width = 100 * Math.min(1, share || 0) + "%";
  return made;
}
function unfold(field) {
  field.hidden = !field.hidden;
  field.focus();
}
const bar = share => width(el("i.bar", {ariaHidden: "true"}), share);

async function copied(pressed, text) {
  await navigator.clipboard.writeText(text);
  const before = pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => { pressed.textContent = before; }, POLL_MS);
}

/** A modal question; resolves to whether it is answered by the button `main`. */
function dialog(title, body, main) {
  const box = $("dialog");
  box.returnValue = "";
  fill("dialog", el("form", {method: "dialog"}, el("h2", {id: "dialog-title"}, title), body,
    el("div.line", button(main ? "Cancel" : "Close", () => box.close()), main && el("button.btn.main", {value: main}, main))));
  box.showModal();
  return new Promise(done => { box.onclose = () => done(box.returnValue === main); });
}

// the key: once from the link that `make local` prints, from then on only in this tab
let key = sessionStorage.getItem("key") || "";

function setKey(value) {
  key = value.trim();
  sessionStorage.setItem("key", key);
}

/** Whether the address has held one. */
function takeKey() {
  if (!location.hash.startsWith("#key=")) return false;
  setKey(decoded(location.hash.slice(5)));
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

const told = own ? "make local prints a link that holds it." : "make api-key prints it.";
const NEEDS = {
  missing: "This API asks for a key: " + told,
  wrong: `The API does not take this key: ${told} A new one may take a minute or two to be known.`,
  signed: "This API takes only requests that are signed with AWS credentials (SigV4). In a shell that has them, wordsight open shows this page and signs what it asks.",
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
  const json = body && !(body instanceof FormData), used = key;
  const sent = {...headers, ...key && {[CONTRACT.key_header]: key}, ...json && {"content-type": "application/json"}};
  const answer = await fetch(base + path, {method, headers: sent, body: json ? JSON.stringify(body) : body}).catch(() => {
    throw new Problem(0, navigator.onLine ? "The API can't be reached. Is it still running?" : "This machine is offline.");
  });
  const said = await answer.json().catch(() => null);
  if (answer.ok) return {body: said, headers: answer.headers, status: answer.status};
  const detail = said?.detail || said?.message || `The API answered with status ${answer.status}.`;
  if (answer.status === 403 && used === key) needs(detail.includes("SigV4") ? "signed" : key ? "wrong" : "missing");
  throw new Problem(answer.status, detail, said?.retry_after_s || Number(answer.headers.get("retry-after")), said?.state);
}

/** A request. What is too busy is asked once more, when it says so, if its answer is still `wanted` then. */
async function api(path, options, wanted = () => true) {
  try {
    return await once(path, options);
  } catch (problem) {
    if (![429, 503, 504].includes(problem.status) || problem.state) throw problem;
    for (let left = Math.ceil(problem.retryAfter || LATER_S); left > 0; left--) {
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
const post = async (path, body, wanted, headers) => (await api(path, {method: "POST", body, headers}, wanted)).body;
/** Sent again by itself, it makes nothing twice. */
const create = (path, body) => post(path, body, undefined, {"idempotency-key": String(Math.random()).slice(2)});
const form = (files, fields) => {
  const made = new FormData();
  for (const file of files) made.append("image", file, "image");
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
};
const notice = text => fill("notice", text);

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
