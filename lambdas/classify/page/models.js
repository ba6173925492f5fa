// Models: trainings that run, versions with their verdicts, what a training changed, promotions and the way back.
const OVER = ["done", "refused", "failed", "stopped"];
const PHASES = {queued: "waiting", snapshot: "writing the data down", gating: "judging", reading: "reading the images", choosing: "choosing the mixture"};
const ledger = {turn: 0};
const versionPath = version => "models/" + place(version);

function startModels(query) {
  const mine = ++ledger.turn, wanted = () => mine === ledger.turn && !$("models").hidden, chosen = decodeURIComponent(query.match(/version=([^&]*)/)?.[1] || "");
  return tried(async () => {
    for (let seen; wanted(); await later(POLL_MS)) {
      const [{models, rolling_out: rolling}, {trainings}] = await Promise.all([get("models"), get("trainings?limit=10")]);
      const running = await Promise.all(trainings.filter(each => !OVER.includes(each.state)).map(each => get("trainings/" + each.id)));
      if (!wanted()) return;
      showTrainings(running, trainings[0], rolling);
      const version = chosen || (models.findLast(each => each.source === "training") || models.find(each => each.live) || models[0]).version, now = JSON.stringify([models, rolling]);
      if (now !== seen) { showVersions(models, rolling, version); await showVersion(version, models); }
      seen = now;
      if (!running.length && !rolling) return;
    }
  });
}

function showTrainings(running, last, rolling) {
  const focused = document.activeElement?.id, ended = last && OVER.includes(last.state) && last.state !== "done" && last;
  fill("running", rolling && el("div.note", {role: "status"}, el("b", rolling.version), ` is going live: ${rolling.state}. What is live now answers until then.`), running.map(trainingCard),
    ended && el("div.card", el("h2", `The training on ${ended.dataset} ${{refused: "made no better model", stopped: "was stopped"}[ended.state] || "failed"}`), el("p", sentence(ended.reason || "no reason is known"))));
  if (focused && $("running").contains($(focused))) $(focused).focus();
}

function trainingCard({id, dataset, state, phase, step, steps, left_s: left, estimated_s: whole_s, history = [], metrics}) {
  const stop = async () => { if (await dialog("Stop this training?", el("p", "What it has saved is kept, but no model comes of it."), "Stop it")) await tried(() => api("trainings/" + id, {method: "DELETE"})); };
  const curves = [["loss", tidy, null], ["accuracy", whole, 1]].map(([name, show, top]) => [name, history.filter(each => each[name] >= 0).map(each => [each.step, each[name]]), show, top]).filter(each => each[1].length > 1);
  return el("div.card", el("div.line", el("h2", "Training on " + dataset), el("span.soft.n", joined([PHASES[phase || state] || phase || state, steps && `step ${count(step || 0)} of ${count(steps)}`, left ? duration(left) + " left" : !step && whole_s && `about ${duration(whole_s)} in all`])), button("Stop", stop, "btn", {id: "stop-" + id, "aria-label": "Stop the training on " + dataset})),
    el("progress", {value: steps ? (step || 0) / steps : 0, "aria-label": "Progress"}), el("p.soft.n", joined(Object.entries(metrics).filter(([name]) => /loss|accuracy/.test(name)).map(([name, value]) => `${name.replace("train:", "").replace(":", " ")} ${tidy(value)}`))),
    el("div.grid", curves.map(([name, points, show, top]) => el("div", el("h3", name), lines([[name, "a", points]], "step", name + " by step", show, top)))));
}

const verdictTag = gate => gate ? gate.passed ? el("span.tag", "passed") : el("span.tag.no", "refused") : "–";

function showVersions(models, rolling, chosen) {
  fill("versions", el("h2", "Versions of the model"), el("div.scroll", el("table", el("tr", ["Version", "From", "Data", "Made", "Verdict", ""].map(name => el(["From", "Data", "Made"].includes(name) ? "th.wide" : "th", name))),
    models.toReversed().map(each => el(each.version === chosen ? "tr.on" : "tr", el("td", el("a", {href: "#models?version=" + place(each.version)}, each.version)), el("td.wide", each.parent || {import: "brought along", image: "the image"}[each.source] || "–"), el("td.wide", each.dataset || "–"), el("td.n.wide", each.created.slice(0, 16).replace("T", " ") || "–"), el("td", verdictTag(each.gate)),
      el("td", each.live ? el("span.tag", "live") : button("Promote", () => tried(() => promote(each)), "btn", {"aria-label": "Promote " + each.version, disabled: Boolean(rolling)}))))),
  ), models.length < 2 && el("p.soft", "So far only the model that came with the image. A training makes the next: ", el("a", {href: "#teach"}, "teach it"), "."));
}

