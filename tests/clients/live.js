// What the tests of subscriptions have in common: something that happens, and somebody who watches.

import assert from 'node:assert/strict'

export const FOLLOW = `subscription($after: String) {
  userProgress(user: { handle: "grace" }, after: $after) { cursor number kind } }`

/** Grants credits to grace, one event each, and tries again under the same key while the server is away. */
export function writer(url, key) {
  let name = 0
  return async () => {
    const idempotencyKey = `live-${process.pid}-${name++}`
    for (;;) {
      try {
        const { data, errors } = await ask(url, key, {
          query: `mutation($key: String) { grantCredits(input: {
            user: { handle: "grace" }, amount: { micros: 1 }, idempotencyKey: $key }) { changes { events { number } } } }`,
          variables: { key: idempotencyKey },
        })
        if (data) return data.grantCredits.changes.events[0].number
        assert.equal(errors[0].extensions.code, 'UNAVAILABLE')
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
      }
      await pause(20)
    }
  }
}

export async function ask(url, key, body) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  })
  return response.json()
}

/** The cursor and the number of the newest event. */
export async function newest(url, key) {
  const query = '{ user(by: { handle: "grace" }) { history(first: 1) { nodes { cursor number } } } }'
  return (await ask(url, key, { query })).data.user.history.nodes[0]
}

export const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis))

/** Waits until `done` says so. */
export async function until(done, what) {
  const end = Date.now() + 20_000
  while (!done()) {
    assert.ok(Date.now() < end, `waited for ${what}`)
    await pause(10)
  }
}

/** Writes while the server is ended by each signal and begun again; the numbers that were written. */
export async function writeAcrossRestarts(server, write) {
  const numbers = []
  let restarts = true
  const writing = (async () => {
    while (restarts) numbers.push(await write())
    for (let more = 0; more < 5; more += 1) numbers.push(await write())
  })()
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM']) {
    await pause(500)
    const code = await server.end(signal)
    if (signal === 'SIGTERM') assert.equal(code, 0)
    await pause(200)
    await server.begin()
  }
  await pause(500)
  restarts = false
  await writing
  return numbers
}
