// Teach: images one after the other, what is true of each, and what the task has learnt by that.
const ENOUGH = 16, SHOWN_DOUBTFUL = 8, AT_ONCE = 32, KEYS = 9, WATCHED_MS = 30_000;
const lesson = {queue: [], sending: Promise.resolve(), watching: 0, pictures: new Map(), settled: new Set()};

/** Another task, or none, from the beginning. */
const fresh = name => Object.assign(lesson, {name, dataset: name, task: null, labels: [], counts: {}, records: 0, done: [], curve: [], guess: null, guessed: null});
fresh("");

function startTeach(query) {
  return tried(async () => {
    const names = (await tasks()).filter(each => !each.multi_label).map(each => each.name), wanted = query.match(/task=([^&]*)/)?.[1] || lesson.name;
    const name = names.includes(wanted) ? wanted : names.length === 1 ? names[0] : "";
    choices($("lesson"), [["", names.length ? "Choose a question" : "No saved question yet"], ...names], name, choose);
    if (name !== lesson.name) return choose(name);
    showLesson();
    watch();
  });
}

const choose = name => tried(async () => {
  fresh(name);
  history.replaceState(null, "", name ? "#teach?task=" + name : "#teach");
  if (name) {
    const task = await get(pathOf(name)), labels = task.candidate_labels.map(each => each.label);
    await counted(labels);
    if (lesson.name !== name) return;
    Object.assign(lesson, {task, labels});  // only now can something be said of an image
    learnt(task.taught);
  }
  showLesson();
  watch();
});

/** How many images each label has, as the dataset says; what is labelled from now on comes on top. */
async function counted(labels = lesson.labels) {
  const {counts} = await get(`annotations?limit=1&dataset=${place(lesson.dataset)}`), of = counts?.labels || {};
  lesson.done = [];
  lesson.records = counts?.records || 0;
  lesson.counts = Object.fromEntries(labels.map(label => [label, (of[lesson.name]?.[label] || 0) + (of[""]?.[label] || 0)]));
}

function pile(found) {
  lesson.queue.push(...found);
  showLesson();
}

const inFolders = () => lesson.queue.filter(each => lesson.labels.includes(each.folder));
function byFolder() {
  const found = inFolders();
  lesson.queue = lesson.queue.filter(each => !found.includes(each));
  for (const label of lesson.labels) send(found.filter(each => each.folder === label), {label, task: lesson.name});
}

/** Keeps what is said of images, one request after the other. */
function send(pictures, said) {
  const entries = pictures.map(picture => ({picture, said})), {dataset} = lesson;
  lesson.done.push(...entries);
  showLesson();
  lesson.sending = lesson.sending.then(async () => { while (entries.length) await deliver(entries, {...said, dataset}); });
}

/** One request with as many as fit. What is refused comes back to the front. */
async function deliver(entries, fields) {
  const files = await fitting(entries.slice(0, AT_ONCE).map(each => small(each.picture))), sent = entries.splice(0, files.length);
  await tried(async () => {
    const stored = [(await api("annotations", {method: "POST", body: form(files, fields), headers: creating()})).body].flat(), bad = stored.find(each => each.detail);
    stored.forEach(({id, image, new: isNew}, i) => { Object.assign(sent[i], {id, isOld: !isNew}); lesson.pictures.set(image, sent[i].picture.url); });
    if (bad) throw new Problem(bad.status, bad.detail);
  });
  const refused = sent.filter(each => !each.id && lesson.done.includes(each));
  lesson.done = lesson.done.filter(each => !refused.includes(each));
  lesson.queue.unshift(...refused.map(each => each.picture));
  showLesson();
  watch(WATCHED_MS);
}

async function undo() {
  const last = lesson.done.pop();
  if (!last) return;
  lesson.queue.unshift(last.picture);
  showLesson();
  await lesson.sending;
  if (last.id) await tried(() => api(`annotations/${last.id}?dataset=${lesson.dataset}`, {method: "DELETE"}));
  watch(WATCHED_MS);
}

function say(said) {
  const image = lesson.queue.shift();
  if (image) send([image], said);
}
const sayLabel = label => say({label, task: lesson.name});

function skip() {
  lesson.queue.push(...lesson.queue.splice(0, 1));
  showLesson();
}

/** The model's guess for the image in front. */
async function guess() {
  const [image] = lesson.queue, wanted = () => image && lesson.guessed === image;
  Object.assign(lesson, {guess: null, guessed: image});
  await later(TYPED_MS);
  if (wanted()) await tried(async () => {
    const {body} = await api("classify", {method: "POST", body: form([await small(image)], {task: lesson.name})}, wanted);
    if (!wanted()) return;
    lesson.guess = Object.fromEntries(body.map(each => [each.label, each.score]));
    showAnswers();
  });
}

function learnt(taught) {
  lesson.task.taught = taught;
  const {images, after} = taught?.learnt || {}, shown = after && sum(Object.values(images)), last = lesson.curve.at(-1);
  if (after && (last?.[0] !== shown || last[1] !== after.accuracy)) lesson.curve.push([shown, after.accuracy]);
}

