// The question on the page as a program asks it.
let language = "curl";

const quoted = text => /^[\w ,.:/@%=-]+$/.test(text) ? `"${text}"` : `'${text.replaceAll("'", `'\\''`)}'`;

/** A JSON value as Python writes it. */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each)}`).join(", ")}}`;
  return {true: "True", false: "False"}[value] ?? JSON.stringify(value);
}

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
    return [`curl ${key ? '-H "x-api-key: $KEY" ' : ""}-F ${quoted("image=@" + name)}`,
      ...Object.entries(fields).map(([name, value]) => `  --form-string ${quoted(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`), `  "${url}"`].join(" \\\n");
  },
  Python: (said, name, url) => `import json, os
import requests

answer = requests.post(
    "${url}",${key ? '\n    headers={"x-api-key": os.environ["KEY"]},' : ""}
    files={"image": open(${JSON.stringify(name)}, "rb")},
    data={"parameters": json.dumps(${literal(said)})},
)
print(answer.json())`,
  JavaScript: (said, name, url) => `const form = new FormData();
form.append("image", file);  // from an <input type="file">, or a Blob
form.append("parameters", JSON.stringify(${JSON.stringify(said)}));
const answer = await fetch("${url}", {method: "POST",${key ? ' headers: {"x-api-key": KEY},' : ""} body: form});
console.log(await answer.json());`,
};

const showCode = () => { $("code").textContent = CODE[language](parameters(), asked.image?.name || "image.jpg", base + "classify"); };

async function copied(pressed, text) {
  await navigator.clipboard.writeText(text);
  const before = pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => { pressed.textContent = before; }, POLL_MS);
}

$("languages").replaceWith(segments({curl: "curl", Python: "Python", JavaScript: "JavaScript"}, language, chosen => { language = chosen; showCode(); }, "Language"));
$("copy").onclick = () => copied($("copy"), $("code").textContent);
