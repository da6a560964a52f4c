// Mercurius: the part of Waymark's schema that the four queries ask, with resolvers and loaders written by hand, as they
// are where the speed matters: a statement for each kind of thing, with arrays, prepared, for all users of a request.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'
import { database, knows, run } from './workers.mjs'

const schema = `
  type Query { user(by: UserBy!): User users(by: [UserBy!]!): [User]! }
  input UserBy { id: ID }
  type User {
    id: ID! handle: String! season: Season credits: Credits! goals: [Goal!]!
    resourceProgress(resourceIds: [ID!]!): [ResourceProgress]!
    gameSummaries(gameIds: [ID!]!): [GameSummary]!
    collections: Collections!
  }
  type Season { state: String! timeLeft: Int! hasStartedProgram: Boolean! currentWeek: Week }
  type Week { number: Int! }
  type Credits { available: Amount! expiresIn: Int isBlockedForClaiming: Boolean! }
  type Amount { credits: String! }
  type Goal { title: String! completedSteps: Int! totalSteps: Int! isClaimed: Boolean! }
  type ResourceProgress { completed: Boolean! progress: Int! completedAt: String resource: Resource! }
  type Resource { title: String! }
  type GameSummary {
    game: Game! numAchieved: Int! numPossible: Int! scoreAchieved: Int! possibleScore: Int!
    numAchievedHardcore: Int! scoreAchievedHardcore: Int!
  }
  type Game { id: ID! title: String! }
  type Collections { nodes: [Collection!]! }
  type Collection {
    collection: CollectionInfo! title: String! size: Int! collectedCount: Int! progressInPercentage: Int! status: String!
  }
  type CollectionInfo { id: ID! }
`

const statements = {
  users: 'SELECT id, ulid, handle FROM users WHERE ulid = ANY($1) AND erased_at IS NULL AND merged_into IS NULL',
  season: `SELECT s.id, s.starts_at, s.duration_seconds, s.week_length_seconds, s.ended_at, p.stood, p.stands
    FROM (SELECT * FROM seasons WHERE starts_at <= $1 ORDER BY starts_at DESC LIMIT 1) s
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(least(coalesce(until_at, $1), $1) - from_at)
        FILTER (WHERE s.pause_mode = 'FREEZE'), 0)::bigint AS stood,
        coalesce(bool_or(coalesce($1 < until_at, true)), false) AS stands
      FROM season_pauses WHERE season_id = s.id AND from_at <= $1) p`,
  enrolled: 'SELECT user_id FROM season_enrolments WHERE user_id = ANY($1) AND season_id = $2',
  goals: 'SELECT id, week, title, total_steps FROM goals WHERE season_id = $1 ORDER BY position',
  steps: `SELECT p.user_id, p.goal_id, p.completed_steps, c.user_id IS NOT NULL AS is_claimed
    FROM goal_progress p LEFT JOIN goal_claims c ON c.user_id = p.user_id AND c.goal_id = p.goal_id
    WHERE p.user_id = ANY($1) AND p.goal_id = ANY($2)`,
  lots: `SELECT user_id, remaining_micros, expires_at FROM credit_lots WHERE user_id = ANY($1) AND remaining_micros > 0
    AND granted_at <= $2 AND coalesce($2 < expires_at, true)`,
  blocked: `SELECT user_id FROM user_blocks WHERE user_id = ANY($1) AND scope <> 'SPEND' AND from_at <= $2
    AND coalesce($2 < until_at, true) AND coalesce($2 < lifted_at, true)`,
  resources: 'SELECT id, key, title FROM resources WHERE key = ANY($1)',
  progress: `SELECT user_id, resource_id, completed, progress, completed_at FROM resource_progress
    WHERE user_id = ANY($1) AND resource_id = ANY(ARRAY(SELECT id FROM resources WHERE key = ANY($2)))`,
  games: 'SELECT id, key, title, num_possible, possible_score FROM games WHERE key = ANY($1)',
  summaries: `SELECT user_id, game_id, num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore
    FROM game_summaries
    WHERE user_id = ANY($1) AND game_id = ANY(ARRAY(SELECT id FROM games WHERE key = ANY($2)))`,
  collections: `SELECT c.id, c.key, c.name, c.starts_at, c.ends_at,
      (SELECT count(*) FROM cards k WHERE k.collection_id = c.id)::int AS size
    FROM collections c
    WHERE (c.show_before OR coalesce(c.starts_at <= $1, true)) AND (c.show_after OR coalesce($1 < c.ends_at, true))
    ORDER BY c.id LIMIT 20`,
  collected: `SELECT user_id, collection_id, collected_count, completed_at FROM collection_progress
    WHERE user_id = ANY($1) AND collection_id = ANY($2)`,
}

