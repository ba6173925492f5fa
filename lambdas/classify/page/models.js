// Models: trainings that run, versions with their verdicts, what a training changed, promotions and the way back.
const OVER = ["done", "refused", "failed", "stopped"];
const PHASES = {queued: "waiting", snapshot: "writing the data down", gating: "judging", reading: "reading the images", choosing: "choosing the mixture"};
const versionPath = version => "models/" + place(version);
let watchers = 0;

async function startModels(query) {
  const mine = ++watchers, wanted = () => mine === watchers && !$("models").hidden, chosen = new URLSearchParams(query).get("version");
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
}

function showTrainings(running, last, rolling) {
  const focused = document.activeElement?.id, ended = {refused: "made no better model", stopped: "was stopped", failed: "failed"}[last?.state];
  fill("running", rolling && el("div.note", {role: "status"}, el("b", rolling.version), ` is going live: ${rolling.state}. What is live now answers until then.`), running.map(trainingCard),
    ended && card(`The training on ${last.dataset} ${ended}`, para(last.reason || "no reason is known")));
  if (focused && $("running").contains($(focused))) $(focused).focus();
}

function trainingCard({id, dataset, state, phase, step, steps, left_s: left, estimated_s: whole_s, history = []}) {
  const stop = async () => { if (await dialog("Stop this training?", el("p", "What it has saved is kept, but no model comes of it."), "Stop it")) await api("trainings/" + id, {method: "DELETE"}); };
  const curves = [["loss", tidy, null], ["accuracy", whole, 1]].map(([name, ...shown]) => [name, history.filter(each => isKnown(each[name])).map(each => [each.step, each[name]]), ...shown]).filter(([, points]) => points.length > 1);
  return el("div.card", el("div.line", el("h2", "Training on " + dataset), el("span.soft.n", joined([PHASES[phase || state] || phase || state, steps && `step ${count(step || 0)} of ${count(steps)}`, left ? duration(left) + " left" : !step && whole_s && `about ${duration(whole_s)} in all`])), button("Stop", stop, "btn", {id: "stop-" + id, ariaLabel: "Stop the training on " + dataset})),
    el("progress", {value: steps ? (step || 0) / steps : 0, ariaLabel: "Progress"}), el("div.grid", curves.map(([name, points, show, top]) => el("div", el("h3", name), lines(points, "step", name + " by step", show, top)))));
}

function showVersions(models, rolling, chosen) {
  const wide = (words, what = "td") => el(what + ".wide", words || "–");
  const rows = models.toReversed().map(each => [el("td", {ariaCurrent: each.version === chosen}, el("a", {href: "#models?version=" + place(each.version)}, each.version)),
    wide(each.parent || {import: "brought along", image: "the image"}[each.source]), wide(each.dataset), wide(moment(each.created)),
    each.gate ? each.gate.passed ? el("span.tag", "passed") : el("span.tag.no", "refused") : "–",
    each.live ? el("span.tag", "live") : button("Promote", () => promote(each), "btn", {ariaLabel: "Promote " + each.version, disabled: Boolean(rolling)})]);
  fill("versions", el("h2", "Versions of the model"), table(["Version", ...["From", "Data", "Made"].map(each => wide(each, "th")), "Verdict", ""], rows),
    models.length < 2 && soft("So far only the model that came with the image. A training makes the next: ", el("a", {href: "#teach"}, "teach it"), "."));
}

async function promote({version}, back) {
  const {gate, verdict} = await get(versionPath(version)), refused = gate && !gate.passed, act = back ? "Roll back" : "Promote";
  const typed = refused && el("label", `The gate refused it. To promote it all the same, write its name: ${version}`, el("input.field", {required: true, pattern: version.replaceAll(".", "\\."), autocomplete: "off"}));
  const go = await dialog(`${act}${back ? " to" : ""} ${version}?`, [said(gate, verdict) || el("p", back ? "It was live before." : "No training made it, so nothing is known of how it compares."), typed,
    soft("What is live now answers until the new one does, and comes back by itself if that does not answer as it should.")], act);
  if (!go) return;
  await create(versionPath(version) + "/promote", {force: Boolean(refused)});
  show();
}

/** The gate's verdict in words. */
const said = (gate, verdict) => gate && el(gate.passed ? "p" : "p.wrong", verdict);

