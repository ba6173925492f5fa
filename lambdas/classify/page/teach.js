// Teach: images one after the other, what is true of each, and what the task has learnt by that.
const ENOUGH = 16, SHOWN_DOUBTFUL = 8, AT_ONCE = 32, KEYS = 9, QUIET = 20;
const lesson = {queue: [], outbox: [], sending: null, watching: 0, turn: 0, pictures: new Map(), settled: new Set()};

/** Another task, or none, from the beginning. */
const fresh = name => Object.assign(lesson, {name, dataset: name, task: null, taught: null, labels: [], counts: {}, records: 0, done: [], curve: [], guess: null, guessed: null, relabelled: 0});
fresh("");

function startTeach(query) {
  return tried(async () => {
    const names = (await tasks()).filter(each => !each.multi_label).map(each => each.name), wanted = query.match(/task=([^&]*)/)?.[1] || lesson.name;
    fill("lesson", ["", ...names].map(name => el("option", {value: name}, name || (names.length ? "Choose a question" : "No saved question yet"))));
    $("lesson").value = names.includes(wanted) ? wanted : names.length === 1 ? names[0] : "";
    if ($("lesson").value !== lesson.name) await choose($("lesson").value);
    showLesson();
    watch();
  });
}

async function choose(name) {
  fresh(name);
  history.replaceState(null, "", name ? "#teach?task=" + name : "#teach");
  if (!name) return;
  lesson.task = await get(pathOf(name));
  lesson.labels = lesson.task.candidate_labels.map(each => each.label);
  learnt(lesson.task.taught);
  await counted();
}

/** How many images each label has, as the dataset says. */
async function counted() {
  const {counts} = await get(`annotations?limit=1&dataset=${place(lesson.dataset)}`), of = counts?.labels || {};
  lesson.records = counts?.records || 0;
  lesson.counts = Object.fromEntries(lesson.labels.map(label => [label, (of[lesson.name]?.[label] || 0) + (of[""]?.[label] || 0)]));
}

function pile(found) {
  lesson.queue.push(...found);
  showLesson();
}

function byFolder() {
  const taken = lesson.queue.filter(each => lesson.labels.includes(each.folder));
  lesson.queue = lesson.queue.filter(each => !taken.includes(each));
  for (const label of lesson.labels) send(taken.filter(each => each.folder === label), {label, task: lesson.name});
}

function tally(said, by) {
  if (said.label) lesson.counts[said.label] = (lesson.counts[said.label] || 0) + by;
}

/** Keeps what is said of images. */
function send(pictures, said) {
  const sent = pictures.map(picture => ({picture, said, dataset: lesson.dataset}));
  lesson.done.push(...sent);
  lesson.outbox.push(...sent);
  tally(said, sent.length);
  showLesson();
  if (!lesson.sending) lesson.sending = deliver();
}

/** One request after the other, each with all that waits and says the same. What is refused comes back to the front. */
async function deliver() {
  for (let first; (first = lesson.outbox[0]);) {
    const same = lesson.outbox.filter(each => JSON.stringify([each.said, each.dataset]) === JSON.stringify([first.said, first.dataset])).slice(0, AT_ONCE);
    const files = await Promise.all(same.map(each => shrunk(each.picture.file))), some = same.slice(0, fitting(files)), body = new FormData();
    for (const file of files.slice(0, some.length)) body.append("image", file, "image");
    for (const [name, value] of Object.entries({...first.said, dataset: first.dataset})) body.append(name, value);
    await tried(async () => {
      const stored = [(await api("annotations", {method: "POST", body, headers: creating()})).body].flat(), bad = stored.find(each => each.detail);
      stored.forEach(({id, image, new: isNew}, i) => { some[i].id = id; lesson.pictures.set(image, some[i].picture.url); if (isNew) lesson.records++; });
      if (bad) throw new Problem(bad.status, bad.detail);
    });
    lesson.outbox = lesson.outbox.filter(each => !some.includes(each));
    const refused = some.filter(each => !each.id && lesson.done.includes(each));
    for (const each of refused) tally(each.said, -1);
    lesson.done = lesson.done.filter(each => !refused.includes(each));
    lesson.queue.unshift(...refused.map(each => each.picture));
    showLesson();
    watch();
  }
  lesson.sending = null;
}

async function undo() {
  const last = lesson.done.pop();
  if (!last) return;
  lesson.queue.unshift(last.picture);
  tally(last.said, -1);
  showLesson();
  await lesson.sending;
  if (last.id) await tried(async () => { await api(`annotations/${last.id}?dataset=${last.dataset}`, {method: "DELETE"}); lesson.records--; });
  watch();
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
  const [image] = lesson.queue, mine = ++lesson.turn, body = new FormData();
  Object.assign(lesson, {guess: null, guessed: image});
  await later(TYPED_MS);
  if (!image || !lesson.task || mine !== lesson.turn) return;
  await tried(async () => {
    body.append("image", await (image.small ??= shrunk(image.file)), "image");
    body.append("task", lesson.name);
    const found = (await api("classify", {method: "POST", body}, () => mine === lesson.turn)).body;
    if (mine !== lesson.turn) return;
    lesson.guess = Object.fromEntries(found.map(each => [each.label, each.score]));
    showAnswers();
  });
}

