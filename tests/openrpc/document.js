// Checks one OpenRPC document: against the official meta-schema with the official tools, and against
// the house rules that keep the stock generators working (each rule says why in README.md).
//
//   node document.js openrpc.json                    all checks of one document
//   node document.js openrpc.json --flat flat.json   and that flat.json is the same with '_' for '.'
"use strict";
const fs = require("fs");
const path = require("path");
const Ajv = require("ajv");
const { parseOpenRPCDocument, validateOpenRPCDocument } = require("@open-rpc/schema-utils-js");

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
const clone = (value) => JSON.parse(JSON.stringify(value));

/** JSON with sorted keys, to compare contents. */
const canonical = (value) =>
  JSON.stringify(value, (_, v) =>
    v && typeof v === "object" && !Array.isArray(v)
      ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, v[k]]))
      : v
  );

const REF = /^#\/components\/schemas\/([A-Za-z][A-Za-z0-9]*)$/;
const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
const SCOPE = /^([a-z][A-Za-z]*:(read|write)|admin)$/;
const VISIBILITIES = new Set(["own", "shared", "owner"]);

// What a parameter can't be called in the languages that the stock generators target.
const RESERVED_PARAMS = new Set(
  ("break case catch class const continue debugger default delete do else enum export extends false finally for function " +
    "if implements import in instanceof interface let new null package private protected public return static super " +
    "switch this throw true try typeof var void while with yield").split(" ")
);

// What the TypeScript template itself imports, declares or uses.
const RESERVED_TITLES = new Set(
  ("Client Options RequestManager HTTPTransport WebSocketTransport PostMessageWindowTransport PostMessageIframeTransport " +
    "JSONRPCError OpenRPC MethodObject ContentDescriptorObject MethodCallValidator MethodNotFoundError Promise Error").split(" ")
);

// JSON Schema draft-07, less what the generator reads wrongly or the generated validator refuses.
const KEYWORDS = new Set(
  ("title description type enum const properties required additionalProperties propertyNames items minItems maxItems " +
    "uniqueItems minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minProperties " +
    "maxProperties anyOf oneOf allOf not default contentEncoding contentMediaType readOnly writeOnly").split(" ")
);

/** The subschemas of a schema, each with the way to it. */
function* subschemas(schema, where) {
  for (const [name, sub] of Object.entries(schema.properties || {})) yield [sub, `${where}.${name}`];
  for (const key of ["anyOf", "oneOf", "allOf"])
    for (const [index, sub] of (schema[key] || []).entries()) yield [sub, `${where}/${key}[${index}]`];
  if (Array.isArray(schema.items))
    for (const [index, sub] of schema.items.entries()) yield [sub, `${where}/items[${index}]`];
  else if (schema.items) yield [schema.items, `${where}/items`];
  for (const key of ["additionalProperties", "propertyNames", "not"])
    if (schema[key] !== undefined && typeof schema[key] !== "boolean") yield [schema[key], `${where}/${key}`];
}

/** Titles are global to the generated code: one title, one content. */
const titles = new Map();

function checkSchema(schema, where, known) {
  if (schema === null || typeof schema !== "object" || Array.isArray(schema)) return fault(where, "a schema must be an object");
  if (schema.$ref !== undefined) {
    const target = REF.exec(schema.$ref);
    if (!target || !(target[1] in known)) fault(where, `$ref ${schema.$ref} does not name a schema of components.schemas`);
    if (Object.keys(schema).length > 1) fault(where, "$ref has siblings, which draft-07 ignores");
    return;
  }
  if (typeof schema.title !== "string" || !/^[A-Z][A-Za-z0-9]*$/.test(schema.title)) {
    fault(where, `needs a title that is a type name, has ${JSON.stringify(schema.title)}`);
  } else {
    if (RESERVED_TITLES.has(schema.title)) fault(where, `the generated client has its own ${schema.title}`);
    const key = schema.title.toLowerCase();
    const content = canonical(schema);
    const other = titles.get(key);
    if (other && other.content !== content) fault(where, `title ${schema.title} has another content at ${other.where}`);
    if (!other) titles.set(key, { content, where });
  }
  for (const key of Object.keys(schema))
    if (!KEYWORDS.has(key) && !key.startsWith("x-")) fault(where, `keyword ${key} is not draft-07, or not understood by the generators`);
  if (Array.isArray(schema.type)) fault(where, "type is a list: use anyOf");
  if (schema.type === "object" && (schema.anyOf || schema.oneOf)) fault(where, "anyOf or oneOf beside type object is dropped by the generator");
  if (schema.const !== undefined && schema.type === undefined) fault(where, "const without type becomes any");
  for (const text of [schema.description, schema.default])
    if (typeof text === "string" && text.includes("*/")) fault(where, "'*/' ends the generated comment");
  for (const name of Object.keys(schema.properties || {}))
    if (!IDENTIFIER.test(name)) fault(where, `property ${name} is not an identifier`);
  for (const name of schema.required || [])
    if (!(name in (schema.properties || {}))) fault(where, `required ${name} is not a property`);
  for (const [sub, way] of subschemas(schema, where)) checkSchema(sub, way, known);
}