const accuracies = figures => Object.entries(figures || {}).filter(([, each]) => isKnown(each?.accuracy)).map(([name, each]) => [name, each.accuracy]);

async function showVersion(version, models) {
  const {metrics: m, gate, verdict, promotion, live, ...model} = await get(versionPath(version));
  const pairs = (now, before, change, also = "") => accuracies(now).filter(([name]) => isKnown(before?.[name]?.accuracy)).map(([name, after]) => [name + also, before[name].accuracy, after, isKnown(change?.[name]?.low) && [before[name].accuracy + change[name].low, before[name].accuracy + change[name].high]]);
  const changes = [...pairs(m.new, m.new_before, m.new_change, " (new)"), ...pairs(m.world, m.world_before, m.world_change)], rows = changes.length ? changes : accuracies(m.world).map(([name, after]) => [name, m.world[name].chance || 0, after]);
  const before = m.before?.validation_accuracy, after = m.after?.validation_accuracy, curve = (m.learning_curve || []).filter(each => isKnown(each.validation_accuracy)).map(each => [each.step, each.validation_accuracy]);
  const {alpha, sentence: choice, max_forgetting: limit, frontier: measured} = m.interpolation || {}, mixtures = (measured || []).filter(each => isKnown(each.new) && isKnown(each.mean_drop_at_most));
  const previous = live && promotion && models.find(each => each.artifact_s3_uri === promotion.previous_s3_uri && !each.live);
  const facts = {"Comes from": model.parent || model.source, Dataset: model.dataset, Knows: model.knows, Licence: model.licence, "Served as": model.served_version, "sha256 of its data": model.data_digest, Checkpoint: model.artifact_s3_uri, Steps: m.step};
  fill("detail", el("div.line", el("h2", version), live && el("span.tag", "live"), previous && button("Roll back to " + previous.version, () => promote(previous, true)), promotion?.state === "failed" && el("span.wrong", `did not go live: ${promotion.reason}`)),
    el("div.grid", gate && card(gate.passed ? "The verdict: passed" : "The verdict: refused", isKnown(before) && isKnown(after) && el("p.big", `${whole(before)} → ${whole(after)}`), said(gate, verdict)),
      rows.length > 0 && card(changes.length ? "Before and after, task by task" : "How well it does", dumbbells(rows, changes.length ? "Accuracy before and after, by task" : "Accuracy by task"), soft(`Hollow: ${changes.length ? "its base" : "guessing"}. Filled: this version, with its 95 % interval where it is known.`)),
      mixtures.length > 1 && card("Mixtures of its base and what was fine-tuned", frontier(mixtures, alpha, limit, "Accuracy on the new by what the old tasks may have lost"), choice && para(choice), soft("Dots: shares of the fine-tuned weights, the published one filled. Upwards: right on the new. To the right: what the old tasks may have lost in the mean.")),
      curve.length > 1 && card("While it learnt", lines(curve, "step", "Validation accuracy by step")), model.source === "training" && await reported(version),
      card("Recipe", table([], Object.entries(facts).filter(([, value]) => value).map(([name, value]) => [el("th", name), value])), m.hyperparameters && el("details", el("summary", "Hyperparameters"), el("pre", {tabIndex: 0}, Object.entries(m.hyperparameters).map(([name, value]) => `${name} = ${value}`).join("\n"))))));
}

/** What the training's report adds: what was taken for what, and the worst mistakes. */
async function reported(version) {
  const report = await get(versionPath(version) + "/report").catch(() => null);
  return report && [report.confusions.map(({task, labels, counts}) => card("Taken for: " + (task || "label"), table(["Is", ...labels.map(each => short(each, 12))],
    labels.map((label, i) => [el("th", label), ...counts[i].map(images => {
      const cell = el("td.n", images);
      cell.style.background = `color-mix(in srgb, var(--tint) ${100 * images / (sum(counts[i]) || 1)}%, transparent)`;
      return cell;
    })])))),
  report.mistakes.length > 0 && card("Worst mistakes", el("div.pictures", report.mistakes.map(each => el("div", el("img", {src: JPEG + each.thumbnail, alt: ""}), el("p", `${each.truth}, taken for ${each.said} (${whole(each.score)})`))))),
  card("Report", el("a", {href: report.html_url, target: "_blank"}, "The whole report"))];
}