function learnt(taught) {
  lesson.taught = taught;
  const {images, before, after} = taught?.learnt || {}, last = lesson.curve.at(-1);
  if (!after) return;
  const shown = sum(Object.values(images));
  if (last?.[0] !== shown || last[2] !== after.accuracy) lesson.curve.push([shown, before.accuracy, after.accuracy]);
}

/** Looks at what the task has learnt until it has seen all that was said. */
async function watch() {
  const mine = ++lesson.watching, wanted = () => mine === lesson.watching && lesson.task && !$("teach").hidden;
  await tried(async () => {
    for (let quiet = 0; wanted() && quiet < QUIET; await later(POLL_MS)) {
      const {taught} = await get(pathOf(lesson.name), wanted);
      if (!wanted()) return;
      const news = JSON.stringify(taught) !== JSON.stringify(lesson.taught);
      learnt(taught);
      if (news) showLearnt();
      quiet = news || taught?.teaching || lesson.sending ? 0 : quiet + 1;
      if (!quiet || lesson.done.length || lesson.relabelled) continue;
      return;
    }
  });
}

function showLesson() {
  const {queue, outbox: {length: waiting}, done: {length: kept}} = lesson, [image] = queue, foldered = queue.filter(each => lesson.labels.includes(each.folder)).length;
  stageShows($("teach-stage"), image, image ? image.name : kept ? "All done. Drop more" : "Drop images or a folder, or choose");
  fill("next", queue.slice(1, 7).map((each, i) => thumbnail(each, false, () => { queue.unshift(...queue.splice(i + 1, 1)); showLesson(); })));
  $("queue").textContent = joined([queue.length && `${count(queue.length)} to go`, kept && `${count(kept)} labelled`, waiting && `${count(waiting)} being sent`]);
  $("by-folder").hidden = !foldered;
  $("by-folder").textContent = `Label ${plural(foldered, "image")} by their folders`;
  showAnswers();
  showLearnt();
  if (image !== lesson.guessed) guess();
}

function showAnswers() {
  const {labels, guess: shares} = lesson, disabled = !lesson.queue.length, best = shares && Math.max(...Object.values(shares));
  const focused = [...$("answers").querySelectorAll("button, input")].indexOf(document.activeElement);
  if (!lesson.task) return fill("answers", el("p", "Show a saved question some images: five of each label already help. Its answers are better within seconds, and no other question changes."), el("p.soft", "Choose a question above, or ", el("a", {href: "#ask"}, "write one and save it"), "; then drop images here."));
  const field = el("input.field", {value: $("sentence")?.value || "", id: "sentence", disabled, maxLength: 1000, placeholder: "Or a sentence that is true of it, then Enter", "aria-label": "A sentence that is true of the image",
    onkeydown: event => { if (event.key !== "Enter" || !field.value.trim()) return; const sentences = field.value; field.value = ""; say({sentences}); }});
  fill("answers", el("p.soft", disabled ? "The labels of this question. Drop images at the left to begin." : "What is it? The bars are what the model takes it for."),
    el("div.rows", labels.map((label, i) => button([bar(shares?.[label]), el("kbd", {hidden: i >= KEYS}, i + 1), el("span.name", label), el("span.n", shares && percent(shares[label] || 0, 0))], () => sayLabel(label), "row" + (best && shares[label] === best ? ".best" : ""), {disabled, "aria-label": label}))),
    field, el("div.line", button("Skip", skip, "btn", {disabled}), button("Undo", undo, "btn", {disabled: !lesson.done.length}), el("span.soft.keys", el("kbd", "1"), "–", el("kbd", "9"), " label ", el("kbd", "→"), " skip ", el("kbd", "z"), " undo")));
  if (focused >= 0) $("answers").querySelectorAll("button, input")[focused]?.focus();
}

const STATES = {live: "answers by what it was taught", words: "answers by its words", paused: "answers by its words, as you asked"};