/** A cycle among the shared schemas makes the official dereferencer run out of memory: look first. */
function checkAcyclic(schemas) {
  const state = new Map();
  const refs = (schema) => {
    if (schema.$ref) return [REF.exec(schema.$ref)?.[1]].filter((name) => name in schemas);
    return [...subschemas(schema, "")].flatMap(([sub]) => refs(sub));
  };
  const visit = (name, path) => {
    if (state.get(name) === "done") return;
    if (state.get(name) === "open") return fault("components.schemas", `a cycle: ${[...path, name].join(" -> ")}`);
    state.set(name, "open");
    for (const next of refs(schemas[name])) visit(next, [...path, name]);
    state.set(name, "done");
  };
  for (const name of Object.keys(schemas)) visit(name, []);
}

const isText = (value) => typeof value === "string" && value.trim() !== "";

/** The rules for a method as it is written, before references are resolved. */
function checkMethod(method, schemas, className) {
  const where = method.name;
  if (!/^[a-z][A-Za-z]*[._][a-z][A-Za-z]*$/.test(method.name)) fault(where, "is not namespace.verb in lower camel case");
  const alias = method.name.replace(/(^|[._])([a-z])/g, (_, __, letter) => letter.toUpperCase());
  for (const name of [alias, className])
    if (titles.has(name.toLowerCase())) fault(where, `a schema is titled like the generated type ${name}`);
  for (const key of ["summary", "description"]) {
    if (!isText(method[key])) fault(where, `no ${key}`);
    else if (method[key].includes("*/")) fault(where, `'*/' in ${key} ends the generated comment`);
  }
  if (!(method.tags?.length > 0 && method.tags.every((tag) => isText(tag.name) || tag.$ref))) fault(where, "no tags");
  // null: open to whoever can connect.
  if (method["x-scope"] !== null && !SCOPE.test(method["x-scope"])) fault(where, `x-scope is ${JSON.stringify(method["x-scope"])}`);
  if (!VISIBILITIES.has(method["x-visibility"])) fault(where, `x-visibility is ${JSON.stringify(method["x-visibility"])}`);
  if (typeof method["x-idempotent"] !== "boolean") fault(where, "x-idempotent is not a boolean");
  if (!Array.isArray(method.errors) || method.errors.length === 0) fault(where, "no errors");
  if (!Array.isArray(method.examples) || method.examples.length === 0) fault(where, "no example");
  if (!method.result?.schema) fault(where, "no result (a method without one is a notification to the generated client)");
  else checkSchema(method.result.schema, `${where} result`, schemas);
  let optional = null;
  const names = new Set();
  for (const param of method.params) {
    const way = `${where}(${param.name})`;
    if (names.has(param.name)) fault(way, "twice");
    names.add(param.name);
    if (!IDENTIFIER.test(param.name) || RESERVED_PARAMS.has(param.name)) fault(way, "is not usable as a parameter name");
    if (typeof param.required !== "boolean") fault(way, "'required' must be written out: an absent one is generated as required");
    if (param.required && optional) fault(way, `is required, but stands after the optional ${optional}`);
    if (!param.required) optional = param.name;
    if (!isText(param.description)) fault(way, "no description");
    if (param.schema === undefined) fault(way, "no schema");
    else checkSchema(param.schema, way, schemas);
  }
}

