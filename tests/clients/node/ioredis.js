// Uses quotad through ioredis: node ioredis.js PORT LOCKED_PORT PASSWORD

import assert from "node:assert/strict";
import { once } from "node:events";
import { Redis } from "ioredis";
import { LOCKED_PORT, PASSWORD, PORT, refusal, run } from "./check.js";

async function connect(protocol, options) {
  const client = new Redis({ port: PORT, host: "127.0.0.1", protocol, lazyConnect: true, ...options });
  client.on("error", () => {});
  await client.connect();
  client.flushEverything = () => client.flushall();
  client.close = () => client.disconnect();
  return client;
}

async function handshake(client, protocol) {
  assert.equal(await client.ping(), "PONG");
  const info = await client.client("INFO");
  assert.match(info, new RegExp(` resp=${protocol} `));
  assert.match(info, / lib-name=ioredis/);
}

async function authentication(_client, protocol) {
  const allowed = await connect(protocol, { port: LOCKED_PORT, password: PASSWORD });
  assert.equal(await allowed.ping(), "PONG");
  allowed.close();
  const wrong = { port: LOCKED_PORT, password: "guess", retryStrategy: null, maxRetriesPerRequest: 0 };
  assert.match(await refusal(connect(protocol, wrong).then((client) => client.ping())), /WRONGPASS|NOAUTH|closed/i);
}

async function pipelineOfTenThousand(client) {
  const pipeline = client.pipeline();
  for (let number = 0; number < 10_000; number += 1) pipeline.incr("many");
  const answers = await pipeline.exec();
  assert.deepEqual(answers.map(([error, sum]) => error ?? sum), Array.from({ length: 10_000 }, (_, at) => at + 1));
}

async function binary(client) {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await client.set(bytes, bytes);
  assert.deepEqual(await client.getBuffer(bytes), bytes);
}

async function databases(client, protocol) {
  const other = await connect(protocol, { db: 3 });
  await other.set("where", "three");
  assert.equal(await client.get("where"), null);
  assert.equal(await other.get("where"), "three");
  other.close();
}

async function errors(client) {
  await client.set("word", "abc");
  assert.match(await refusal(client.incr("word")), /not an integer/);
  assert.match(await refusal(client.call("NONSENSE", "a")), /unknown command/);
  assert.equal(await client.ping(), "PONG");
}

async function scan(client) {
  await client.mset(Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`scan:${at}`, at])));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "scan:*", count: 100 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 2_000);
}

async function limits(client) {
  assert.deepEqual(await client.call("CL.THROTTLE", "user:7", 15, 30, 60, 1), [0, 16, 15, -1, 2]);
  const taken = await client.call("QUOTA.TAKE", "org/acme", 3, "BUDGET", 5, "PER", "TOTAL");
  assert.deepEqual(taken.slice(0, 3), [1, 3, 2]);
}

async function killAndReconnect(client, protocol) {
  const victim = await connect(protocol, {});
  const number = await victim.client("ID");
  const again = once(victim, "ready");
  assert.equal(Number(await client.client("KILL", "ID", number)), 1);
  await again;
  assert.notEqual(await victim.client("ID"), number);
  victim.close();
}

await run("ioredis", [2, 3], connect, [
  handshake,
  authentication,
  pipelineOfTenThousand,
  binary,
  databases,
  errors,
  scan,
  limits,
  killAndReconnect,
]);
