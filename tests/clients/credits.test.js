// The clients of the credits dialect, unmodified: one signs requests, the other makes identities.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import crypto from '@dcl/crypto'
import signedFetchFactory from 'decentraland-crypto-fetch/lib/signedFetchFactory.js'
import { start } from './server.js'

const { Authenticator, AuthLinkType } = crypto
const { createUnsafeIdentity } = await import('@dcl/crypto/dist/crypto.js')
const signedFetch = signedFetchFactory.default()

// Published with the client that signs requests, for its own tests. The demo data knows this wallet as grace.
const grace = {
  ephemeralIdentity: {
    address: '0x84452bbFA4ca14B7828e2F3BBd106A2bD495CD34',
    publicKey:
      '0x0420c548d960b06dac035d1daf826472eded46b8b9d123294f1199c56fa235c89f2515158b1e3be0874bfb15b42d1551db8c276787a654d0b8d7b4d4356e70fe42',
    privateKey: '0xbc453a92d9baeb3d10294cbc1d48ef6738f718fd31b4eb8085efe7b311299399',
  },
  expiration: new Date('3021-10-16T22:32:29.626Z'),
  authChain: [
    { type: AuthLinkType.SIGNER, payload: '0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5', signature: '' },
    {
      type: AuthLinkType.ECDSA_PERSONAL_EPHEMERAL,
      payload:
        'Decentraland Login\nEphemeral address: 0x84452bbFA4ca14B7828e2F3BBd106A2bD495CD34\nExpiration: 3021-10-16T22:32:29.626Z',
      signature:
        '0x39dd4ddf131ad2435d56c81c994c4417daef5cf5998258027ef8a1401470876a1365a6b79810dc0c4a2e9352befb63a9e4701d67b38007d83ffc4cd2b7a38ad51b',
    },
  ],
}

let server

before(async () => {
  server = await start()
})

after(async () => {
  await server?.stop()
})

const owner = (identity) => Authenticator.ownerAddress(identity.authChain)
const progress = (address, init) => signedFetch(`${server.url}/users/${address}/progress`, init)

/** A new wallet that lets a key of the moment sign. */
async function newcomer() {
  const wallet = createUnsafeIdentity()
  const moment = createUnsafeIdentity()
  const sign = async (message) => Authenticator.createSignature(wallet, message)
  return Authenticator.initializeAuthChain(wallet.address, moment, 60, sign)
}

test('a player sees season, goals and credits', async () => {
  const response = await progress(owner(grace), { identity: grace })
  assert.equal(response.status, 200)
  const body = await response.json()
  assert.equal(body.season.seasonState, 'ACTIVE')
  assert.equal(body.user.hasStartedProgram, true)
  assert.ok(body.credits.available > 0)
  assert.ok(body.goals.some((goal) => goal.isClaimed) && body.goals.some((goal) => !goal.isClaimed))
  for (const { progress } of body.goals) {
    assert.ok(progress.totalSteps >= 1 && progress.completedSteps <= progress.totalSteps)
  }
})

test('somebody new sees the goals, with metadata of any case', async () => {
  const identity = await newcomer()
  const metadata = { Signer: 'Dapp', nested: { Ünïcode: ['É'] } }
  const response = await progress(owner(identity), { identity, metadata })
  assert.equal(response.status, 200)
  const body = await response.json()
  assert.deepEqual(body.user, { hasStartedProgram: false })
  assert.deepEqual(body.credits, { available: 0, expiresIn: 0, isBlockedForClaiming: false })
  assert.ok(body.goals.length > 0)
})

test('nobody sees what is another player’s', async () => {
  const response = await progress(owner(grace), { identity: await newcomer() })
  assert.equal(response.status, 403)
  assert.equal((await response.json()).code, 'forbidden')
})

test('nothing is seen unsigned', async () => {
  const response = await progress(owner(grace), {})
  assert.equal(response.status, 401)
  assert.equal(typeof (await response.json()).error, 'string')
})

test('a wallet asks over GraphQL, and changes something only with its body signed', async () => {
  const send = async (query, named = true) => {
    const body = JSON.stringify({ query })
    const hash = createHash('sha256').update(body).digest('hex')
    const metadata = named ? { body: `sha256:${hash}` } : {}
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' }, identity: grace, metadata }
    return signedFetch(`${server.url}/graphql`, init)
  }
  const who = await (await send('{ viewer { kind user { handle } } }', false)).json()
  assert.deepEqual(who.data.viewer, { kind: 'USER', user: { handle: 'grace' } })
  const mutation = 'mutation { unlockAchievements(input: {unlocks: []}) { __typename } }'
  assert.equal((await send(mutation, false)).status, 403)
  // Refused for what it does, which is for apps; but not for how it is signed.
  const response = await send(mutation)
  assert.equal(response.status, 200)
  assert.equal((await response.json()).errors[0].extensions.code, 'FORBIDDEN')
})