// Ids and instants are far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)
const pool = new pg.Pool({ connectionString: database })
const rows = async (name, ...values) => (await pool.query({ name, text: statements[name], values })).rows

const key = (id) => id.slice(id.indexOf(':') + 1)
const by = (rows, column) => new Map(rows.map((row) => [row[column], row]))

/** Rows of users, by user and then by what `column` says. */
function ofUsers(rows, column) {
  const users = new Map()
  for (const row of rows) {
    if (!users.has(row.user_id)) users.set(row.user_id, new Map())
    users.get(row.user_id).set(row[column], row)
  }
  return users
}

const nothing = new Map()
const seconds = (millis) => Math.ceil(millis / 1000)
const ids = (queries) => queries.map(({ obj }) => obj.rowId)

/** The season that runs, and how far it has come; read once in a request. */
const current = (context) => (context.season ??= readSeason(Date.now()))

async function readSeason(now) {
  const [season] = await rows('season', now)
  if (!season) return
  const duration = season.duration_seconds * 1000
  const ran = Math.min(Math.max(now - season.starts_at - season.stood, 0), duration)
  const ended = ran === duration || (season.ended_at !== null && season.ended_at <= now)
  return {
    id: season.id,
    state: ended ? 'ENDED' : season.stands ? 'PAUSED' : 'ACTIVE',
    timeLeft: ended ? 0 : seconds(duration - ran),
    week: ended ? null : Math.floor(ran / (season.week_length_seconds * 1000)) + 1,
  }
}

/** Millionths as a decimal number without trailing zeros. */
function decimal(micros) {
  const fraction = String(micros % 1e6).padStart(6, '0').replace(/0+$/, '')
  return Math.floor(micros / 1e6) + (fraction && `.${fraction}`)
}

function status(collection, stored, collected, now) {
  if (stored?.completed_at != null && stored.completed_at <= now) return 'COMPLETED'
  if (collection.starts_at !== null && now < collection.starts_at) return 'UPCOMING'
  if (collection.ends_at !== null && collection.ends_at <= now) return 'EXPIRED'
  return collected === 0 ? 'NOT_STARTED' : 'IN_PROGRESS'
}

async function people(asked) {
  const found = by(await rows('users', asked.map(({ id }) => key(id))), 'ulid')
  return asked.map(({ id }) => {
    const row = found.get(key(id))
    return row && { rowId: row.id, id: `user:${row.ulid}`, handle: row.handle }
  })
}

const resolvers = {
  Query: {
    user: async (_, { by }) => (await people([by]))[0],
    users: (_, { by }) => people(by),
  },
}