/** Looks at what the task has learnt, at least once and `ms` long, until it has seen all that was said. */
async function watch(ms = 0) {
  const mine = ++lesson.watching, wanted = () => mine === lesson.watching && lesson.task && !$("teach").hidden, until = Date.now() + ms;
  await tried(async () => {
    for (let teaching = true; wanted() && (teaching || Date.now() < until); await later(POLL_MS)) {
      const {taught} = await get(pathOf(lesson.name), wanted), news = JSON.stringify(taught) !== JSON.stringify(lesson.task?.taught);
      if (!wanted()) return;
      teaching = taught?.teaching;
      learnt(taught);
      if (news) showLearnt();
    }
  });
}

function showLesson() {
  const {queue, done} = lesson, [image] = queue, waiting = done.filter(each => !each.id).length, foldered = inFolders().length;
  stageShows($("teach-stage"), image, image ? image.name : done.length ? "All done. Drop more" : "Drop images or a folder, or choose");
  fill("next", queue.slice(1, 7).map((each, i) => thumbnail(each, false, () => { queue.unshift(...queue.splice(i + 1, 1)); showLesson(); })));
  $("queue").textContent = joined([queue.length && `${count(queue.length)} to go`, done.length && `${count(done.length)} labelled`, waiting && `${count(waiting)} being sent`]);
  fill("by-folder", foldered > 0 && button(`Label ${plural(foldered, "image")} by their folders`, byFolder));
  showAnswers();
  showLearnt();
  if (lesson.task && image !== lesson.guessed) guess();
}

function showAnswers() {
  const {labels, guess: shares} = lesson, disabled = !lesson.queue.length, best = shares && Math.max(...Object.values(shares)), fields = () => [...$("answers").querySelectorAll("button, input")], focused = fields().indexOf(document.activeElement);
  if (!lesson.task) return fill("answers", el("p", "Show a saved question some images: five of each label already help. Its answers are better within seconds, and no other question changes."), soft("Choose a question above, or ", el("a", {href: "#ask"}, "write one and save it"), "; then drop images here."));
  const field = el("input.field", {value: $("sentence")?.value || "", id: "sentence", disabled, maxLength: 1000, placeholder: "Or a sentence that is true of it, then Enter", "aria-label": "A sentence that is true of the image",
    onkeydown: event => { if (event.key !== "Enter" || !field.value.trim()) return; const sentences = field.value; field.value = ""; say({sentences}); }});
  fill("answers", soft(disabled ? "The labels of this question. Drop images at the left to begin." : "What is it? The bars are what the model takes it for."),
    el("div.rows", labels.map((label, i) => button([bar(shares?.[label]), el("kbd", {hidden: i >= KEYS}, i + 1), el("span.name", label), el("span.n", shares && whole(shares[label] || 0))], () => sayLabel(label), "row" + (best && shares[label] === best ? ".best" : ""), {disabled, "aria-label": label}))),
    field, el("div.line", button("Skip", skip, "btn", {disabled}), button("Undo", undo, "btn", {disabled: !lesson.done.length}), el("span.soft.keys", el("kbd", "1"), "–", el("kbd", "9"), " label ", el("kbd", "→"), " skip ", el("kbd", "z"), " undo")));
  fields()[focused]?.focus();
}

const STATES = {live: "answers by what it was taught", words: "answers by its words", paused: "answers by its words, as you asked"};

function showLearnt() {
  const {task, name, curve} = lesson, taught = task?.taught, found = taught?.learnt, said = lesson.done.filter(each => !each.isOld), records = lesson.records + said.length;
  const counts = lesson.labels.map(label => [label, lesson.counts[label] + said.filter(each => each.said.label === label).length]), lacking = counts.filter(([, images]) => images < ENOUGH), most = Math.max(ENOUGH, ...counts.map(each => each[1]));
  const change = (words, method) => button(words, () => tried(async () => { learnt((await api(pathOf(name) + "/teach", {method, ...method === "POST" && {body: {}}})).body); showLearnt(); watch(); }));
  fill("learnt", task && [el("div.line", el("h2", "What it has learnt"), taught && el("span.tag", {role: "status"}, taught.teaching ? "looking at the images" : STATES[taught.state])),
    found?.after ? [el("p.big", `${whole(found.before.accuracy)} → ${whole(found.after.accuracy)}`), soft(`Right on ${plural(sum(Object.values(found.images)), "annotated image")}, by words alone and as taught; each is answered as if it had not been shown.`)]
      : soft("Its accuracy will stand here when two labels have two images each."),
    curve.length > 1 && lines(curve, "images", "Accuracy by the number of images"), found?.reason && el("p", sentence(found.reason)), found?.advice.map(each => soft(sentence(each))),
    el("div.line", taught?.state === "live" && change("Back to its words", "DELETE"), taught?.state === "paused" && change("Teach it again", "POST"), el("a", {href: "#ask?task=" + name}, "Ask it"))]);
  const dataset = el("input.field", {id: "dataset", value: lesson.dataset, pattern: "[a-z0-9][a-z0-9_\\-]*", "aria-label": "Dataset", onchange: () => { lesson.dataset = dataset.value; tried(() => counted()).then(showLesson); }});
  if (document.activeElement?.id !== "dataset") fill("balance", task && [el("div.line", el("h2", "Dataset"), dataset),
    el("div.balance", counts.map(([label, images]) => [el("span", label), el("div.share", width(el("i"), images / most)), el("span.n", images)])),
    soft(lacking.length ? `Sixteen of each are a good start: ${lacking.slice(0, 4).map(([label, images]) => `${ENOUGH - images} more of ${label}`).join(", ")}${lacking.length > 4 ? " …" : "."}` : "Enough of each."),
    el("p", "Images teach this question at once. A training changes the model itself: it takes longer, and every question gains."),
    button(`Train on ${plural(records, "image")}`, () => tried(train), "btn.main", {disabled: !records})]);
  showDoubtful(found?.doubtful.filter(each => !lesson.settled.has(each.id)).slice(0, SHOWN_DOUBTFUL) || []);
}

