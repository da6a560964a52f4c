import { type FragmentType, read } from '../gql/fragment-masking';
import { CreditsPartFragmentDoc, type CreditsPartFragment } from '../gql/graphql';
import { CreditBadge } from '../kit';
import type { Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { moment, relative } from '../shared/time';
import { credits as amountOf, words } from '../shared/words';
import { ExpiryTimeline } from './ExpiryTimeline';

const SIGN = { GRANT: '+', SPEND: '−', REVOKE: '−', EXPIRE: '−' } as const;

type Entry = NonNullable<NonNullable<CreditsPartFragment['credits']>['ledger']>['nodes'][number];
type Claim = Pick<NonNullable<CreditsPartFragment['claims']>['nodes'][number], 'subject' | 'changes'>;

/** What an entry of the ledger is: a grant that is the reward of a goal is called so, by the goal's title where it is known. */
export function entryText({ kind, lot, reason }: Pick<Entry, 'kind' | 'lot' | 'reason'>, claims: readonly Claim[], titleOf: (goal: string) => string | undefined): string {
  const claim = kind === 'GRANT' ? claims.find(({ changes }) => (changes as { lot?: unknown } | null)?.lot === lot) : undefined;
  if (claim !== undefined) return ['Goal reward', titleOf(claim.subject) ?? reason].filter((text) => text != null).join(': ');
  return reason == null ? words(kind) : `${words(kind)}: ${reason}`;
}

export interface CreditsPanelProps {
  user: FragmentType<typeof CreditsPartFragmentDoc>;
  missing: Missing | undefined;
  now: number;
  /** What a goal is called; undefined for one that is not on the page. */
  titleOf: (goal: string) => string | undefined;
  onRetry: () => void;
}

/** What the user can spend, when it expires, and the newest entries of the ledger. */
export function CreditsPanel({ user, missing, now, titleOf, onRetry }: CreditsPanelProps) {
  const { credits, claims } = read(CreditsPartFragmentDoc, user);
  if (credits == null) {
    return <Panel id="credits" title="Credits">{missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>No credits are kept here.</Empty>}</Panel>;
  }
  const entries = credits.ledger?.nodes ?? [];
  return (
    <Panel id="credits" title="Credits">
      <CreditBadge account={credits} />
      {credits.block != null && (
        <p className="warning">
          {credits.block.scope === 'ALL' ? 'Blocked' : `${words(credits.block.scope)}ing is blocked`}: {credits.block.reason}
          {credits.block.until != null && ` (until ${moment(credits.block.until)})`}
        </p>
      )}
      <ExpiryTimeline lots={credits.expirySchedule} now={now} />
      <h3>Latest</h3>
      {entries.length === 0 ? <Empty>Nothing has been earned or spent yet.</Empty> : (
        <ul className="ledger">
          {entries.map((entry) => (
            <li key={`${entry.lot}-${entry.kind}-${entry.recordedAt}`}>
              <span className={`ledger-amount ledger-${entry.kind.toLowerCase()}`}>{SIGN[entry.kind]}{amountOf(entry.amount.credits.replace('-', ''))}</span>
              <span>{entryText(entry, claims?.nodes ?? [], titleOf)}</span>
              <time dateTime={entry.recordedAt} title={moment(entry.recordedAt)}>{relative(entry.recordedAt, now)}</time>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
