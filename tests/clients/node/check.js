// Runs checks one after the other on an emptied server, and counts.

export const [PORT, LOCKED_PORT] = process.argv.slice(2, 4).map(Number);
export const PASSWORD = process.argv[4];

// How long one check may take.
const DEADLINE_MS = 60_000;

export async function run(library, protocols, connect, checks) {
  let passed = 0;
  let failed = 0;
  for (const protocol of protocols) {
    for (const check of checks) {
      const client = await connect(protocol, {});
      let timer;
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("took too long")), DEADLINE_MS);
      });
      try {
        await client.flushEverything();
        await Promise.race([check(client, protocol), late]);
        passed += 1;
      } catch (error) {
        failed += 1;
        console.error(`${library}, RESP${protocol}: ${check.name}: ${error.stack ?? error}`);
      }
      clearTimeout(timer);
      client.close();
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

// The text of the error that a promise ends with.
export async function refusal(promise) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    return String(error.message ?? error);
  }
  throw new Error(`answered with ${JSON.stringify(answer)} instead of an error`);
}
