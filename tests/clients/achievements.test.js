// The client library of the achievements dialect, unmodified. Its address is fixed, but it calls the global fetch, which
// leads to our server here.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { buildAuthorization, getUserProgress } from '@retroachievements/api'
import { start } from './server.js'

const { fetch } = globalThis
let server
let authorization

before(async () => {
  server = await start()
  const webApiKey = await server.waymark('key', 'create', '--name', 'client', '--scope', 'progress:read')
  authorization = buildAuthorization({ username: 'client', webApiKey })
  globalThis.fetch = (address, ...rest) => fetch(String(address).replace('https://retroachievements.org', server.url), ...rest)
})

after(async () => {
  globalThis.fetch = fetch
  await server?.stop()
})

const all = (number, score) => ({
  numPossibleAchievements: number,
  possibleScore: score,
  numAchieved: number,
  scoreAchieved: score,
  numAchievedHardcore: number,
  scoreAchievedHardcore: score,
})
const nothing = (number, score) => ({ ...all(0, 0), numPossibleAchievements: number, possibleScore: score })

test('a player who has mastered games', async () => {
  const progress = await getUserProgress(authorization, { username: 'MaxMilyin', gameIds: [1, 2, 3] })
  assert.deepEqual(progress, { 1: all(23, 251), 2: all(22, 320), 3: all(23, 335) })
})

test('a player who has nothing yet, by numbers that are texts', async () => {
  const progress = await getUserProgress(authorization, { username: 'xelnia', gameIds: ['1', '14402'] })
  assert.deepEqual(progress, { 1: nothing(23, 251), 14402: nothing(24, 255) })
})

test('a thousand games at once', async () => {
  const gameIds = Array.from({ length: 1000 }, (_, at) => at + 1)
  const progress = await getUserProgress(authorization, { username: 'MaxMilyin', gameIds })
  assert.equal(Object.keys(progress).length, 1000)
})

test('nobody', async () => {
  assert.deepEqual(await getUserProgress(authorization, { username: 'nobody', gameIds: [1] }), [])
})

test('a key that is none', async () => {
  const forged = buildAuthorization({ username: 'client', webApiKey: 'nonsense' })
  await assert.rejects(getUserProgress(forged, { username: 'xelnia', gameIds: [1] }), /Status 401/)
})
