// Prints what Redocly's strictest rules find in an OpenAPI document: `node lint.mjs openapi.json`.
import { readFile } from "node:fs/promises";
import { createConfig, lintFromString } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended-strict"] });
const problems = await lintFromString({ source: await readFile(process.argv[2], "utf8"), config });
for (const { severity, ruleId, message, location } of problems)
  console.log(severity, ruleId, message, location[0]?.pointer);
