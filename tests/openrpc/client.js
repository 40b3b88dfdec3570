// Uses a compiled generated client as its user would: constructs it, and makes every example's call by
// position, with a transport that records instead of sending. Catches what compiling can't: schemas the
// client's own validator refuses at run time, and optional params that can't be skipped with null.
//
//   node client.js BUILD/index.js openrpc.flat.json
"use strict";
const assert = require("assert");
const fs = require("fs");
const path = require("path");

async function main([module, file]) {
  const document = JSON.parse(fs.readFileSync(file, "utf8"));
  const Client = require(path.resolve(module)).default;
  const client = new Client({ transport: { type: "http", host: "127.0.0.1", port: 1 } });
  let sent;
  client.rpc.request = async (call) => {
    sent = call;
    return null;
  };
  client.rpc.notify = async (call) => {
    throw new Error(`${call.method} was sent as a notification`);
  };

  let calls = 0;
  const call = async (name, args) => {
    sent = undefined;
    try {
      await client[name](...args);
    } catch (error) {
      const text = Array.isArray(error) ? error.map((e) => e.message).join("; ") : error.message;
      throw new Error(`${name}(${JSON.stringify(args).slice(0, 200)}): ${text}`);
    }
    assert.deepStrictEqual(sent, { method: name, params: args });
    calls += 1;
  };
  for (const method of document.methods) {
    for (const example of method.examples) {
      const given = new Map(example.params.map(({ name, value }) => [name, value]));
      const all = method.params.map(({ name }) => (given.has(name) ? given.get(name) : null));
      const last = method.params.findLastIndex
        ? method.params.findLastIndex(({ name }) => given.has(name))
        : method.params.map(({ name }) => given.has(name)).lastIndexOf(true);
      await call(method.name, all.slice(0, last + 1));
      await call(method.name, all);
    }
  }
  console.log(`the generated client makes ${calls} calls of ${document.methods.length} methods`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`the generated client: ${error.message || error}`);
  process.exit(1);
});
