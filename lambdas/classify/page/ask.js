// Ask: an image, and questions whose answers are edited where they stand.
const FEW = 8, MANY = 12, LAST = 8, TOGETHER = 16, TABLE_PX = 448, SEPARATOR = /[,\n\t]/;
const asked = {questions: [], samples: [], last: [], image: null, many: [], turn: 0, timer: 0};
const answerable = () => asked.questions.filter(each => !each.lacks);
let saved;
/** The saved tasks, fetched once until one is saved or there is another key. */
const tasks = () => saved ??= get("tasks").then(found => found.tasks).catch(problem => { saved = null; throw problem; });
const pathOf = task => "tasks/" + place(task);
const spaced = text => text.trim().replace(/\s+/g, " ");
const linesOf = field => field.value.split("\n").map(spaced).filter(Boolean);
const KINDS = [["", "One of these"], ["none", "One of these, or none"], ["each", "Each on its own"]];

/** One row: a label, its score, and sentences that describe it. */
class Label {
  constructor(question, text = "", annotations = []) {
    this.isNew = !text;  // one that is there may have a comma in it
    this.bar = bar(0);
    this.input = el("input", {value: text, maxLength: 1000, placeholder: "Add a label, or paste many", oninput: () => question.typed(this), onkeydown: event => question.pressed(event, this), onpaste: event => question.pasted(event, this)});
    this.output = el("output.n");
    this.words = el("textarea", {value: annotations.join("\n"), hidden: !annotations.length, placeholder: "Sentences that describe it, one a line", oninput: () => question.changed()});
    this.describe = button("describe", () => unfold(this.words), "quiet");
    this.drop = button("×", () => question.remove(this), "quiet");
    this.row = el("li.row", this.bar, this.input, this.output, this.describe, this.drop, this.words);
    this.show();
  }
  get text() { return this.input.value.trim(); }
  get annotations() { return linesOf(this.words); }
  get body() { return this.annotations.length ? {label: this.text, annotations: this.annotations} : this.text; }
  show(score = null) {
    const name = this.text;
    this.score = score;
    this.input.ariaLabel = name ? "Label " + name : "New label";
    this.words.ariaLabel = this.describe.ariaLabel = "Describe " + name;
    this.drop.ariaLabel = "Remove " + name;
    this.describe.hidden = this.drop.hidden = !name || this.input.readOnly;
    this.output.textContent = score === null ? "" : percent(score);
    width(this.bar, score);
  }
}