/** The rules that need resolved references: error codes, examples that are true, nullable optionals. */
function checkResolved(method) {
  const where = method.name;
  const codes = new Set();
  for (const error of method.errors || []) {
    if (!Number.isInteger(error.code)) fault(where, `an error without a code: ${canonical(error)}`);
    if (codes.has(error.code)) fault(where, `error ${error.code} twice`);
    codes.add(error.code);
  }
  // One validator a method: the same options as in the generated client, so an unknown format throws.
  const ajv = new Ajv();
  const test = (schema, value, way) => {
    try {
      if (!ajv.validate(schema, value)) fault(way, `${ajv.errorsText()} in ${canonical(value).slice(0, 200)}`);
    } catch (error) {
      fault(way, error.message);
    }
  };
  for (const param of method.params)
    if (param.required === false) test(param.schema, null, `${where}(${param.name}) is optional and must take null`);
  for (const example of method.examples || []) {
    const way = `${where} example '${example.name}'`;
    let position = -1;
    const given = new Set();
    for (const { name, value } of example.params) {
      const index = method.params.findIndex((param) => param.name === name);
      if (index < 0) fault(way, `no param ${name}`);
      else test(method.params[index].schema, value, `${way}, param ${name}`);
      if (index >= 0 && index <= position) fault(way, `${name} is not in positional order`);
      position = Math.max(position, index);
      given.add(name);
    }
    for (const param of method.params)
      if (param.required && !given.has(param.name)) fault(way, `leaves out the required ${param.name}`);
    if (!example.result) fault(way, "no result");
    else test(method.result.schema, example.result.value, `${way}, result`);
  }
}

async function main([file, ...rest]) {
  const document = JSON.parse(fs.readFileSync(file, "utf8"));
  if (document.openrpc !== "1.3.2") fault("openrpc", `is ${document.openrpc}, not 1.3.2`);
  const schemas = document.components?.schemas || {};
  const className = (document.info?.title || "").replace(/[^A-Za-z0-9]/g, "");

  const valid = validateOpenRPCDocument(clone(document));
  if (valid !== true) fault("meta-schema", valid.message);

  for (const [name, schema] of Object.entries(schemas)) {
    checkSchema(schema, `components.schemas.${name}`, schemas);
    if (schema.title !== name) fault(`components.schemas.${name}`, `is titled ${JSON.stringify(schema.title)}`);
  }
  checkAcyclic(schemas);
  const methodNames = new Set();
  for (const method of document.methods) {
    if (methodNames.has(method.name)) fault(method.name, "twice");
    methodNames.add(method.name);
    checkMethod(method, schemas, className);
  }
  const errorCodes = new Map();
  for (const [name, error] of Object.entries(document.components?.errors || {})) {
    if (errorCodes.has(error.code)) fault(`components.errors.${name}`, `code ${error.code} is ${errorCodes.get(error.code)}'s`);
    errorCodes.set(error.code, name);
  }

  // Dereferencing is only safe, and its faults only readable, when the above holds.
  if (faults.length === 0) {
    const resolved = await parseOpenRPCDocument(clone(document));
    const again = validateOpenRPCDocument(resolved);
    if (again !== true) fault("meta-schema, references resolved", again.message);
    for (const method of resolved.methods) checkResolved(method);
  }

  if (rest[0] === "--flat") {
    const expected = clone(document);
    for (const method of expected.methods) method.name = method.name.replaceAll(".", "_");
    const flat = JSON.parse(fs.readFileSync(rest[1], "utf8"));
    if (JSON.stringify(flat) !== JSON.stringify(expected)) {
      const at = expected.methods.find((method, index) => canonical(method) !== canonical(flat.methods?.[index]));
      fault(path.basename(rest[1]), `is not ${path.basename(file)} with '_' for '.' in method names${at ? ` (first at ${at.name})` : ""}`);
    }
  }

  const name = path.basename(file);
  for (const line of faults) console.error(`${name}: ${line}`);
  if (faults.length > 0) {
    console.error(`${name}: ${faults.length} faults`);
    process.exit(1);
  }
  console.log(`${name}: ${document.methods.length} methods, ${Object.keys(schemas).length} shared schemas: valid`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message || error);
  process.exit(1);
});
