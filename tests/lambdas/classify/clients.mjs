// Ordinary clients of JavaScript against an API: `node clients.mjs URL KEY IMAGE` prints what each was answered, as JSON.
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { InferenceClient } from "@huggingface/inference";
import axios from "axios";

const [url, key, file] = process.argv.slice(2);
const image = await readFile(file);
const labels = ["a cat, or a kitten", "dog"];
const blob = new Blob([image], { type: "image/jpeg" });
const keyed = { "x-api-key": key };

const huggingFace = new InferenceClient(key, { endpointUrl: `${url}/classify` });
const asked = { parameters: { candidate_labels: labels } };
const form = new FormData();
form.append("image", blob, "cat.jpg");
for (const label of labels) form.append("candidate_labels", label);
const page = new FormData(); // as browsers send a form in which little was filled in
page.append("image", blob, "cat.jpg");
page.append("image", new Blob([], { type: "application/octet-stream" }), "");
page.append("candidate_labels", JSON.stringify(labels));
for (const name of ["hypothesis_template", "top_k", "threshold", "task"]) page.append(name, "");
page.append("multi_label", "on");

async function fetched(body, headers = {}, query = "") {
  const response = await fetch(`${url}/classify${query}`, { method: "POST", body, headers: { ...keyed, ...headers } });
  return response.json();
}

const base64 = image.toString("base64");
const json = { "content-type": "application/json" };
const query = new URLSearchParams(labels.map((label) => ["candidate_labels", label]));
const answers = {
  huggingface: await huggingFace.zeroShotImageClassification({ inputs: { image: blob }, ...asked }),
  huggingface_blob: await huggingFace.zeroShotImageClassification({ inputs: blob, ...asked }),
  fetch_form: await fetched(form),
  fetch_page: await fetched(page),
  fetch_blob: await fetched(blob, {}, `?${query}`),
  fetch_x_image: await fetched(image, { "content-type": "application/x-image" }, `?${query}`),
  fetch_nulls: await fetched(
    JSON.stringify({
      inputs: `DATA:image/jpeg;BASE64,${base64}`,
      parameters: { candidate_labels: labels, multi_label: null, top_k: null, threshold: null, tasks: null, task: null },
    }),
    json,
  ),
  axios: (await axios.post(`${url}/classify`, { inputs: base64, ...asked }, { headers: keyed })).data,
  axios_query: (
    await axios.post(`${url}/classify`, image, {
      params: { candidate_labels: labels },
      headers: { ...keyed, "content-type": "image/jpeg" },
    })
  ).data,
  axios_form: (
    await axios.postForm(
      `${url}/classify`,
      { image: createReadStream(file), candidate_labels: labels },
      { headers: keyed },
    )
  ).data,
};
const wrong = new InferenceClient("another key", { endpointUrl: `${url}/classify` });
answers.wrong_key = await wrong.zeroShotImageClassification({ inputs: blob, ...asked }).catch((error) => error.httpResponse.status);
console.log(JSON.stringify(answers));
