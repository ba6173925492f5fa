// A client that openapi-typescript and openapi-fetch make of the API's description: `node generated.ts URL KEY BASE64`.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

declare const process: { argv: string[] };

const [baseUrl, key, image] = process.argv.slice(2);
const bytes = Uint8Array.from(atob(image), (character) => character.charCodeAt(0));
const blob = new Blob([bytes], { type: "application/octet-stream" });
const client = createClient<paths>({ baseUrl, headers: { "x-api-key": key } });
const candidate_labels = ["cat", "dog"];

const body: components["schemas"]["ClassifyBody"] = {
  inputs: { image },
  parameters: { candidate_labels },
};
const json = await client.POST("/classify", { body });
const raw = await client.POST("/classify", {
  params: { query: { candidate_labels, top_k: 1 } },
  body: blob as unknown as string,
  bodySerializer: (sent: unknown) => sent as Blob,
  headers: { "content-type": "application/octet-stream" },
});
const form = await client.POST("/classify", {
  body: { image: [blob as unknown as string], candidate_labels, multi_label: true },
  bodySerializer: (sent: unknown) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(sent as Record<string, unknown>))
      for (const each of Array.isArray(value) ? value : [value]) data.append(name, each instanceof Blob ? each : `${each}`);
    return data;
  },
});
const refused = await client.POST("/classify", { body: { inputs: "", parameters: { candidate_labels } } });
const task = await client.GET("/health");
console.log(
  JSON.stringify({
    json: json.data,
    raw: raw.data,
    form: form.data,
    refused: refused.error?.detail,
    health: task.data?.status,
  }),
);
