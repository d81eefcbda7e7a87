// Uses quotad through node-redis: node node-redis.js PORT LOCKED_PORT PASSWORD

import assert from "node:assert/strict";
import { createClient, RESP_TYPES } from "redis";
import { LOCKED_PORT, PASSWORD, PORT, refusal, run } from "./check.js";

async function connect(protocol, { port = PORT, reconnectStrategy = 20, ...options }) {
  const client = createClient({ socket: { port, host: "127.0.0.1", reconnectStrategy }, RESP: protocol, ...options });
  client.on("error", () => {});
  await client.connect();
  client.flushEverything = () => client.flushAll();
  client.close = () => client.destroy();
  return client;
}

const send = (client, ...words) => client.sendCommand(words.map(String));

async function handshake(client, protocol) {
  assert.equal(await client.ping(), "PONG");
  const info = String(await send(client, "CLIENT", "INFO"));
  assert.match(info, new RegExp(` resp=${protocol} `));
  assert.match(info, / lib-name=node-redis/);
}

async function authentication(_client, protocol) {
  const allowed = await connect(protocol, { port: LOCKED_PORT, password: PASSWORD });
  assert.equal(await allowed.ping(), "PONG");
  allowed.close();
  const wrong = { port: LOCKED_PORT, password: "guess", reconnectStrategy: false };
  assert.match(await refusal(connect(protocol, wrong)), /WRONGPASS|NOAUTH/);
}

async function pipelineOfTenThousand(client) {
  const answers = await Promise.all(Array.from({ length: 10_000 }, () => client.incr("many")));
  assert.deepEqual(answers, Array.from({ length: 10_000 }, (_, at) => at + 1));
}

async function binary(client) {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  await client.set(bytes, bytes);
  assert.deepEqual(await raw.get(bytes), bytes);
}

async function databases(client, protocol) {
  const other = await connect(protocol, { database: 3 });
  await other.set("where", "three");
  assert.equal(await client.get("where"), null);
  assert.equal(await other.get("where"), "three");
  other.close();
}

async function errors(client) {
  await client.set("word", "abc");
  assert.match(await refusal(client.incr("word")), /not an integer/);
  assert.match(await refusal(send(client, "NONSENSE", "a")), /unknown command/);
  assert.equal(await client.ping(), "PONG");
}

async function scan(client) {
  await client.mSet(Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`scan:${at}`, String(at)])));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "scan:*", COUNT: 100 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 2_000);
}

async function limits(client) {
  assert.deepEqual(await send(client, "CL.THROTTLE", "user:7", 15, 30, 60, 1), [0, 16, 15, -1, 2]);
  const taken = await send(client, "QUOTA.TAKE", "org/acme", 3, "BUDGET", 5, "PER", "TOTAL");
  assert.deepEqual(taken.slice(0, 3), [1, 3, 2]);
}

async function killAndReconnect(client, protocol) {
  const victim = await connect(protocol, {});
  const number = await send(victim, "CLIENT", "ID");
  // Not events.once, which would end with the error of the closed connection, which must come.
  const again = new Promise((resolve) => victim.once("ready", resolve));
  assert.equal(await send(client, "CLIENT", "KILL", "ID", number), 1);
  await again;
  assert.notEqual(await send(victim, "CLIENT", "ID"), number);
  victim.close();
}

await run("node-redis", [2, 3], connect, [
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
