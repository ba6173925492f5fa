// Teach: images one after the other, what is true of each, and what the task has learnt by that.
const ENOUGH = 16, AT_ONCE = 32, KEYS = 9, WATCHED_MS = 30_000, SHOWN = 24, PAGES = 10, LANES = 4;
const SPLITS = [["", "All splits"], ["drawn", "Drawn by each training"], "train", "validation", "test"];
const lesson = {queue: [], sending: Promise.resolve(), watching: 0, pictures: {}, lanes: [], settled: new Set()};

/** Another task, or none, from the beginning. */
function fresh(name) {
  Object.assign(lesson, {name, dataset: name, task: null, labels: [], counts: {}, records: 0, listed: new Map(), next: null, most: SHOWN, disagrees: false, done: [], guess: null, guessed: null});
  $("of-label").value = $("of-split").value = "";
  $("dataset").value = name;
}
fresh("");

async function startTeach(query) {
  const names = (await tasks()).filter(each => !each.multi_label).map(each => each.name), wanted = new URLSearchParams(query).get("task") || lesson.name;
  const name = names.includes(wanted) ? wanted : names.length === 1 ? names[0] : "";
  choices($("lesson"), [["", names.length ? "Choose a question" : "No saved question yet"], ...names], name, choose);
  if (name !== lesson.name) return choose(name);
  showLesson();
  watch();
}

async function choose(name) {
  fresh(name);
  history.replaceState(null, "", name ? "#teach?task=" + name : "#teach");
  // or the labels of before could still be said, of the new task
  showLesson();
  if (name) {
    const task = await get(pathOf(name)), labels = task.candidate_labels.map(each => each.label);
    await counted(labels);
    if (lesson.name !== name) return;
    Object.assign(lesson, {task, labels});  // only now can something be said of an image
    choices($("of-label"), [["", "All labels"], ...labels], "", () => showMore());
  }
  showLesson();
  showMore();
  watch();
}

const byId = records => new Map(records.map(each => [each.id, each]));

/** The dataset's first page, and how many images each label has; what is labelled from now on comes on top. */
async function counted(labels = lesson.labels) {
  const {name, dataset} = lesson, {counts, annotations, next} = await get("annotations?dataset=" + place(dataset)), of = counts?.labels || {};
  if (lesson.name !== name || lesson.dataset !== dataset) return;
  Object.assign(lesson, {done: [], listed: byId(annotations), next, records: counts?.records || 0});
  lesson.counts = Object.fromEntries(labels.map(label => [label, (of[lesson.name]?.[label] || 0) + (of[""]?.[label] || 0)]));
}

/** So many images more, or less, have this label. */
function tally(label, more) {
  lesson.records += more;
  if (label in lesson.counts) lesson.counts[label] += more;
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
  const {dataset} = lesson, entries = pictures.map(picture => ({picture, said, dataset}));
  lesson.done.push(...entries);
  showLesson();
  lesson.sending = lesson.sending.then(async () => { while (entries.length) await deliver(entries, {...said, dataset}); });
}

/** One request with as many as fit. What is refused comes back to the front. */
async function deliver(entries, fields) {
  const files = await fitting(entries.slice(0, AT_ONCE).map(each => small(each.picture))), sent = entries.splice(0, files.length);
  await tried(async () => {
    const stored = [await create("annotations", form(files, fields))].flat(), bad = stored.find(each => each.detail);
    stored.forEach(({id, image, new: isNew}, i) => {
      sent[i].id = id;
      lesson.pictures[image] = sent[i].picture.url;
      if (!isNew || fields.dataset !== lesson.dataset) return;
      lesson.listed = new Map([[id, {id, image, ...sent[i].said}], ...lesson.listed]);
      tally(sent[i].said.label, 1);
    });
    if (bad) throw new Problem(bad.status, bad.detail);
  });
  const refused = sent.filter(each => !each.id && lesson.done.includes(each));
  lesson.done = lesson.done.filter(each => !refused.includes(each));
  lesson.queue.unshift(...refused.map(each => each.picture));
  showLesson();
  watch(WATCHED_MS);
}