class Question {
  constructor({labels = [], kind = "", templates = [], task = ""} = {}) {
    Object.assign(this, {saved: null, coming: Boolean(task), all: false, labels: labels.map(([label, ...annotations]) => new Label(this, label, annotations))});
    this.list = el("ol.rows", {ariaLabel: "Labels"});
    this.more = button("", () => { this.all = !this.all; this.arrange(); }, "quiet");
    this.picker = choice("Saved questions", []);
    this.kind = choice("How labels are scored", KINDS, kind, () => this.changed(0));
    this.none = new Label(this, CONTRACT.unknown);
    this.none.input.readOnly = true;
    this.wording = el("textarea.field", {value: templates.join("\n"), rows: 1, hidden: !templates.length, placeholder: CONTRACT.template, ariaLabel: "Sentences around each label, with {} for it, one a line", oninput: () => this.changed()});
    this.about = soft();
    this.close = button("×", () => { asked.questions = asked.questions.filter(each => each !== this); showQuestions(); changed(0); }, "quiet", {ariaLabel: "Remove this question"});
    this.card = el("div.card.q", el("div.line", this.picker, this.kind, button("Wording", () => unfold(this.wording), "quiet"), button("Save", () => this.save()), this.close), this.wording, this.list, this.more, this.about);
    this.arrange();
    this.offer(task);
  }
  get filled() { return this.labels.filter(each => each.text); }
  /** Those that have scores. */
  get scorable() { return this.kind.value === "none" ? [...this.filled, this.none] : this.filled; }
  get templates() { return linesOf(this.wording); }
  /** Its members as the API takes them; what is the same to a reader is asked once. */
  get body() {
    const distinct = new Map(this.filled.map(each => [spaced(each.text.toLowerCase()), each.body]));
    const {templates: [template, ...others], kind: {value: kind}} = this;
    return {...this.saved?.others, candidate_labels: [...distinct.values()], ...template && {hypothesis_template: others.length || template[0] === "[" ? [template, ...others] : template}, ...kind && {[kind === "each" ? "multi_label" : "unknown"]: true}};
  }
  /** The saved task that it still is, word for word. */
  get task() { return this.saved && JSON.stringify(this.body) === this.saved.text ? this.saved.name : ""; }
  /** Why it can't be asked yet. */
  get lacks() {
    const {length} = this.body.candidate_labels;
    return length > 1 || length && this.kind.value === "each" ? "" : length ? "Add a second label, or score each on its own." : "Write what it could be: two labels or more.";
  }
  arrange() {
    if (!this.labels.at(-1) || this.labels.at(-1).text) this.labels.push(new Label(this));
    const {scorable, labels, list} = this, scored = scorable.some(each => each.score !== null), best = [...scorable].sort((a, b) => b.score - a.score), many = best.length > MANY, focused = document.activeElement;
    const order = asked.sorted ? [...best, ...labels.filter(each => !each.text)] : [...labels, ...scorable.filter(each => each === this.none)];
    if (order.length !== list.children.length || order.some((each, i) => each.row !== list.children[i])) list.replaceChildren(...order.map(each => each.row));
    if (list.contains(focused)) focused.focus();
    best.forEach((each, rank) => { each.row.classList.toggle("best", scored && !rank); each.row.hidden = many && !this.all && rank >= FEW; });
    list.classList.toggle("all", many && this.all);
    this.more.hidden = !many;
    this.more.textContent = this.all ? `Only the best ${FEW}` : `${best.length - FEW} more`;
    this.about.textContent = this.lacks;
  }
  typed(label, text = label.input.value) {
    if (label.isNew && SEPARATOR.test(text)) this.split(label, text);
    label.show();
    this.changed();
  }
  /** Several labels that were written into one row get rows of their own. */
  split(label, text) {
    const [first = "", ...others] = text.split(SEPARATOR).map(spaced).filter(Boolean);
    Object.assign(label, {isNew: !first}).input.value = first;
    this.labels.splice(this.labels.indexOf(label) + 1, 0, ...others.map(each => new Label(this, each)));
    this.arrange();
    this.labels.at(-1).input.focus();
  }
  pasted(event, label) {
    const text = event.clipboardData.getData("text").trim();
    if (label.text || !SEPARATOR.test(text)) return;
    event.preventDefault();
    label.isNew = true;
    this.typed(label, text);
  }
  pressed(event, label) {
    const inputs = [...this.list.querySelectorAll(":not([hidden]) > input")], at = inputs.indexOf(label.input), isBack = event.key === "Backspace" && !label.input.value && at > 0;
    if (event.key !== "Enter" && !isBack) return;
    event.preventDefault();
    label.isNew = !label.text;
    inputs[isBack ? at - 1 : at + 1]?.focus();
    if (isBack && label !== this.labels.at(-1)) this.remove(label);
  }
  remove(label) {
    this.labels.splice(this.labels.indexOf(label), 1);
    this.changed(0);
    if (document.activeElement === document.body) this.labels.at(-1).input.focus();
  }
  changed(ms) { this.arrange(); changed(ms); }
  scored(scores = []) {
    for (const each of [...this.labels, this.none]) each.show(scores.find(({label}) => each.text && spaced(label) === spaced(each.text))?.score);
    this.arrange();
  }
  /** The saved questions to choose from. */
  async offer(chosen = this.saved?.name || "") {
    const found = await tasks().catch(() => []);
    choices(this.picker, [["", "New question"], ...found.map(each => each.name)], chosen, name => this.pick(name));
    if (chosen && this.saved?.name !== chosen) await this.pick(chosen);
  }
  pick(name) {
    return tried(async () => {
      const {body, headers} = name ? await api(pathOf(name)) : {body: {candidate_labels: []}};
      const {taught, candidate_labels, multi_label, unknown, hypothesis_template: templates = [], description, ...others} = body;
      this.labels = candidate_labels.map(each => new Label(this, each.label, each.annotations));
      this.kind.value = multi_label ? "each" : unknown ? "none" : "";
      this.wording.value = [templates].flat().join("\n");
      this.wording.hidden = !this.wording.value;
      this.saved = name ? {name, description, others, etag: headers.get("etag")} : null;
      if (name) this.saved.text = JSON.stringify(this.body);
    }).finally(() => { this.coming = false; this.changed(0); });
  }
  async save() {
    const field = el("input.field", {value: this.saved?.name ?? "", required: true, maxLength: 63, oninput: () => { field.value = field.value.toLowerCase().replace(/[^a-z0-9_-]+/g, "-").replace(/^[_-]+/, ""); }});
    const isNamed = await dialog("Save this question", [soft("By its name it is asked with an image alone, and annotated images can teach it."), el("label", "Name", field)], "Save"), name = field.value;
    if (isNamed) await this.put(name, name === this.saved?.name ? {"if-match": this.saved.etag} : {"if-none-match": "*"});
  }
  async put(name, headers) {
    const {body} = this, {description, others = {}} = this.saved || {};
    try {
      const answer = await api(pathOf(name), {method: "PUT", body: {...body, ...description && {description}}, headers});
      this.saved = {name, description, others, etag: answer.headers.get("etag"), text: JSON.stringify(body)};
      tasksChanged();
    } catch (problem) {
      if (problem.status !== 412) throw problem;
      if (await dialog(`${name} is there already`, el("p", "Somebody has saved or changed it since you looked. To see theirs, cancel and choose it in the list."), "Replace it")) await this.put(name);
    }
  }
}