// Every user of a request asks a field with the same arguments, once: nothing is kept for later.
const User = {
  async season(queries, context) {
    const season = await current(context)
    if (!season) return queries.map(() => null)
    const enrolled = by(await rows('enrolled', ids(queries), season.id), 'user_id')
    return queries.map(({ obj }) => ({
      state: season.state,
      timeLeft: season.timeLeft,
      hasStartedProgram: enrolled.has(obj.rowId),
      currentWeek: season.week && { number: season.week },
    }))
  },
  async credits(queries) {
    const now = Date.now()
    const [lots, blocked] = await Promise.all([rows('lots', ids(queries), now), rows('blocked', ids(queries), now)])
    return queries.map(({ obj }) => {
      const own = lots.filter((lot) => lot.user_id === obj.rowId)
      const expiries = own.map((lot) => lot.expires_at).filter((at) => at !== null)
      return {
        available: { credits: decimal(own.reduce((sum, lot) => sum + lot.remaining_micros, 0)) },
        expiresIn: expiries.length === 0 ? null : seconds(Math.min(...expiries) - now),
        isBlockedForClaiming: blocked.some((block) => block.user_id === obj.rowId),
      }
    })
  },
  async goals(queries, context) {
    const season = await current(context)
    if (!season) return queries.map(() => [])
    const goals = (await rows('goals', season.id)).filter((goal) => goal.week === null || goal.week === season.week)
    const stored = ofUsers(await rows('steps', ids(queries), goals.map((goal) => goal.id)), 'goal_id')
    return queries.map(({ obj }) => goals.map((goal) => {
      const own = (stored.get(obj.rowId) ?? nothing).get(goal.id)
      return {
        title: goal.title,
        completedSteps: own?.completed_steps ?? 0,
        totalSteps: goal.total_steps,
        isClaimed: own?.is_claimed ?? false,
      }
    }))
  },
  async resourceProgress(queries) {
    const keys = queries[0].params.resourceIds.map(key)
    const [known, progress] = await Promise.all([rows('resources', keys), rows('progress', ids(queries), keys)])
    const resources = by(known, 'key')
    const stored = ofUsers(progress, 'resource_id')
    return queries.map(({ obj }) => {
      const own = stored.get(obj.rowId) ?? nothing
      return keys.map((key) => {
        const resource = resources.get(key)
        if (!resource) return null
        const row = own.get(resource.id)
        return {
          completed: row?.completed ?? false,
          progress: row?.progress ?? 0,
          completedAt: row?.completed_at == null ? null : new Date(row.completed_at).toISOString(),
          resource,
        }
      })
    })
  },
  async gameSummaries(queries) {
    const keys = queries[0].params.gameIds.map(key)
    const [known, summaries] = await Promise.all([rows('games', keys), rows('summaries', ids(queries), keys)])
    const games = by(known.map((game) => ({ ...game, global: `game:${game.key}` })), 'key')
    const stored = ofUsers(summaries, 'game_id')
    return queries.map(({ obj }) => {
      const own = stored.get(obj.rowId) ?? nothing
      return keys.map((key) => {
        const game = games.get(key)
        if (!game) return null
        const row = own.get(game.id)
        return {
          game: { id: game.global, title: game.title },
          numAchieved: row?.num_achieved ?? 0,
          numPossible: game.num_possible,
          scoreAchieved: row?.score_achieved ?? 0,
          possibleScore: game.possible_score,
          numAchievedHardcore: row?.num_achieved_hardcore ?? 0,
          scoreAchievedHardcore: row?.score_achieved_hardcore ?? 0,
        }
      })
    })
  },
  async collections(queries) {
    const now = Date.now()
    const shown = await rows('collections', now)
    const stored = ofUsers(await rows('collected', ids(queries), shown.map(({ id }) => id)), 'collection_id')
    return queries.map(({ obj }) => ({
      nodes: shown.map((collection) => {
        const row = (stored.get(obj.rowId) ?? nothing).get(collection.id)
        const collected = Math.min(row?.collected_count ?? 0, collection.size)
        return {
          collection: { id: `collection:${collection.key}` },
          title: collection.name,
          size: collection.size,
          collectedCount: collected,
          progressInPercentage: collection.size === 0 ? 0 : Math.floor((collected * 100) / collection.size),
          status: status(collection, row, collected, now),
        }
      }),
    }))
  },
}

async function serve() {
  const app = Fastify()
  app.addHook('onRequest', async (request, reply) => {
    if (!knows(request)) return reply.code(401).send()
  })
  const loaders = Object.fromEntries(
    Object.entries(User).map(([field, loader]) => [field, { loader, opts: { cache: false } }]),
  )
  app.register(mercurius, { schema, resolvers, loaders: { User: loaders }, jit: 1 })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server.address().port
}

await run(async () => {}, serve)