function showDoubtful(doubtful) {
  const now = JSON.stringify(doubtful);
  if (now === lesson.doubted) return;
  lesson.doubted = now;
  fill("doubtful", doubtful.length > 0 && [el("h2", "Likely labelled wrong"), el("div.pictures", doubtful.map(each => {
    const shown = el("span.none"), settle = () => { lesson.settled.add(each.id); showLearnt(); };
    annotated(each.image).then(url => shown.replaceWith(/^blob/.test(url) ? el("img", {src: url, alt: "an image labelled " + each.label}) : el("a.none", {href: url, target: "_blank"}, "See it")), () => shown.append("no picture"));
    return el("div", shown, el("p", `Said ${each.label}, looks like ${each.answer} (${whole(each.doubt)})`), button("It is " + each.answer, () => tried(async () => { await relabel(each); settle(); })), button(`It is ${each.label}`, settle));
  }))]);
}

/** Where this page can show an annotated image: as its own copy, or as that of the bucket if it may load that. */
async function annotated(sha256) {
  if (!lesson.pictures.has(sha256)) {
    const {url} = await get("images/" + sha256);
    if (new URL(url).origin !== location.origin) return url;
    lesson.pictures.set(sha256, URL.createObjectURL(await shrunk(await (await fetch(url)).blob(), 256)));
  }
  return lesson.pictures.get(sha256);
}

async function relabel({id, dataset, label: old, answer: label}) {
  const path = `annotations/${id}?dataset=${dataset}`, {body: {sentences, task, split}, headers} = await api(path);
  await api(path, {method: "PUT", headers: {"if-match": headers.get("etag")}, body: {sentences, label, task, split}});
  lesson.counts[old]--;
  lesson.counts[label]++;
  watch(WATCHED_MS);
}

/** The object that a text holds, or null. */
function parsed(text) {
  try { return Object(JSON.parse(text || "{}")); } catch { return null; }
}

/** First what a training would find, take and cost, then the training. */
async function train() {
  const {dataset} = lesson, check = (await api("trainings?dry_run=true", {method: "POST", body: {dataset}})).body, dollars = usd => usd === null ? "" : `, $${usd.toFixed(2)}`;
  if (!check.starts) return dialog("Not enough to train on yet", check.missing.map(each => el("p", sentence(each))));
  const promote = choice("Afterwards", [["manual", "I promote the model myself, if it is better"], ["auto", "Promote it by itself if it is better"]], "manual");
  const given = el("input.field", {placeholder: '{"epochs": 20}', autocomplete: "off", oninput: () => given.setCustomValidity(parsed(given.value) ? "" : 'Write it as JSON, like {"epochs": 20}')});
  const body = await dialog(`Train on ${plural(check.counted, "annotation")}`, [el("p.big", `about ${duration(check.estimated_s)}${dollars(check.estimated_usd)}`),
    soft(`${count(check.steps)} steps from ${check.base_version ?? "what is live"}; ${Object.entries(check.images).map(([split, images]) => `${count(images)} images for ${split}`).join(", ")}. At most ${duration(check.max_runtime_s)}${dollars(check.max_usd)}. Estimated ${check.estimate}.`),
    check.warnings.map(each => el("p", sentence(each))), el("label", "Afterwards", promote), el("label", "Hyperparameters as JSON, if not as usual", given)], "Train", () => ({dataset, promote: promote.value, hyperparameters: parsed(given.value)}));
  if (!body) return;
  await api("trainings", {method: "POST", body, headers: creating()});
  location.hash = "#models";
}

function teachKeys({key: pressed}) {
  if (pressed >= "1" && pressed <= String(Math.min(KEYS, lesson.labels.length)) && pressed.length === 1) sayLabel(lesson.labels[pressed - 1]);
  else if (pressed === "ArrowRight") skip();
  else if (pressed === "z") undo();
}
