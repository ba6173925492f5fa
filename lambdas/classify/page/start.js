// The views by the address, the keyboard, and the beginning.
const VIEWS = {ask: () => changed(0), teach: startTeach, models: startModels, api: startReference};

/** What was refused or fetched with another key is asked anew. */
function useKey() {
  needs("");
  tasksChanged();
}

/** Shows the view that the address names, with what is new there. */
function show() {
  if (takeKey()) useKey();
  const [view, query = ""] = location.hash.slice(1).split("?"), name = view in VIEWS ? view : "ask";
  for (const each of Object.keys(VIEWS)) $(each).hidden = each !== name;
  for (const link of $("nav").children) link.ariaCurrent = link.hash === "#" + name ? "page" : null;
  if (name === "ask" && (!asked.questions.length || query && location.hash !== written())) read(query);
  tried(async () => VIEWS[name](query));
}

onhashchange = show;
onoffline = () => notice("This machine is offline.");
ononline = () => { notice(""); show(); };
document.onpaste = event => ($("teach").hidden ? take : pile)(images(event.clipboardData.files));
document.ondragover = event => event.preventDefault();
document.ondrop = async event => {
  event.preventDefault();
  for (const each of document.querySelectorAll(".over")) each.classList.remove("over");
  const found = await dropped(event.dataTransfer);
  if (!found.length) return notice("There is no image in what was dropped.");
  if (!$("teach").hidden) return pile(found);
  if ($("ask").hidden) location.hash = "#ask";
  take(found);
};
document.onkeydown = event => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open || event.target.matches("input:not([type=file]), textarea, select")) return;
  if (!$("teach").hidden) return teachKeys(event);
  if ($("ask").hidden || !["/", "o"].includes(event.key)) return;
  event.preventDefault();
  if (event.key === "o") $("file").click(); else asked.questions[0].labels.at(-1).input.focus();
};
$("key-button").onclick = () => { needs($("access").hidden ? "asked" : ""); $("key").focus(); };
$("access").onsubmit = event => {
  event.preventDefault();
  setKey($("key").value);
  useKey();
  show();
};

show();
look(asked.samples[0]);
takesImages($("stage"), take);
takesImages($("teach-stage"), pile);
health();