async function promote({version}, back) {
  const {gate, verdict, metrics} = await get(versionPath(version)), refused = gate && !gate.passed;
  const typed = refused && el("label", `The gate refused it. To promote it all the same, write its name: ${version}`, el("input.field", {required: true, pattern: version.replaceAll(".", "\\."), autocomplete: "off"}));
  const go = await dialog(`${back ? "Roll back to" : "Promote"} ${version}?`, [said(gate, verdict) || el("p", back ? "It was live before." : "No training made it, so nothing is known of how it compares."), typed,
    el("p.soft", "What is live now answers until the new one does, and comes back by itself if that does not answer as it should.")], back ? "Roll back" : "Promote");
  if (!go) return;
  await api(versionPath(version) + "/promote", {method: "POST", body: {force: Boolean(refused)}, headers: creating()});
  show();
}

/** The gate's verdict in words. */
const said = (gate, verdict) => gate && el(gate.passed ? "p" : "p.wrong", verdict);

const accuracies = figures => Object.entries(figures || {}).filter(([, each]) => each?.accuracy >= 0).map(([name, each]) => [name, each.accuracy]);
const mean = pairs => sum(pairs.map(([, accuracy]) => accuracy)) / pairs.length;

async function showVersion(version, models) {
  const {metrics: m, gate, verdict, promotion, live, ...model} = await get(versionPath(version)), card = (title, ...content) => el("div.card", el("h2", title), content);
  const pairs = (now, before, change, also = "") => accuracies(now).filter(([name]) => before?.[name]?.accuracy >= 0).map(([name, after]) => [name + also, before[name].accuracy, after, change?.[name]?.low >= -1 && [before[name].accuracy + change[name].low, before[name].accuracy + change[name].high]]);
  const rows = [...pairs(m.new, m.new_before, m.new_change, " (new)"), ...pairs(m.world, m.world_before, m.world_change)], guessed = accuracies(m.world).map(([name, after]) => [name, m.world[name].chance || 0, after]);
  const now = accuracies(m.new), before = accuracies(m.new_before), curve = (m.learning_curve || []).filter(each => each.validation_accuracy >= 0).map(each => [each.step, each.validation_accuracy]);
  const previous = live && promotion && models.find(each => each.artifact_s3_uri === promotion.previous_s3_uri && !each.live);
  const facts = {"Comes from": model.parent || model.source, Dataset: model.dataset, Knows: model.knows, Licence: model.licence, "Served as": model.served_version, "sha256 of its data": model.data_digest, Checkpoint: model.artifact_s3_uri, Steps: m.step};
  fill("detail", el("div.line", el("h2", version), live && el("span.tag", "live"), previous && button("Roll back to " + previous.version, () => tried(() => promote(previous, true))), promotion?.state === "failed" && el("span.wrong", `did not go live: ${promotion.reason}`)),
    el("div.grid", gate && card(gate.passed ? "The verdict: passed" : "The verdict: refused", now.length > 0 && before.length > 0 && el("p.big", `${whole(mean(before))} → ${whole(mean(now))}`), said(gate, verdict)),
      rows.length > 0 ? card("Before and after, task by task", dumbbells(rows, "Accuracy before and after, by task"), el("p.soft", "Hollow: its base. Filled: this version, with its 95 % interval.")) : guessed.length > 0 && card("How well it does", dumbbells(guessed, "Accuracy by task"), el("p.soft", "Hollow: guessing. Filled: this version.")),
      curve.length > 1 && card("While it learnt", lines([["accuracy", "a", curve]], "step", "Validation accuracy by step")), await reported(version, card),
      card("Recipe", el("table", Object.entries(facts).filter(([, value]) => value).map(([name, value]) => el("tr", el("th", name), el("td", value)))), m.hyperparameters && el("details", el("summary", "Hyperparameters"), el("pre", {tabIndex: 0}, Object.entries(m.hyperparameters).map(([name, value]) => `${name} = ${value}`).join("\n"))))));
}

/** What the training's report adds, where the API has reports. */
async function reported(version, card) {
  if (!(await openapi()).paths["/models/{version}/report"]) return [];
  const report = await get(versionPath(version) + "/report").catch(() => null);
  return report && [...report.confusions.map(({task, labels, counts}) => card("Taken for: " + (task || "label"), el("div.scroll", el("table", el("tr", el("th", "Is"), labels.map(label => el("th", short(label, 12)))),
    labels.map((label, i) => el("tr", el("th", label), counts[i].map(images => shaded(el("td.n", images), images / (sum(counts[i]) || 1))))))))),
  report.mistakes.length > 0 && card("Worst mistakes", el("div.pictures", report.mistakes.map(each => el("div", el("img", {src: "data:image/jpeg;base64," + each.thumbnail, alt: ""}), el("p", `${each.truth}, taken for ${each.said} (${whole(each.score)})`))))),
  card("Report", el("p", report.outcome), el("a", {href: report.html_url, target: "_blank"}, "The whole report"))];
}

function shaded(cell, share) {
  cell.style.background = `color-mix(in srgb, var(--tint) ${100 * share}%, transparent)`;
  return cell;
}
