// The question on the page as a program asks it.
let language = "curl";

/** Parameters in the shortest form that says the same. */
function parameters() {
  const all = answerable(), [only] = all;
  if (all.length < 2) return only ? only.task ? {task: only.task} : only.body : {};
  return all.every(each => each.task) ? {task: all.map(each => each.task)} : {tasks: Object.fromEntries(all.map(each => [nameOf(each), each.body]))};
}

const CODE = {
  curl(said, name, url) {
    const labels = said.candidate_labels, plain = !said.tasks && (labels || []).every(each => each.includes && !each.includes(","));
    const fields = plain ? {...said, ...labels && {candidate_labels: labels.join(", ")}} : {parameters: said};
    return [`curl ${keyInShell()}-F ${inShell("image=@" + name)}`,
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
};

const showCode = () => { $("code").textContent = CODE[language](parameters(), asked.image?.name || "image.jpg", base + "classify"); };
choices($("language"), Object.keys(CODE), language, chosen => { language = chosen; showCode(); });
$("copy").onclick = () => copied($("copy"), $("code").textContent);
