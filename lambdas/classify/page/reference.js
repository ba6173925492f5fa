// API: its own description, each operation with a request that can be copied or sent.
async function startReference() {
  if ($("api").hasChildNodes()) return;
  const spec = await get("openapi.json"), operations = Object.entries(spec.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, each]) => ({path, method: method.toUpperCase(), ...each})));
  fill("api", el("div.doc", el("nav", {ariaLabel: "Parts of the API"}, spec.tags.map(({name}) => button(name, () => $("tag-" + name).scrollIntoView(), "quiet"))),
    el("div.stack", card("", el("p", spec.info.description)),
      spec.tags.map(({name, description}) => el("div.card", {id: "tag-" + name}, el("h2", sentence(name).slice(0, -1)), soft(description), operations.filter(each => each.tags.includes(name)).map(each => operation(spec, each)))))));
  $("api").hidden = location.hash !== "#api";
}

const resolved = (spec, thing) => thing?.$ref ? thing.$ref.slice(2).split("/").reduce((at, name) => at[name], spec) : thing;
const exampleOf = content => content?.example ?? Object.values(content?.examples || {})[0]?.value;
const pretty = value => JSON.stringify(value, (_, each) => typeof each === "string" ? short(each, 120) : each, 2);

function typeOf(spec, schema) {
  const {type, anyOf, oneOf = anyOf, items, enum: values} = resolved(spec, schema) || {};
  return oneOf ? [...new Set(oneOf.map(each => typeOf(spec, each)))].filter(each => each !== "null").join(" or ") : values ? values.join(", ") : type === "array" ? "list of " + typeOf(spec, items) : type || "any";
}

function operation(spec, {path, method, summary, description, parameters = [], requestBody, responses, security}) {
  const json = requestBody?.content?.["application/json"], body = exampleOf(json), fields = resolved(spec, json?.schema)?.properties || {}, [status, success] = Object.entries(responses).find(([each]) => each[0] === "2"), example = exampleOf(Object.values(success.content || {})[0]), reads = method === "GET";
  const given = parameters.map(each => ({...each, field: reads && each.in !== "header" && el("input.field", {ariaLabel: each.name, oninput: () => { command.textContent = curl(); }})}));
  const address = () => given.filter(each => each.field?.value).reduce((at, {name, in: where, field}) => where === "path" ? at.replace(`{${name}}`, place(field.value)) : `${at}${at.includes("?") ? "&" : "?"}${name}=${place(field.value)}`, path.slice(1));
  const curl = () => `curl ${reads ? "" : `-X ${method} `}${security.length ? keyInShell() : ""}"${base}${address()}"${body === undefined ? "" : ` -H "content-type: application/json" -d ${inShell(pretty(body))}`}`;
  const command = el("pre", {tabIndex: 0, ariaLabel: "curl"}), output = el("pre", {tabIndex: 0, hidden: true, ariaLabel: "Answer"});
  const send = () => once(address()).then(({status, body}) => `${status}\n${pretty(body)}`, problem => `${problem.status}\n${problem.message}`).then(said => Object.assign(output, {hidden: false, textContent: said}));
  const rows = [...given.map(each => [each.name, each.in, each.schema, each.description, each.field]), ...Object.entries(fields).map(([name, schema]) => [name, "body", schema, resolved(spec, schema).description || schema.description])];
  return el("details.op", {ontoggle: () => { command.textContent = curl(); }}, el("summary", el("b.verb", method), el("code", path), el("span.soft", summary)), el("p", description),
    table([], rows.map(([name, where, schema, ...words]) => [el("code", name), el("td.soft", where), el("td.soft", short(typeOf(spec, schema), 50)), words])),
    el("div.line", el("h3", "Request"), button("Copy", event => copied(event.target, curl())), reads && path !== "/" && button("Send", send)), command, output, el("h3", `${status}: ${success.description}`), example && el("pre", {tabIndex: 0}, pretty(example)));
}