function showLearnt() {
  const {task, taught, name, curve, counts, records} = lesson, found = taught?.learnt, lacking = Object.entries(counts).filter(([, images]) => images < ENOUGH), most = Math.max(ENOUGH, ...Object.values(counts));
  const change = (words, method) => button(words, () => tried(async () => { learnt((await api(pathOf(name) + "/teach", {method, ...method === "POST" && {body: {}}})).body); showLearnt(); watch(); }));
  fill("learnt", task && [el("div.line", el("h2", "What it has learnt"), taught && el("span.tag", {role: "status"}, taught.teaching ? "looking at the images" : STATES[taught.state])),
    found?.after ? [el("p.big", `${whole(found.before.accuracy)} → ${whole(found.after.accuracy)}`), el("p.soft", `Right on ${plural(sum(Object.values(found.images)), "annotated image")}, by words alone and as taught; each is answered as if it had not been shown. Calibration error ${found.before.calibration_error.toFixed(2)} → ${found.after.calibration_error.toFixed(2)}.`)]
      : el("p.soft", "Its accuracy will stand here when two labels have two images each."),
    curve.length > 1 && lines([["taught", "a", curve.map(([x, , after]) => [x, after])], ["words", "b", curve.map(([x, before]) => [x, before])]], "images", "Accuracy by the number of images"),
    found?.reason && el("p", sentence(found.reason)), found?.advice.map(each => el("p.soft", sentence(each))),
    el("div.line", taught?.state === "live" && change("Back to its words", "DELETE"), taught?.state === "paused" && change("Teach it again", "POST"), el("a", {href: "#ask?task=" + name}, "Ask it"))]);
  const dataset = el("input.field", {id: "dataset", value: lesson.dataset, pattern: "[a-z0-9][a-z0-9_\\-]*", "aria-label": "Dataset", onchange: () => { lesson.dataset = dataset.value; tried(counted).then(showLearnt); }});
  if (document.activeElement?.id !== "dataset") fill("balance", task && [el("div.line", el("h2", "Dataset"), dataset),
    el("div.balance", Object.entries(counts).map(([label, images]) => [el("span", label), el("div.share", width(el("i"), images / most)), el("span.n", images)])),
    el("p.soft", lacking.length ? `Sixteen of each are a good start: ${lacking.slice(0, 4).map(([label, images]) => `${ENOUGH - images} more of ${label}`).join(", ")}${lacking.length > 4 ? " …" : "."}` : "Enough of each."),
    el("p", "Images teach this question at once. A training changes the model itself: it takes longer, and every question gains."),
    button(`Train on ${plural(records, "image")}`, () => tried(train), "btn.main", {disabled: !records})]);
  showDoubtful(found?.doubtful.filter(each => !lesson.settled.has(each.id)).slice(0, SHOWN_DOUBTFUL) || []);
}

function showDoubtful(doubtful) {
  const now = JSON.stringify(doubtful);
  if (now === lesson.doubted && doubtful.length) return;
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

async function relabel({id, dataset, answer: label}) {
  const path = `annotations/${id}?dataset=${dataset}`, {body: {sentences, task, split}, headers} = await api(path);
  lesson.relabelled++;
  await api(path, {method: "PUT", headers: {"if-match": headers.get("etag")}, body: {sentences, label, task, split}});
  await counted();
  watch();
}

/** First what a training would find, take and cost, then the training. */
async function train() {
  const {dataset} = lesson, check = (await api("trainings?dry_run=true", {method: "POST", body: {dataset}})).body, usd = check.estimated_usd;
  if (!check.starts) return dialog("Not enough to train on yet", check.missing.map(each => el("p", sentence(each))));
  const promote = el("select.field", [["manual", "I promote the model myself, if it is better"], ["auto", "Promote it by itself if it is better"]].map(([value, words]) => el("option", {value}, words)));
  const body = await dialog(`Train on ${plural(check.counted, "annotation")}`, [el("p.big", `about ${duration(check.estimated_s)}${usd === null ? "" : `, $${usd.toFixed(2)}`}`),
    el("p.soft", `${count(check.steps)} steps from ${check.base_version ?? "what is live"}; ${Object.entries(check.images).map(([split, images]) => `${count(images)} images for ${split}`).join(", ")}. At most ${duration(check.max_runtime_s)}${check.max_usd === null ? "" : `, $${check.max_usd.toFixed(2)}`}. Estimated ${check.estimate}.`),
    check.warnings.map(each => el("p", sentence(each))), el("label", "Afterwards", promote)], "Train", () => ({dataset, promote: promote.value}));
  if (!body) return;
  await api("trainings", {method: "POST", body, headers: creating()});
  location.hash = "#models";
}

function teachKeys({key: pressed}) {
  if (pressed >= "1" && pressed <= String(Math.min(KEYS, lesson.labels.length)) && pressed.length === 1) sayLabel(lesson.labels[pressed - 1]);
  else if (pressed === "ArrowRight") skip();
  else if (pressed === "z") undo();
}

$("by-folder").onclick = byFolder;
$("lesson").onchange = () => tried(() => choose($("lesson").value)).then(() => { showLesson(); watch(); });
takesImages($("teach-stage"), pile);
