// Which words fit an image? node examples/classify.mjs local/sample.png fish house tree
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { env, argv, exit } from "node:process";

const [, , file, ...labels] = argv;
if (labels.length < 2) {
  console.error("usage: node examples/classify.mjs FILE LABEL LABEL…");
  exit(2);
}
const local = async (name) => (await readFile(new URL(`../.local/${name}`, import.meta.url), "utf8")).trim();
const url = env.WORDSIGHT_URL ?? (await local("url"));
const key = env.WORDSIGHT_API_KEY ?? (await local("api-key"));

const form = new FormData();
form.append("image", new Blob([await readFile(file)]), basename(file));
form.append("parameters", JSON.stringify({ candidate_labels: labels }));
const answer = await fetch(`${url}/classify`, { method: "POST", headers: { "x-api-key": key }, body: form });
const said = await answer.json();
if (!answer.ok) {
  console.error(said.detail);
  exit(1);
}
for (const { label, score } of said) console.log(`${(100 * score).toFixed(1).padStart(5)} %  ${label}`);