/** Takes back what was said last, after what was sent before it; what is refused can be tried again. */
async function undo() {
  const last = lesson.done.pop(), others = () => lesson.queue.filter(each => each !== last.picture);
  if (!last) return;
  lesson.queue = [last.picture, ...others()];
  showLesson();
  await (lesson.sending = lesson.sending.then(async () => {
    if (last.id) await tried(async () => {
      await api(`annotations/${last.id}?dataset=${place(last.dataset)}`, {method: "DELETE"}).catch(problem => { if (problem.status === 404) last.id = ""; throw problem; });
      if (last.dataset === lesson.dataset) { lesson.listed.delete(last.id); tally(last.said.label, -1); }
      last.id = "";
    });
    if (last.id) { lesson.queue = others(); lesson.done.push(last); }
    showLesson();
  }));
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
    const scores = await post("classify", form([await small(image)], {task: lesson.name}), wanted);
    if (!wanted()) return;
    lesson.guess = Object.fromEntries(scores.map(each => [each.label, each.score]));
    showAnswers();
  });
}

/** Looks at what the task has learnt, at least once and `ms` long, until it has seen all that was said. */
async function watch(ms = 0) {
  const mine = ++lesson.watching, wanted = () => mine === lesson.watching && lesson.task && !$("teach").hidden, until = Date.now() + ms;
  await tried(async () => {
    for (let teaching = true; wanted() && (teaching || Date.now() < until); await later(POLL_MS)) {
      const {taught} = await get(pathOf(lesson.name), wanted), news = JSON.stringify(taught) !== JSON.stringify(lesson.task?.taught);
      if (!wanted()) return;
      teaching = taught?.teaching;
      lesson.task.taught = taught;
      if (news) showLearnt();
    }
  });
}

function showLesson() {
  const {queue, done} = lesson, [image] = queue, waiting = done.filter(each => !each.id).length, foldered = inFolders().length;
  stageShows($("teach-stage"), image, image ? image.name : done.length ? "All done. Drop more" : "Drop images or a folder, or choose");
  $("queue").textContent = joined([queue.length && `${count(queue.length)} to go`, done.length && `${count(done.length)} labelled`, waiting && `${count(waiting)} being sent`]);
  fill("by-folder", foldered > 0 && button(`Label ${plural(foldered, "image")} by their folders`, byFolder));
  showAnswers();
  showLearnt();
  if (lesson.task && image !== lesson.guessed) guess();
}

function showAnswers() {
  const {labels, task, guess: shares} = lesson, disabled = !lesson.queue.length, best = shares && Math.max(...Object.values(shares)), buttons = () => [...$("answers").querySelectorAll("button")], focused = buttons().indexOf(document.activeElement);
  $("saying").hidden = !task;
  $("sentence").disabled = $("skip").disabled = disabled;
  $("undo").disabled = !lesson.done.length;
  if (!task) return fill("answers", el("p", "Show a saved question some images: five of each label already help. Its answers are better within seconds, and no other question changes."), soft("Choose a question above, or ", el("a", {href: "#ask"}, "write one and save it"), "; then drop images here."));
  fill("answers", soft(disabled ? "The labels of this question. Drop images at the left to begin." : "What is it? The bars are what the model takes it for."),
    el("div.rows", labels.map((label, i) => button([bar(shares?.[label]), el("kbd", {hidden: i >= KEYS}, i + 1), el("span.name", label), el("span.n", shares && whole(shares[label] || 0))], () => sayLabel(label), "row" + (best && shares[label] === best ? ".best" : ""), {disabled, ariaLabel: label}))));
  buttons()[focused]?.focus();
}

const STATES = {live: "answers by what it was taught", words: "answers by its words", paused: "answers by its words, as you asked"};