function tasksChanged() {
  saved = null;
  for (const each of asked.questions) each.offer();
  changed(0);
}

function showQuestions() {
  fill("questions", asked.questions.map(each => each.card));
  for (const each of asked.questions) each.close.hidden = asked.questions.length < 2;
}

/** The questions as the address holds them: `labels=fish,warm=an%20orange%20fish&each=1&template=a%20{}`, or `task=pet`. */
const written = () => "#ask?" + asked.questions.map(each => each.task ? "task=" + each.task
  : "labels=" + each.filled.map(({text, annotations}) => [text, ...annotations].map(place).join("=")).join(",") + (each.kind.value && `&${each.kind.value}=1`) + each.templates.map(template => "&template=" + place(template)).join("")).join("&");

function read(query) {
  const found = [];
  for (const [, name, value] of query.matchAll(/(\w+)=([^&]*)/g)) {
    if (name === "task") found.push({task: decoded(value)});
    if (name === "labels") found.push({templates: [], labels: value.split(",").filter(Boolean).map(each => each.split("=").map(decoded))});
    if (["each", "none"].includes(name) && found.length) found.at(-1).kind = name;
    if (name === "template") found.at(-1)?.templates?.push(decoded(value));
  }
  asked.questions = (found.length ? found : [{labels: Object.keys(SAMPLES).map(name => [name])}]).map(each => new Question(each));
  showQuestions();
}

/** Something is asked otherwise: the address tells it at once, the API is asked when nobody types any more. */
function changed(ms = TYPED_MS) {
  if (!$("ask").hidden && asked.questions.length) history.replaceState(null, "", written());
  showCode();
  clearTimeout(asked.timer);
  asked.timer = setTimeout(ask, ms);
}

const nameOf = question => question.task || `question-${asked.questions.indexOf(question) + 1}`;

/** The answers for each file, by question: saved tasks are asked by name, so that what has taught them answers. */
async function classify(files, questions, wanted) {
  const task = [...new Set(questions.map(each => each.task).filter(Boolean))], others = questions.filter(each => !each.task);
  const parts = [task.length && {task}, others.length && {tasks: Object.fromEntries(others.map(each => [nameOf(each), each.body]))}].filter(Boolean);
  const all = await Promise.all(parts.map(each => api("classify", {method: "POST", body: form(files, {parameters: JSON.stringify(each)})}, wanted)));
  const said = all.map(each => [each.body].flat());
  return {answers: files.map((_, i) => Object.assign({}, ...said.map(each => each[i]))), headers: all[0].headers};
}

