import { Client, type Exchange, fetchExchange, makeOperation, mapExchange } from '@urql/core';
import { authExchange } from '@urql/exchange-auth';
import { cacheExchange } from '@urql/exchange-graphcache';

import { loadConfig } from './config';
import { isCredentialRefused } from './errors';
import type { Session } from './session';

/** Types without an id of their own: they are kept as part of the object they were read from. */
export const PARTS = [
  'Account', 'AchievementProgress', 'CardOwnership', 'CardOwnershipConnection', 'Changes', 'CreditAccount', 'CreditAmount', 'CreditBlock',
  'CreditEntry', 'CreditEntryConnection', 'CreditExpiry', 'CreditLot', 'EarnedAward', 'GameSummaryConnection',
  'CollectionProgressConnection', 'GoalClaimResult', 'Limits', 'PageInfo', 'ProgressEvent',
  'ProgressEventConnection', 'Reward', 'RewardProgress', 'SeasonImpact', 'SeasonPause', 'SeasonProgress',
  'StudyPlanInstanceResource', 'UserConnection', 'UserError', 'Viewer', 'Week', 'WriteResult', 'ApiKey',
  'ApiKeyConnection', 'AuditEntry', 'AuditEntryConnection', 'CheckCount', 'Difference', 'GameConnection',
  'ResourceConnection', 'CollectionConnection', 'SeasonConnection', 'StudyPlanConnection', 'MovedSeason',
];

/** Which types stand behind an interface. */
export const POSSIBLE_TYPES = {
  Node: [
    'Achievement', 'Card', 'Collection', 'CollectionProgress', 'Game', 'GameSummary', 'Goal', 'GoalProgress', 'Resource',
    'ResourceProgress', 'Season', 'StudyPlan', 'StudyPlanInstance', 'User',
  ],
  Progress: ['CollectionProgress', 'GameSummary', 'GoalProgress', 'ResourceProgress', 'StudyPlanInstance'],
};

/**
 * A client that keeps objects under their global ids: what a mutation answers is at once what every part of the page
 * shows. Nothing that was read with one credential is seen with another, because each has a client of its own.
 */
export function createClient(session: Session): Client {
  return clientWith(session, [
    cacheExchange({ possibleTypes: POSSIBLE_TYPES, keys: Object.fromEntries(PARTS.map((type) => [type, () => null])) }),
  ]);
}

/**
 * A client that keeps nothing. A page that looks at the same user as different people needs it, because the same object
 * has different contents then.
 */
export function createPlainClient(session: Session): Client {
  return clientWith(session, []);
}

function clientWith(session: Session, caches: Exchange[]): Client {
  return new Client({
    url: session.endpoint,
    preferGetMethod: false,
    exchanges: [...caches, ...(session.sendsIds ? [byId] : []), authentication(session), fetchExchange],
    fetchOptions: { headers: { Accept: 'application/graphql-response+json, application/json' } },
  });
}

/** Sends the id of a document in place of its text, for servers that run the documents on their list only. */
const byId = mapExchange({
  onOperation(operation) {
    const { hash } = (operation.query as { __meta__?: { hash?: string } }).__meta__ ?? {};
    if (operation.kind === 'teardown' || hash === undefined) return operation;
    const query = { kind: 'Document', definitions: [], documentId: hash } as unknown as typeof operation.query;
    return makeOperation(operation.kind, { ...operation, query }, operation.context);
  },
});

function authentication(session: Session): Exchange {
  return authExchange(async ({ appendHeaders }) => ({
    addAuthToOperation: (operation) =>
      session.token === undefined ? operation : appendHeaders(operation, { Authorization: `Bearer ${session.token}` }),
    // A server that refuses a credential it offered itself has been started anew, and offers others now.
    didAuthError: (error) => session.offersCredentials && isCredentialRefused(error),
    refreshAuth: async () => {
      await renew(session);
    },
  }));
}

/** Takes the credentials that the server offers now. Says whether the token is another one. */
export async function renew(session: Session): Promise<boolean> {
  try {
    return session.renew(await loadConfig());
  } catch {
    return false;
  }
}