function showLearnt() {
  const {task, name} = lesson, taught = task?.taught, found = taught?.learnt, counts = lesson.labels.map(label => [label, lesson.counts[label] ?? 0]), lacking = counts.filter(([, images]) => images < ENOUGH), most = Math.max(ENOUGH, ...Object.values(lesson.counts));
  const change = (words, method, body, properties) => button(words, async () => { task.taught = (await api(pathOf(name) + "/teach", {method, body})).body; showLearnt(); watch(); }, "btn", properties);
  const made = taught?.heads || [], curve = made.filter(each => each.model_version === found?.model_version).map(each => [each.images, each.after.accuracy]).reverse();
  const heads = made.map(each => [moment(each.created), each.images, whole(each.after.accuracy), each.sha256 === taught.head ? el("span.tag", "answers") : change("Bring back", "POST", {head: each.sha256}, {disabled: each.model_version !== found?.model_version})]);
  fill("learnt", task && [el("div.line", el("h2", "What it has learnt"), taught && el("span.tag", {role: "status"}, taught.teaching ? "looking at the images" : STATES[taught.state])),
    found?.after ? [el("p.big", `${whole(found.before.accuracy)} → ${whole(found.after.accuracy)}`), soft(`Right on ${plural(sum(Object.values(found.images)), "annotated image")}, by words alone and as taught; each is answered as if it had not been shown.`)]
      : soft("Its accuracy will stand here when two labels have two images each."),
    curve.length > 1 && lines(curve, "images", "Accuracy by the number of images"), found?.reason && para(found.reason), found?.advice.map(each => soft(sentence(each))),
    el("div.line", taught?.state === "live" && change("Back to its words", "DELETE"), taught?.state === "paused" && change("Teach it again", "POST", {}), el("a", {href: "#ask?task=" + name}, "Ask it")),
    heads.length > 0 && el("details", {id: "heads", open: Boolean($("heads")?.open)}, el("summary", "What it was taught before"), table(["Made", "Images", "Right", ""], heads))]);
  $("balance").hidden = !task;
  fill("shares", el("div.balance", counts.map(([label, images]) => [el("span", label), el("progress", {max: most, value: images, ariaLabel: label}), el("span.n", images)])),
    soft(lacking.length ? `Sixteen of each are a good start: ${lacking.slice(0, 4).map(([label, images]) => `${ENOUGH - images} more of ${label}`).join(", ")}${lacking.length > 4 ? " …" : "."}` : "Enough of each."),
    el("p", "Images teach this question at once. A training changes the model itself: it takes longer, and every question gains."),
    button(`Train on ${plural(lesson.records, "image")}`, train, "btn.main", {disabled: !lesson.records}));
  showAnnotated();
}

const doubted = () => (lesson.task?.taught?.learnt?.doubtful || []).filter(each => !lesson.settled.has(each.id));

/** Of what is annotated for this question, or of that what the model takes for something else: as much as was chosen. */
function chosen() {
  const {listed, disagrees, name} = lesson, label = $("of-label").value, split = $("of-split").value, doubts = byId(doubted());
  return [...(disagrees ? doubts : listed).values()].map(each => ({...each, ...doubts.get(each.id)})).filter(each => (!each.task || each.task === name) && (!label || each.label === label) && (!split || (each.split || "drawn") === split));
}

function showAnnotated() {
  const all = chosen(), some = all.slice(0, lesson.most), now = JSON.stringify(some);
  $("annotated").hidden = !lesson.task || !lesson.records && !some.length;
  $("disagrees").textContent = `Model disagrees (${doubted().length})`;
  $("disagrees").ariaPressed = String(lesson.disagrees);
  $("few").textContent = some.length ? "" : "None is.";
  $("more").hidden = all.length <= some.length && (lesson.disagrees || !lesson.next);
  if (now === lesson.shown) return;  // or pictures would flicker, and whoever is at a button lose it
  lesson.shown = now;
  fill("pictures", some.map(each => {
    const {label, answer} = each, shown = el("img", {alt: label ? "an image labelled " + label : "an image"}), settle = () => { lesson.settled.add(each.id); showLearnt(); };
    annotated(each.image).then(url => { shown.src = url; }, () => { lesson.shown = null; shown.replaceWith(el("span.none", "no picture")); });
    return el("div", shown, answer ? [el("p", `Said ${label}, looks like ${answer} (${whole(each.doubt)})`), button("It is " + answer, async () => { await relabel(each); settle(); }), button("It is " + label, settle)]
      : el("p", joined([label || [each.sentences].flat()[0], each.split])));
  }));
}

