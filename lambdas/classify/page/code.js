// The question on the page as a program asks it.
let language = "curl";

/** Parameters in the shortest form that says the same. */
function parameters() {
  const all = answerable(), [only] = all;
  if (all.length < 2) return only ? only.task ? {task: only.task} : only.body : {};
  return all.every(each => each.task) ? {task: all.map(each => each.task)} : {tasks: Object.fromEntries(all.map(each => [nameOf(each), each.body]))};
}

/** Whether labels need no JSON: they have no sentences, nor what ends a label or begins a list. */
const isPlain = said => !said.tasks && (said.candidate_labels || []).every(each => each.trim && !/^\[|,/.test(each));
/** What `wordsight classify` calls the parameters. */
const FLAGS = {task: "task", candidate_labels: "labels", hypothesis_template: "template", multi_label: "multi-label", unknown: "unknown", top_k: "top-k", threshold: "threshold"};

/** A file as curl's -F takes it, which reads on after these marks. */
const attached = name => "image=@" + (/[;,"\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name);

const CODE = {
  curl(said, name, url) {
    const labels = said.candidate_labels, fields = isPlain(said) ? {...said, ...labels && {candidate_labels: labels.join(", ")}} : {parameters: said};
    return [`curl ${keyInShell()}-F ${inShell(attached(name))}`,
      ...Object.entries(fields).map(([name, value]) => `  --form-string ${inShell(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`), `  "${url}"`].join(" \\\n");
  },
  Python: (said, name, url) => `import os
import requests

answer = requests.post(
    "${url}",${key ? '\n    headers={"x-api-key": os.environ["KEY"]},' : ""}
    files={"image": open(${JSON.stringify(name)}, "rb")},
    data={"parameters": r"""${JSON.stringify(said)}"""},
)
print(answer.json())`,
  JavaScript: (said, name, url) => `const form = new FormData();
form.append("image", file);  // from an <input type="file">, or a Blob
form.append("parameters", JSON.stringify(${JSON.stringify(said)}));
const answer = await fetch("${url}", {method: "POST",${key ? ' headers: {"x-api-key": KEY},' : ""} body: form});
console.log(await answer.json());`,
  Shell(said, name, url) {
    // sentences, several questions and the like have no flags
    if (!isPlain(said) || Object.keys(said).some(each => !FLAGS[each])) return CODE.curl(said, name, url);
    const flags = Object.entries(said).flatMap(([member, value]) => (member === "candidate_labels" ? [value.join(", ")] : [value ?? []].flat())
      .map(each => `  --${FLAGS[member]}` + (each === true ? "" : "=" + inShell(String(each)))));
    return ["wordsight classify " + inShell(name.replace(/^-/, "./-")), ...flags, `  --url "${base}"` + (key && ' --api-key "$KEY"')].join(" \\\n");
  },
};

const showCode = () => { $("code").textContent = CODE[language](parameters(), asked.image?.name || "image.jpg", base + "classify"); };
choices($("language"), Object.keys(CODE), language, chosen => { language = chosen; showCode(); });
$("copy").onclick = () => copied($("copy"), $("code").textContent);