async function ask() {
  const mine = ++asked.turn, wanted = () => mine === asked.turn, questions = answerable(), started = performance.now();
  if (!asked.image || !questions.length || $("ask").hidden || asked.questions.some(each => each.coming)) return;
  const late = setTimeout(() => $("questions").classList.add("stale"), LATE_MS);
  try {
    const {answers: [answer], headers} = await classify([await small(asked.image)], questions, wanted);
    if (!wanted()) return;
    for (const each of questions) each.scored(answer[nameOf(each)]);
    tell(timing(performance.now() - started, headers), "soft");
  } catch (problem) {
    if (!wanted()) return;
    for (const each of questions) each.scored();
    tell(problem.status === 403 ? "" : sentence(problem.message), "wrong");
  } finally {
    clearTimeout(late);
    if (wanted()) $("questions").classList.remove("stale");
  }
  await askMany(questions, wanted);
}

const tell = (words, className) => Object.assign($("about"), {textContent: words, className});

function timing(ms, headers) {
  const took = Object.fromEntries([...(headers.get("server-timing") || "").matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, dur]) => [name, Math.round(dur)]));
  const version = headers.get("x-model-version") || "", by = headers.get("x-task-version");
  pill(state, version);
  return joined([`${Math.round(ms)} ms (${["model", "decode", "labels"].filter(name => took[name]).map(name => `${name} ${took[name]}, `).join("")}network ${Math.max(0, Math.round(ms - (took.total || 0)))})`,
    version && "model " + version, by && (by.includes("=words-") ? "by its words" : "by what it was taught"), headers.get("warning")?.match(/"(.*)"/)?.[1]]);
}

function take(found) {
  if (!found.length) return;
  asked.many = found.length > 1 ? found : [];
  asked.last = [...found, ...asked.last].slice(0, LAST);
  look(found[0]);
}

function look(image) {
  asked.image = image;
  stageShows($("stage"), image, "Drop, paste or choose");
  for (const each of asked.questions) each.scored();
  fill("strip", [...asked.samples, ...asked.last].map(each => button(el("img", {src: each.url, alt: ""}), () => { look(each); $("strip").querySelector("[aria-pressed=true]").focus(); }, "", {title: each.name, ariaPressed: each === image})));
  showMany();
  changed(0);
}

async function askMany(questions, wanted) {
  for (let start = 0; start < asked.many.length && wanted();) {
    showMany(`${start} of ${asked.many.length}`);
    const some = asked.many.slice(start, start + TOGETHER), files = await fitting(some.map(each => each.tiny ??= shrunk(each.file, TABLE_PX)));
    const answers = await classify(files, questions, wanted).then(found => found.answers, problem => files.map(() => ({detail: problem.message})));
    answers.forEach((answer, i) => { some[i].answer = answer; });
    start += files.length;
  }
  if (wanted()) showMany();
}

function showMany(progress) {
  const {many} = asked, names = answerable().map(nameOf), head = ["image", ...names.flatMap(name => [name, name + " score"]), "error"];
  const rows = many.map(({name, answer}) => [name, ...names.map(each => answer?.[each]?.[0]).flatMap(best => [best?.label ?? "", best?.score ?? ""]), answer?.detail ?? ""]);
  const csv = () => [head, ...rows].map(row => row.map(each => /[",\n]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each).join(",") + "\n").join("");
  fill("many", many.length > 0 && [el("div.line", el("h2", plural(many.length, "image")), el("span.soft", {role: "status"}, progress), button("Copy as CSV", event => copied(event.target, csv())), button("Close", () => { asked.many = []; showMany(); })),
    table(["", ...head], rows.map(([name, ...row], i) => [el("img", {src: many[i].url, alt: ""}), button(name, () => look(many[i]), "quiet"), ...row.map(each => each.toFixed ? el("td.n", percent(each)) : each)]))]);
}

asked.samples = Object.entries(SAMPLES).map(drawn);
$("another").onclick = () => { asked.questions.push(new Question()); showQuestions(); asked.questions.at(-1).labels[0].input.focus(); };
$("sort").onclick = () => { asked.sorted = !asked.sorted; $("sort").ariaPressed = String(asked.sorted); for (const each of asked.questions) each.arrange(); };