/** Shows the first of what was chosen, or so many of it, for which the dataset is read on. */
const showMore = (most = SHOWN) => tried(async () => {
  Object.assign(lesson, {most});
  showAnnotated();
  for (let pages = 0; pages < PAGES && lesson.next && !lesson.disagrees && chosen().length < lesson.most; pages++) {
    const {dataset, next: after} = lesson, {annotations, next} = await get(`annotations?dataset=${place(dataset)}&after=${after}`);
    if (lesson.next !== after) return;
    Object.assign(lesson, {next, listed: new Map([...lesson.listed, ...byId(annotations)])});
    showAnnotated();
  }
});
$("disagrees").onclick = () => { lesson.disagrees = !lesson.disagrees; showMore(); };
$("more").onclick = () => showMore(lesson.most + SHOWN);
$("skip").onclick = skip;
$("undo").onclick = undo;
$("saying").onsubmit = event => {
  event.preventDefault();
  if (!$("sentence").value.trim()) return;
  say({sentences: $("sentence").value});
  $("saying").reset();
};
$("dataset").onchange = () => { lesson.dataset = $("dataset").value; tried(() => counted()).then(showLesson).then(() => showMore()); };
choices($("of-split"), SPLITS, "", () => showMore());

/** Where this page shows an annotated image: as it has sent it, or as the API shrinks it, a few at a time. */
async function annotated(sha256) {
  const {pictures, lanes} = lesson, lane = Object.keys(pictures).length % LANES;
  pictures[sha256] ??= lanes[lane] = (lanes[lane] || Promise.resolve()).catch(() => {}).then(() => get(`images/${sha256}?size=${CONTRACT.thumbnail_px}`)).then(({thumbnail}) => JPEG + thumbnail).catch(problem => { delete pictures[sha256]; throw problem; });
  return pictures[sha256];
}

async function relabel({id, dataset, label: old, answer: label}) {
  const path = `annotations/${id}?dataset=${dataset}`, {body: {sentences, task, split}, headers} = await api(path), listed = lesson.listed.get(id);
  await api(path, {method: "PUT", headers: {"if-match": headers.get("etag")}, body: {sentences, label, task, split}});
  if (listed) listed.label = label;
  tally(old, -1);
  tally(label, 1);
  watch(WATCHED_MS);
}

/** The object that a text holds, or null. */
function parsed(text) {
  try { return Object(JSON.parse(text || "{}")); } catch { return null; }
}

/** First what a training would find, take and cost, then the training. */
async function train() {
  const {dataset} = lesson, check = await post("trainings?dry_run=true", {dataset}), dollars = usd => usd === null ? "" : `, $${usd.toFixed(2)}`;
  if (!check.starts) return dialog("Not enough to train on yet", check.missing.map(para));
  const promote = choice("Afterwards", [["manual", "I promote the model myself, if it is better"], ["auto", "Promote it by itself if it is better"]], "manual");
  const given = el("input.field", {placeholder: '{"epochs": 20}', autocomplete: "off", oninput: () => given.setCustomValidity(parsed(given.value) ? "" : 'Write it as JSON, like {"epochs": 20}')});
  const isBegun = await dialog(`Train on ${plural(check.counted, "annotation")}`, [el("p.big", `about ${duration(check.estimated_s)}${dollars(check.estimated_usd)}`),
    soft(`${count(check.steps)} steps from ${check.base_version ?? "what is live"}; ${Object.entries(check.images).map(([split, images]) => `${count(images)} images for ${split}`).join(", ")}. At most ${duration(check.max_runtime_s)}${dollars(check.max_usd)}. Estimated ${check.estimate}.`),
    check.warnings.map(para), el("label", "Afterwards", promote), el("label", "Hyperparameters as JSON, if not as usual", given)], "Train");
  if (!isBegun) return;
  await create("trainings", {dataset, promote: promote.value, hyperparameters: parsed(given.value)});
  location.hash = "#models";
}

function teachKeys({key: pressed}) {
  const label = lesson.labels[pressed - 1];
  if (label) sayLabel(label);
  else if (pressed === "ArrowRight") skip();
  else if (pressed === "z") undo();
}
