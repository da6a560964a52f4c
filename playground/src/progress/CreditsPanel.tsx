import { type FragmentType, read } from '../gql/fragment-masking';
import { CreditsPartFragmentDoc } from '../gql/graphql';
import { CreditBadge } from '../kit';
import type { Missing } from '../shared/errors';
import { Empty, NotShown, Panel } from '../shared/Parts';
import { moment, relative } from '../shared/time';
import { credits as amountOf, words } from '../shared/words';
import { ExpiryTimeline } from './ExpiryTimeline';

const SIGN = { GRANT: '+', SPEND: '−', REVOKE: '−', EXPIRE: '−' } as const;

export interface CreditsPanelProps {
  user: FragmentType<typeof CreditsPartFragmentDoc>;
  missing: Missing | undefined;
  now: number;
  onRetry: () => void;
}

/** What the user can spend, when it expires, and the newest entries of the ledger. */
export function CreditsPanel({ user, missing, now, onRetry }: CreditsPanelProps) {
  const { credits } = read(CreditsPartFragmentDoc, user);
  if (credits == null) {
    return <Panel title="Credits">{missing ? <NotShown why={missing} onRetry={onRetry} /> : <Empty>No credits are kept here.</Empty>}</Panel>;
  }
  const entries = credits.ledger?.nodes ?? [];
  return (
    <Panel title="Credits">
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
              <span>{words(entry.kind)}{entry.reason != null && `: ${entry.reason}`}</span>
              <time dateTime={entry.recordedAt} title={moment(entry.recordedAt)}>{relative(entry.recordedAt, now)}</time>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
